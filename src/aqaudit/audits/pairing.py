"""Two sets of answers side by side: which of them are compared, and which rows answer the same question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from aqaudit.audits.finding import Json
from aqaudit.audits.scope import as_label, unperturbed
from aqaudit.core.records import BadInput, nearest
from aqaudit.core.table import TRUTH_AND_ANSWER

#: What tells one question from another.
ITEM = ("question_id", "performance_id", "other_id")
#: Settings that split what is compared into scopes where they vary on both sides.
SPLIT = ("dataset", "task", "kind", "model", "view", "strategy", "thinking", "fps_asked", "shots")
#: Settings that two answers must share to be a pair, unless the two sides are told apart by them.
SAME = (
    "perturbation",
    "framing",
    "answer_words",
    "pair_order",
    "repeat",
    "temperature",
    "media_form",
    "seed",
    "prompt_id",
)
SELECTABLE = (*SPLIT, *SAME[:-2], "split", "action", "criterion", "error", "study")
_SELECTOR = re.compile(r"^(?P<path>.+?):(?P<keys>[a-z_]+=.*)$", re.DOTALL)


def selector(given: str) -> tuple[str, dict[str, str]]:
    """Split ``PATH:key=value,key=value`` into the path and the cells that are meant.

    Raises
    ------
    BadInput
        A key is not a setting.
    """
    found = _SELECTOR.match(given)
    if found is None:
        return given, {}
    keys: dict[str, str] = {}
    for part in found["keys"].split(","):
        key, equals, value = part.partition("=")
        if not equals or key not in SELECTABLE:
            raise BadInput(f"{given}: '{key}' is not a setting{nearest(key, SELECTABLE)}; write PATH:view=crop")
        if key in keys:
            raise BadInput(f"{given}: '{key}' is given twice")
        keys[key] = value
    return found["path"], keys


def selected(frame: pl.DataFrame, keys: Mapping[str, str], *, where: str) -> pl.DataFrame:
    """Return the answers of some cells; unperturbed ones unless a perturbation is named.

    Raises
    ------
    BadInput
        There is no such value, or nothing is left.
    """
    rows = frame if "perturbation" in keys else unperturbed(frame)
    for key, value in keys.items():
        there = sorted(as_label(rows[key]).unique())
        if value not in there:
            raise BadInput(f"{where}: no answer has {key} = '{value}'{nearest(value, there)}")
        rows = rows.filter(as_label(pl.col(key)) == value)
    if rows.is_empty():
        raise BadInput(
            f"{where}: holds no answer to an unperturbed clip; name the cells, such as PATH:perturbation=blank"
        )
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Rows that answer the same question: ``a`` and ``b`` of equal height, row by row, with the truth of ``a``.

    ``differ`` maps each setting that tells the sides apart to its values on either side; ``only_a`` and ``only_b``
    count answers without a partner, ``other_truth`` pairs whose truths are not the same, which are left out.
    """

    a: pl.DataFrame
    b: pl.DataFrame
    split: tuple[str, ...]
    differ: Mapping[str, tuple[str, str]]
    only_a: int
    only_b: int
    other_truth: int

    def facts(self) -> dict[str, Json]:
        """Return what was paired as plain values."""
        return {
            "differ": {key: list(values) for key, values in self.differ.items()},
            "pairs": self.a.height,
            "only_a": self.only_a,
            "only_b": self.only_b,
            "other_truth": self.other_truth,
        }


def pair(a: pl.DataFrame, b: pl.DataFrame) -> Pairs:
    """Pair the answers of two sides by question, performance and settings.

    A setting with one value on each side is what is compared, or constant; one that varies on a side must be equal.

    Raises
    ------
    BadInput
        Nothing pairs, or several answers of one side answer the same question under the same settings.
    """
    settings = [name for name in (*SPLIT, *SAME) if a[name].n_unique() > 1 or b[name].n_unique() > 1]
    keys = [*ITEM, *settings]
    differ = {
        name: (_only(a[name]), _only(b[name]))
        for name in (*SPLIT, *SAME)
        if name not in settings and _only(a[name]) != _only(b[name])
    }
    for side, rows in (("A", a), ("B", b)):
        _refuse_duplicates(side, rows, keys)
    numbered = [
        rows.with_row_index(name).select(*(as_label(pl.col(key)) for key in keys), name)
        for rows, name in ((a, "_a"), (b, "_b"))
    ]
    joined = numbered[0].join(numbered[1], on=keys, how="inner").sort(*keys, "_a")
    if joined.is_empty():
        raise BadInput(f"no answer of A and B is to the same question under the same settings; {_hint(a, b, settings)}")
    ours, theirs = a[joined["_a"]], b[joined["_b"]]
    same = pl.Series([True] * ours.height)
    for truth, _ in TRUTH_AND_ANSWER.values():
        same &= ours[truth].eq_missing(theirs[truth])
    return Pairs(
        a=ours.filter(same),
        b=theirs.filter(same),
        split=tuple(name for name in SPLIT if name in settings),
        differ=differ,
        only_a=a.height - joined.height,
        only_b=b.height - joined.height,
        other_truth=int((~same).sum()),
    )


def _only(values: pl.Series) -> str:
    labels = as_label(values).unique()
    return str(labels[0]) if labels.len() == 1 else f"{labels.len()} values"


def _refuse_duplicates(side: str, rows: pl.DataFrame, keys: list[str]) -> None:
    twice = rows.filter(pl.struct(keys).is_duplicated())
    if not twice.is_empty():
        question = twice["question_id"].sort()[0]
        raise BadInput(
            f"{side}: {twice.height} answers share question and settings with another one (such as question "
            f"'{question}'), so they cannot be paired; name the cells that are meant, such as PATH:repeat=0"
        )


def _hint(a: pl.DataFrame, b: pl.DataFrame, settings: list[str]) -> str:
    if not set(a["question_id"]) & set(b["question_id"]):
        return "they share no question_id"
    for name in settings:
        ours, theirs = (set(as_label(rows[name])) for rows in (a, b))
        if not ours & theirs:
            return (
                f"'{name}' is {_some(ours)} in A and {_some(theirs)} in B; choose one on each side, such as "
                f"PATH:{name}={min(ours)}"
            )
    return "name the cells that are meant on each side, such as PATH:view=rgb"


def _some(values: set[str]) -> str:
    shown = sorted(values)[:3]
    return ", ".join(shown) + (" and others" if len(values) > len(shown) else "")
