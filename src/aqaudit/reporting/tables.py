"""The tables of a report, as data: what was asked, shown, answered, failed, spent and sent where.

Every function takes the answers as written and returns a :class:`Table` whose cells are unrounded values; None means
unknown, never nothing.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import polars as pl

from aqaudit.audits.finding import Finding
from aqaudit.audits.scope import BASE
from aqaudit.core.records import Parse
from aqaudit.core.text import clean, without_secrets
from aqaudit.measures import Estimate
from aqaudit.reporting.verdicts import NOTHING, WORDS, Judgement, measure_name, number, settings

Cell = str | int | float | None
#: The columns of a figure with what stands beside it: :func:`figure_cells`.
FIGURE = ("value", "low", "high", "chance", "constant_answer", "n", "clusters")
_PARSES: tuple[Parse, ...] = ("ok", "unparsed", "refused", "out_of_range", "truncated")
#: Media reached the place a row was answered at.
_WITH_MEDIA = (pl.col("media_sha256").list.len().fill_null(0) > 0) | (pl.col("frames_sent").fill_null(0) > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns and rows under a caption; ``name`` is the file stem. ``numbers`` are the columns set to the right."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: frozenset[str] = frozenset()
    note: str = ""
    missing: str = "unknown"


def shown(cell: Cell, missing: str = "unknown", limit: int = 160) -> str:
    """Return a cell as people read it."""
    if cell is None:
        return missing
    if isinstance(cell, float):
        return number(cell)
    return f"{cell:,}" if isinstance(cell, int) else clean(cell, limit)


def figure_cells(one: Finding | Estimate) -> tuple[Cell, ...]:
    """Return the cells of a figure, in the order of :data:`FIGURE`."""
    return one.value, one.low, one.high, one.chance, one.baseline, one.n, one.clusters


def headline(judged: Sequence[Judgement]) -> Table:
    """Return the headline figures, one row a finding."""
    return Table(
        name="headline",
        caption="Headline figures",
        columns=(
            *("model", "dataset", "task", "kind", "settings", "audit", "measure"),
            *FIGURE,
            *("verdict", "why"),
        ),
        rows=tuple(
            (
                *(dict(one.scope).get(part) for part in BASE),
                settings(one.scope),
                *(f.audit, f.measure),
                *figure_cells(f),
                *(WORDS[f.verdict], f.why or f.summary),
            )
            for one in judged
            for f in one.findings
        ),
        numbers=frozenset(FIGURE),
        missing=NOTHING,
    )


def findings(found: Sequence[Finding]) -> Table:
    """Return every finding, headline or not, in the order of the audits."""
    return Table(
        name="findings",
        caption="All findings, breakdowns included",
        columns=(
            *("audit", "scope", "measure"),
            *FIGURE,
            *("headline", "verdict", "flag", "summary", "details"),
        ),
        rows=tuple(
            (
                f.audit,
                ", ".join(f"{k} {clean(v, 60)}" for k, v in f.scope.items()),
                measure_name(f.measure),
                *figure_cells(f),
                *("yes" if f.headline else "no", f.verdict.replace("_", " "), f.flag or "", f.summary or f.why),
                _details(f),
            )
            for f in found
        ),
        numbers=frozenset(FIGURE),
        missing=NOTHING,
    )


def parses(frame: pl.DataFrame) -> Table:
    """Return how many answers of each model could be read, and why the others could not."""
    counts = frame.group_by("model").agg(pl.len(), *((pl.col("parse") == p).sum().alias(p) for p in _PARSES))
    return Table(
        name="answers_read",
        caption="Answers by how they could be read",
        columns=("model", "answers", "read", "no verdict found", "refused", "out of range", "cut off"),
        rows=tuple(counts.sort("model").iter_rows()),
        numbers=frozenset({"answers", "read", "no verdict found", "refused", "out of range", "cut off"}),
        note="Without a readable verdict an answer counts as wrong in balanced accuracy; correlations leave it out.",
    )


def failures(failed: pl.DataFrame | None) -> Table:
    """Return the requests that brought no answer, by model and cause, with one message of each."""
    columns = ("model", "cause", "requests", "one message")
    caption = "Requests that brought no answer"
    if failed is None or failed.is_empty():
        note = "No request failed." if failed is not None else "Not recorded in these answers: unknown."
        return Table(name="failures", caption=caption, columns=columns, rows=(), note=note)
    present = failed.with_columns(
        pl.lit(None, dtype=pl.String).alias(c) for c in ("model", "cause", "message") if c not in failed.columns
    )
    # The smallest message stands for its cause: which one came first differs between runs.
    grouped = present.group_by("model", "cause").agg(pl.len().alias("n"), pl.col("message").cast(pl.String).min())
    rows = tuple(
        (model, cause, n, None if message is None else without_secrets(clean(message, 300)))
        for model, cause, n, message in grouped.sort("model", "cause", nulls_last=True).iter_rows()
    )
    note = "A failed request is no answer: it is in no figure, and a rerun asks it again."
    return Table(
        name="failures", caption=caption, columns=columns, rows=rows, numbers=frozenset({"requests"}), note=note
    )


def inputs(frame: pl.DataFrame) -> Table:
    """Return what each model was shown: view, perturbation, frames, rates and picture sizes."""
    by = ("model", "dataset", "view", "perturbation", "media_form", "fps_asked")
    size = pl.when((pl.col("width") > 0) & (pl.col("height") > 0)).then(pl.format("{}\u00d7{}", "width", "height"))
    grouped = frame.group_by(by).agg(
        pl.len(),
        *(end for column in ("frames_sent", "fps_sent") for end in _span(column)),
        size.drop_nulls().unique().sort().alias("sizes"),
    )
    rows = []
    for *cells, n, low, high, slow, fast, sizes in grouped.sort(by, nulls_last=True).iter_rows():
        spans = (_between(low, high), _between(slow, fast))
        rows.append((*cells, n, *spans, _listed(sizes, 3)))
    return Table(
        name="inputs",
        caption="What the models were shown",
        columns=(
            *("model", "data set", "view", "perturbation", "sent as", "sampling asked", "answers", "frames sent"),
            *("frames per second", "picture sizes"),
        ),
        rows=tuple(rows),
        numbers=frozenset({"answers", "frames sent", "frames per second"}),
        missing=NOTHING,
    )


def models(frame: pl.DataFrame) -> Table:
    """Return the versions and settings of each model, as they were recorded with its answers."""
    settings_ = ("model_version", "thinking", "temperature", "max_tokens")
    return Table(
        name="models",
        caption="Models and their settings",
        columns=("model", "version", "thinking", "temperature", "max tokens", "answers"),
        rows=tuple((model, *(_values(rows, c) for c in settings_), rows.height) for model, rows in _by_model(frame)),
        numbers=frozenset({"answers"}),
    )


def costs(frame: pl.DataFrame) -> Table:
    """Return calls, tokens, time and money of each model; a sum over unknown parts says so."""
    summed = ("calls", "input_tokens", "output_tokens", "reasoning_tokens")
    columns = (
        *("model", "answers", "calls", "input tokens", "output tokens", "reasoning tokens"),
        *("median seconds", "US dollars"),
    )
    return Table(
        name="costs",
        caption="Tokens, time and money",
        columns=columns,
        rows=tuple(
            (
                model,
                rows.height,
                *(_total(rows, c) for c in summed),
                _median(rows["seconds"]),
                _total(rows, "usd", money=True),
            )
            for model, rows in _by_model(frame)
        ),
        numbers=frozenset(columns[1:]),
        note="Unknown means that the server did not say or no price is known; it is not zero.",
    )


def destinations(frame: pl.DataFrame, failed: pl.DataFrame | None = None) -> Table:
    """Return every endpoint, where it is, and how many answers and failed requests went there, with media or not."""
    answered = frame.group_by("endpoint").agg(
        pl.col("model").unique().sort(),
        pl.len().alias("n"),
        _WITH_MEDIA.sum().alias("with_media"),
        pl.col("media_sha256").explode(empty_as_null=True).drop_nulls().n_unique().alias("files"),
    )
    rows = {endpoint: (names, n, media, files, 0) for endpoint, names, n, media, files in answered.iter_rows()}
    if failed is not None and {"endpoint", "model"} <= set(failed.columns):
        lost = failed.group_by("endpoint").agg(pl.col("model").drop_nulls().unique().sort(), pl.len().alias("n"))
        for endpoint, names, n in lost.iter_rows():
            known = rows.get(endpoint, ([], 0, 0, 0, 0))
            rows[endpoint] = (sorted({*known[0], *names}), *known[1:4], n)
    return Table(
        name="destinations",
        caption="Where media went",
        columns=("endpoint", "place", "models", "answers", "with media", "different files", "failed requests"),
        rows=tuple(
            (
                None if endpoint is None else without_secrets(clean(endpoint, 200)),
                place(endpoint),
                _listed(names, 6),
                n,
                with_media,
                # Without hashes the number of files is not known to be zero.
                files if files or not with_media else None,
                lost_here,
            )
            for endpoint, (names, n, with_media, files, lost_here) in sorted(
                rows.items(), key=lambda item: (item[0] is None, item[0] or "")
            )
        ),
        numbers=frozenset({"answers", "with media", "different files", "failed requests"}),
        note="A failed request may have brought media to its endpoint as well.",
    )


def prompts(frame: pl.DataFrame) -> Table:
    """Return the prompts used, by their versioned ids."""
    by = ("prompt_id", "kind", "strategy", "framing", "answer_words", "shots")
    grouped = frame.group_by(by).len().sort(by, nulls_last=True)
    return Table(
        name="prompts",
        caption="Prompts used",
        columns=("prompt", "kind", "strategy", "framing", "answer words", "shots", "answers"),
        rows=tuple(grouped.iter_rows()),
        numbers=frozenset({"shots", "answers"}),
        missing=NOTHING,
    )


def place(endpoint: str | None) -> str:
    """Say whether an endpoint is on this machine: loopback addresses and ``in process`` are."""
    if endpoint is None:
        return "unknown"
    if "://" not in endpoint and " " in endpoint:
        return "this machine"
    try:
        host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname or ""
        local = host == "localhost" or host.endswith(".localhost") or ip_address(host).is_loopback
    except ValueError:
        local = False
    return "this machine" if local else "another machine"


def as_csv(table: Table) -> str:
    """Return a table as CSV, values unrounded; text that a spreadsheet would run as a formula gets a ``'`` in front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_inert(column) for column in table.columns])  # models may be columns
    writer.writerows([_inert(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def as_tex(table: Table) -> str:
    """Return a table as a LaTeX ``tabular``, rounded for reading."""
    spec = "".join("r" if column in table.numbers else "l" for column in table.columns)
    lines = [f"% {_tex(table.caption)}", rf"\begin{{tabular}}{{{spec}}}", r"\hline"]
    lines.append(" & ".join(_tex(clean(column, 160).replace("_", " ")) for column in table.columns) + r" \\ \hline")
    lines += [" & ".join(_tex(shown(cell, table.missing)) for cell in row) + r" \\" for row in table.rows]
    return "\n".join([*lines, r"\hline", r"\end{tabular}", ""])


def _inert(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    text = clean(cell, 2000)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text


_TEX = str.maketrans(
    {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "\u2212": "$-$",
        "\u2013": "--",
        "\u00d7": r"$\times$",
        "…": r"\ldots{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
)


def _tex(text: str) -> str:
    return text.translate(_TEX)


def _details(finding: Finding) -> str:
    known = ((name.replace("_", " "), value) for name, value in finding.details.items() if value is not None)
    return "; ".join(f"{name} {_detail(value)}" for name, value in known)


def _detail(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _span(column: str) -> tuple[pl.Expr, pl.Expr]:
    return pl.col(column).min().alias(f"{column}_low"), pl.col(column).max().alias(f"{column}_high")


def _between(low: float | None, high: float | None) -> str | None:
    if low is None or high is None:
        return None
    low, high = round(low, 2), round(high, 2)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _listed(values: Sequence[str], most: int) -> str | None:
    if not values:
        return None
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(clean(value, 60) for value in values[:most]) + more


def _by_model(frame: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    return sorted(((str(key[0]), rows) for key, rows in frame.group_by("model")), key=lambda item: item[0])


def _values(group: pl.DataFrame, column: str) -> str | None:
    values = group[column].unique().sort(nulls_last=True).to_list()
    texts = ["unknown" if v is None else f"{v:g}" if isinstance(v, float) else str(v) for v in values]
    return _listed(texts, 4) if texts != ["unknown"] else None


def _total(group: pl.DataFrame, column: str, *, money: bool = False) -> Cell:
    values = group[column]
    unknown = values.null_count()
    if unknown == len(values):
        return None
    total = values.sum()
    known = f"{total:,.4f}" if money else f"{total:,}"
    if unknown:
        return f"at least {known} (unknown for {unknown:,} of {len(values):,} answers)"
    return known if money else int(total)


def _median(values: pl.Series) -> float | None:
    middle = values.median()
    return float(middle) if isinstance(middle, int | float) else None
