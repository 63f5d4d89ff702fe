"""Targets and replies as other harnesses keep them, turned into truths and answers, and rows of them into a table.

The kind follows from the target: yes/no and true/false are ``verify``, one letter is ``choose``, a number is ``score``.
A yes is taken as "the execution is correct". What a reply means is never guessed: it must be the word, begin or end
with it, or hold it in an ``<answer>`` tag.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from aqaudit.core.records import LETTERS, BadInput
from aqaudit.core.table import DOMAINS, SCHEMA

#: What a harness's own record of an item may hold under the names of our columns.
_ITEM = (
    "dataset", "split", "task", "performance_id", "other_id", "pair_id", "performer", "video", "action", "criterion",
    "error", "severity", "tolerance", "unit", "family", "view", "strategy", "framing", "perturbation", "pair_order",
    "repeat", "scale_min", "scale_max",
)  # fmt: skip
_TEXTS = frozenset(name for name, dtype in SCHEMA.items() if isinstance(dtype, pl.String))
_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_REASONING = re.compile(r"<think(?:ing)?>(.*?)(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_UNOPENED = re.compile(r"\A(.*?)</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_TAGGED = re.compile(r"<answer>([^<]{1,200})</answer>", re.IGNORECASE)
_WRAPPING = " \t\r\n\"'`*_.()[]{}:;!$,\\"
_LEADS = re.compile(r"\A(?:the )?(?:final |correct |best )?(?:answer|option|choice)\s*(?:is|:|=)?\s*", re.IGNORECASE)
_FIRST_WORD = re.compile(r"\A(yes|no|true|false)\b", re.IGNORECASE)
_FIRST_LETTER = re.compile(r"\A\(?([A-Z])(?:[).:,]|\s*\Z|\s*\n)")
_LAST = re.compile(r"(?:answer|option|choice)\s*(?:is|:|=)\s*\**\(?([A-Za-z]+)\)?\**[.!]?\s*\Z", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d{1,12}(?:\.\d{1,12})?")
_LETTER = re.compile(r"[A-Z]")
#: A reply is searched no further than this from either end.
_REACH = 400


def row(target: str, said: str, options: list[str] | None = None) -> dict[str, Any] | None:
    """Return the columns ``kind``, truth, answer, ``said``, ``reasoning`` and ``parse`` of one reply.

    None where the target is neither a yes or no, nor a letter, nor a number.
    """
    reasoning, text = _split_reasoning(said)
    wanted = target.strip(_WRAPPING)
    found: dict[str, Any] = {"said": said, "reasoning": reasoning, "parse": "unparsed"}
    if wanted.lower() in _WORDS:
        answer = _word(text)
        found |= {"kind": "verify", "gold_correct": _WORDS[wanted.lower()]}
        return found if answer is None else {**found, "parse": "ok", "says_correct": _WORDS[answer], "answered": answer}
    if options and wanted in options and not _LETTER.fullmatch(wanted):
        wanted = LETTERS[options.index(wanted)] if options.index(wanted) < 26 else ""
    if _LETTER.fullmatch(wanted):
        letter = _letter(text, options)
        found |= {"kind": "choose", "gold_choice": wanted}
        if options:
            found["options"] = list(LETTERS[: len(options)])
        return found if letter is None else {**found, "parse": "ok", "choice": letter, "answered": letter}
    gold = _number(wanted)
    if gold is None:
        return None
    score = _number(_bare(text))
    found |= {"kind": "score", "gold_score": gold}
    return found if score is None else {**found, "parse": "ok", "score": score, "answered": f"{score:g}"}


def _split_reasoning(said: str) -> tuple[str | None, str]:
    """Return the reasoning inside a reply, None where there is none, and the rest."""
    blocks = [found.strip() for found in _REASONING.findall(said)]
    rest = _REASONING.sub("", said)
    if unopened := _UNOPENED.match(rest):
        blocks.insert(0, unopened[1].strip())
        rest = rest[unopened.end() :]
    return "\n".join(filter(None, blocks)) or None, rest.strip()


def _bare(text: str) -> str:
    tagged = _TAGGED.findall(text)
    bare = (tagged[-1] if tagged else text)[: _REACH * 4].strip(_WRAPPING)
    return _LEADS.sub("", bare, count=1).strip(_WRAPPING)


def _word(text: str) -> str | None:
    bare = _bare(text)
    found = _FIRST_WORD.match(bare) or _LAST.search(text[-_REACH:])
    return found[1].lower() if found and found[1].lower() in _WORDS else None


def _letter(text: str, options: list[str] | None) -> str | None:
    bare = _bare(text)
    if _LETTER.fullmatch(bare.upper()):
        return bare.upper()
    if options and bare.lower() in (lowered := [option.lower().strip(_WRAPPING) for option in options]):
        return LETTERS[lowered.index(bare.lower())]
    found = _FIRST_LETTER.match(bare) or _LAST.search(text[-_REACH:])
    return found[1] if found and _LETTER.fullmatch(found[1]) else None


def _number(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


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
