"""Rows of other harnesses gathered into a frame of the answers table."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

from aqaudit.records import BadInput
from aqaudit.table import DOMAINS, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: What a harness's own record of an item may hold under the names of our columns.
_ITEM = (
    "dataset", "split", "task", "performance_id", "other_id", "pair_id", "performer", "video", "action", "criterion",
    "error", "severity", "tolerance", "unit", "family", "view", "strategy", "framing", "perturbation", "pair_order",
    "repeat", "scale_min", "scale_max",
)  # fmt: skip
_TEXTS = frozenset(name for name, dtype in SCHEMA.items() if isinstance(dtype, pl.String))


def item_columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns about the item that a record of another harness holds under our names.

    What does not fit a column (another harness's ``view`` may be the place of a camera) is not ours, and left out.
    """
    named = {name: record[name] for name in _ITEM if record.get(name) not in {None, ""} and plain(record[name])}
    fitted = {name: _fitted(name, value) for name, value in named.items()}
    return {name: value for name, value in fitted.items() if value is not None}


def _fitted(name: str, value: Any) -> Any:
    if name in _TEXTS:
        text = str(value)
        return text if name not in DOMAINS or text in DOMAINS[name] else None
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number) or isinstance(SCHEMA[name], pl.Float64):
        return number if math.isfinite(number) else None
    return int(number) if number.is_integer() and 0 <= number < 2**31 else None


def plain(value: object) -> bool:
    """Tell whether a value is one text, number or truth value."""
    return isinstance(value, str | int | float | bool)


def typed(name: str, value: Any) -> Any:
    """Return a value as its column has it: numbers of a column of text become text."""
    return str(value) if name in _TEXTS and not isinstance(value, str) else value


class NamedRows:
    """Answers of one file: rows are added one by one, :meth:`frame` gives them all.

    A question that is answered several times (epochs, filters) becomes repeats of it.
    """

    def __init__(self, path: Path, **constant: str) -> None:
        self._path = path
        self._constant = {name: value for name, value in constant.items() if value}
        self._rows: list[dict[str, Any]] = []
        self._asked: Counter[str] = Counter()
        self._unknown: list[object] = []

    def add(self, found: Mapping[str, Any] | None, item: Mapping[str, Any], *, target: object) -> None:
        """Add one answer, or note that its target is of no kind that can be audited."""
        if found is None:
            self._unknown.append(target)
            return
        again = str(item.get("question_id"))
        row = {**self._constant, **item, **found}
        row.setdefault("task", row["kind"])
        row.setdefault("repeat", self._asked[again])
        self._asked[again] += 1
        self._rows.append(row)

    def frame(self) -> pl.DataFrame:
        """Return the answers.

        Raises
        ------
        BadInput
            There are none, or so many targets are neither yes or no, nor a letter, nor a number that the rest is no
            sample of the questions.
        """
        if len(self._unknown) > len(self._rows):
            example, every = str(self._unknown[0])[:40], len(self._unknown) + len(self._rows)
            raise BadInput(
                f"{self._path}: {len(self._unknown)} of {every} targets are neither yes or no, nor one letter, nor a "
                f"number (such as {example!r}); only such questions can be audited"
            )
        if not self._rows:
            raise BadInput(f"{self._path}: holds no answers")
        names = [name for name in SCHEMA if any(name in row for row in self._rows)]
        columns = {name: [self._fitting(name, row.get(name)) for row in self._rows] for name in names}
        try:
            return pl.DataFrame(columns, schema={name: SCHEMA[name] for name in names}, strict=True)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadInput(f"{self._path}: a value does not fit its column: {reason}") from None

    def _fitting(self, name: str, value: Any) -> Any:
        if isinstance(SCHEMA[name], pl.Datetime) and isinstance(value, str):
            try:
                moment = dt.datetime.fromisoformat(value)
            except ValueError:
                return None
            return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        if isinstance(SCHEMA[name], pl.Float64) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return value
