"""How often each audit calls out each simulated judge: power on its targets, false alarms on judges without its flaw.

Every judge of ``simulated_judges.JUDGES`` answers a table made for the audit (``judged_tables.DESIGNS``), 60
performers, n rows a design; the audit calls it out when a finding has the verdict stated there for its measure. Runs
are seeded. Judges that do not differ on what a design asks share its tables.

    python benchmarks/audit_matrix.py [--runs 400] [--sizes 1000 200] [--audits NAME...] [--write]

``--write`` puts the cells into ``docs/images/audit-matrix.csv`` and draws ``audit-matrix.svg`` anew.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from aqaudit.audits import AUDITS, permutation
from judged_tables import DESIGNS, judge, same_on, table
from simulated_judges import JUDGES, called_out, expected

CLUSTERS = 60
PERMUTATIONS = 20
POWER = 0.90
#: At a true rate of 0.05, 400 runs show more than 27 false alarms in 5 % of cases.
MOST_FALSE_ALARMS = 27 / 400
#: Frame of a cell by what is expected of it.
_EDGES = {"target": "#b3420f", "entailed": "#8a8a8a"}
IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One judge before one audit: in how many runs it was called out, and in how many it was at least warned of."""

    audit: str
    judge: str
    expected: str
    n: int
    runs: int
    called: int
    warned: int

    @property
    def rate(self) -> float:
        """Share of runs in which the judge was called out."""
        return self.called / self.runs

    @property
    def miss(self) -> bool:
        """Whether a target is called out too seldom, or a judge without the flaw too often."""
        if self.expected == "target":
            return self.n >= 1000 and self.rate < POWER
        return self.expected == "unrelated" and self.rate > MOST_FALSE_ALARMS


def matrix(*, runs: int, n: int, audits: tuple[str, ...] = tuple(DESIGNS), seed: int = 0) -> list[Cell]:
    """Return the cells of every judge before ``audits``."""
    cells = []
    for name in audits:
        audit, designs = AUDITS[name], DESIGNS[name]
        known: dict[tuple[object, ...], tuple[int, int]] = {}
        for title, settings in JUDGES.items():
            entry = judge(settings)
            same = tuple(same_on(entry, design) for design in designs)
            if same not in known:
                called = warned = 0
                for run in range(runs):
                    tables = (table(entry, d, rows=n, clusters=CLUSTERS, seed=seed + run) for d in designs)
                    found = audit(pl.concat(tables), {})
                    called += called_out(name, found)
                    warned += any(finding.verdict in {"fail", "warn"} for finding in found)
                known[same] = called, warned
            called, warned = known[same]
            cells.append(
                Cell(
                    audit=name,
                    judge=title,
                    expected=expected(name, title),
                    n=n,
                    runs=runs,
                    called=called,
                    warned=warned,
                )
            )
    return cells


def read(file: Path) -> list[Cell]:
    """Return the cells of a CSV file; none where there is no file."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    names = ("audit", "judge")
    return [
        Cell(
            **{name: row[name] for name in names},
            expected=expected(row["audit"], row["judge"]),
            **{name: int(row[name]) for name in ("n", "runs", "called", "warned")},
        )
        for row in rows
    ]


def write(cells: list[Cell], folder: Path) -> None:
    """Write the cells as a CSV file, beside those of other sizes and audits that it holds, and as a figure."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "audit-matrix.csv"
    known = {(c.n, c.audit, c.judge): c for c in read(file) if c.audit in DESIGNS and c.judge in JUDGES}
    known |= {(c.n, c.audit, c.judge): c for c in cells}
    places = list(DESIGNS), list(JUDGES)
    cells = sorted(known.values(), key=lambda c: (-c.n, places[0].index(c.audit), places[1].index(c.judge)))
    with (folder / "audit-matrix.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(cells[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(cell) for cell in cells)
    draw(cells, folder / "audit-matrix.svg")


def draw(cells: list[Cell], path: Path) -> None:
    """Draw the share of runs in which each judge was called out, one panel a number of rows."""
    audits, judges, side, row = list(DESIGNS), list(JUDGES), 30, 20
    sizes = list(dict.fromkeys(c.n for c in cells))
    left, top, wide = 130, 120, side * len(audits)
    width, height = left + (wide + 40) * len(sizes), top + row * len(judges) + 60
    style = 'font-family="sans-serif" font-size="11" fill="#333333"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for at, name in enumerate(judges):
        parts.append(f'<text x="{left - 8}" y="{top + row * at + 14}" text-anchor="end">{name}</text>')
    for panel, n in enumerate(sizes):
        x0 = left + panel * (wide + 40)
        parts.append(f'<text x="{x0}" y="20" font-weight="bold">{n:,} answers: % of runs called out</text>')
        for at, name in enumerate(audits):
            x = x0 + side * at + side / 2
            parts.append(f'<text transform="translate({x:g} {top - 8}) rotate(-50)">{name}</text>')
        for cell in (c for c in cells if c.n == n):
            x, y = x0 + side * audits.index(cell.audit), top + row * judges.index(cell.judge)
            shade = [round(255 + (to - 255) * cell.rate) for to in (44, 110, 155)]
            ink = "white" if cell.rate > 0.55 else "#333333"
            edge = _EDGES.get(cell.expected)
            frame = f' stroke="{edge}" stroke-width="2"' if edge else ""
            box = f'x="{x + 1}" y="{y + 1}" width="{side - 2}" height="{row - 2}" fill="rgb{tuple(shade)}"'
            place = f'x="{x + side / 2:g}" y="{y + 14}" text-anchor="middle" fill="{ink}"'
            parts += [f"<rect {box}{frame}/>", f"<text {place}>{100 * cell.rate:.0f}</text>"]
    for at, (kind, edge) in enumerate(_EDGES.items()):
        x, y = left + 110 * at, height - 36
        parts.append(f'<rect x="{x}" y="{y}" width="20" height="14" fill="none" stroke="{edge}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 28}" y="{y + 11}">{kind}</text>')
    path.write_text("\n".join((*parts, "</svg>")) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 200])
    parser.add_argument("--audits", nargs="+", default=list(DESIGNS), choices=list(DESIGNS))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    # The permutation p is printed beside the verdicts; none hangs on it.
    for test in (permutation.balanced_accuracy, permutation.spearman, permutation.pair_accuracy):
        test.__kwdefaults__["draws"] = PERMUTATIONS
    cells, started = [], time.time()
    for n in given.sizes:
        for name in given.audits:
            found = matrix(runs=given.runs, n=n, audits=(name,))
            cells += found
            if given.write:
                write(found, IMAGES)
            print(f"\n{name}, {n:,} rows, {CLUSTERS} performers, {given.runs} runs ({time.process_time():.0f} s CPU)")
            for cell in found:
                rates = f"called {cell.rate:6.1%}  warned {cell.warned / cell.runs:6.1%}"
                print(f"  {cell.judge:<20} {cell.expected:<10} {rates}{'  MISSED' if cell.miss else ''}", flush=True)
    misses = [cell for cell in cells if cell.miss]
    print(f"\nmissed: {len(misses)} of {len(cells)} cells; {time.time() - started:.0f} s")
    for cell in misses:
        print(f"  {cell.audit} {cell.judge} n={cell.n}: {cell.called} of {cell.runs} ({cell.expected})")


if __name__ == "__main__":
    main()
