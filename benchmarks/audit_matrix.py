"""How often each audit calls out each simulated judge: power on its targets, false alarms on judges without its flaw.

Every judge of ``aqaudit.models.planted.JUDGES`` answers a table made for the audit (``judged_tables.DESIGNS``), 60
performers, n rows a design; the audit calls it out when a finding has the verdict it declares (``Audit.calls``). Runs
are seeded. Judges that do not differ on what a design asks share its tables.

    python benchmarks/audit_matrix.py [--runs 400] [--sizes 1000 200] [--audits NAME...] [--write]

``--write`` puts the cells into ``docs/images/audit-matrix.csv`` and draws ``audit-matrix.svg`` anew.
"""

from __future__ import annotations

import argparse
import csv
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from aqaudit.audits import AUDITS, permutation
from aqaudit.models.planted import JUDGES
from judged_tables import DESIGNS, judge, same_on, table

CLUSTERS = 60
PERMUTATIONS = 20
POWER = 0.90
#: At a true rate of 0.05, 400 runs show more than 27 false alarms in 5 % of cases.
MOST_FALSE_ALARMS = 27 / 400
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
                    called += audit.calls_out(found)
                    warned += any(finding.verdict in {"fail", "warn"} for finding in found)
                known[same] = called, warned
            called, warned = known[same]
            cells.append(
                Cell(
                    audit=name, judge=title, expected=audit.expects(title), n=n, runs=runs, called=called, warned=warned
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
            expected=AUDITS[row["audit"]].expects(row["judge"]),
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
    import altair as alt
    import vl_convert

    marks = {"target": "target", "entailed": "entailed", "unrelated": "unrelated"}
    data = [
        {**asdict(c), "rate": c.rate, "text": f"{100 * c.rate:.0f}", "expected": marks[c.expected],
         "panel": f"{c.n:,} answers, {c.runs} runs a cell"}
        for c in cells
    ]  # fmt: skip
    shared = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("audit:N", sort=list(DESIGNS), title=None, axis=alt.Axis(labelAngle=-40, orient="top")),
        y=alt.Y("judge:N", sort=list(JUDGES), title=None),
    )
    boxes = shared.mark_rect().encode(
        color=alt.Color("rate:Q", title="called out", legend=alt.Legend(format=".0%"),
                        scale=alt.Scale(domain=[0, 1], range=["#ffffff", "#2c6e9b"], interpolate="rgb")),
    )  # fmt: skip
    frames = shared.mark_rect(filled=False, strokeWidth=2).encode(
        stroke=alt.Stroke("expected:N", title="expected",
                          scale=alt.Scale(domain=["target", "entailed", "unrelated"],
                                          range=["#b3420f", "#8a8a8a", "transparent"])),
    )  # fmt: skip
    numbers = shared.mark_text(fontSize=10).encode(
        text="text:N", color=alt.condition("datum.rate > 0.55", alt.value("white"), alt.value("#333333"))
    )
    panels = [
        alt.layer(boxes, frames, numbers)
        .transform_filter(alt.datum.n == n)
        .properties(width=300, height=430, title=f"{n:,} answers; % of runs in which a judge is called out")
        for n in dict.fromkeys(c.n for c in cells)
    ]
    chart = alt.hconcat(*panels).configure_view(stroke=None).configure(font="sans-serif", background="white")
    svg = vl_convert.vegalite_to_svg(chart.to_json())
    # Every mark repeats its numbers for screen readers; the page gives the figure one text, and the CSV its numbers.
    svg = re.sub(r' (?:aria-[a-z]+|role)="[^"]*"', "", svg)
    svg = re.sub(r"\d+\.\d{3,}(?:e-\d+)?", lambda number: f"{float(number[0]):.2f}", svg)
    path.write_text(svg, encoding="utf-8")


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
