"""Reasoning traces as one row an answer and scorer: what an audit of traces counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import polars as pl

from aqaudit.table import TRUTH_AND_ANSWER
from aqaudit.traces import claims, reading, rules, steps
from aqaudit.traces.kinematics import movements
from aqaudit.traces.reading import Step
from aqaudit.traces.tags import TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aqaudit.sidecars import Sidecars
    from aqaudit.traces.kinematics import Movement
    from aqaudit.traces.stance import Stance

#: What every row says; ``flag`` is empty where no red flag carries the conclusion.
SCHEMA: Mapping[str, pl.DataType] = {
    "answer_key": pl.String(),
    "question_id": pl.String(),
    "scorer": pl.String(),
    "cluster": pl.String(),
    "gold": pl.String(),
    "right": pl.Boolean(),
    "chance": pl.Float64(),
    "steps": pl.Int64(),
    "flag": pl.String(),
    "supported": pl.Boolean(),
    "contradicted": pl.Boolean(),
    "checkable": pl.Boolean(),
    "grounded": pl.Boolean(),
    "consistent": pl.Boolean(),
}
_READ = (
    "answer_key", "question_id", "performance_id", "performer", "kind", "framing", "criterion", "error", "options",
    "parse", "reasoning", "said", "answered", "says_correct", "score", "scale_min", "scale_max", "choice", "prefer",
    "gold_correct", "gold_choice", "gold_prefer", "gold_score",
)  # fmt: skip


def with_traces(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the answers that came with more than a bare verdict."""
    said = pl.col("said").str.replace_all(r"(?is)<answer>.*?(?:</answer>|\z)", " ")
    words = said.str.count_matches(r"\S+").fill_null(0)
    thought = pl.col("reasoning").str.count_matches(r"\S+").fill_null(0)
    return frame.filter(words + thought > 3)


class Traces:
    """The tagged steps of a table's traces by scorer and answer, and the movements they are held against.

    Steps come from the sidecar ``trace_steps``; where it lacks the rule scorer's tags of an answer, they are made here,
    which needs its text only.
    """

    def __init__(self, frame: pl.DataFrame, sidecars: Sidecars) -> None:
        kept = sidecars.get("trace_steps")
        self._kept: dict[str, dict[str, list[Step]]] = defaultdict(dict)
        if kept is not None:
            keys = frame.select("answer_key").unique()
            self._read(kept.join(keys, on="answer_key", how="semi").sort("scorer", "answer_key", "step", "tag"))
        self.judges = tuple(sorted(name for name in self._kept if not is_rules(name)))
        kinematics = sidecars.get("kinematics")
        shown = frame.select("performance_id").unique()
        self.movements: Mapping[str, Movement] = (
            {} if kinematics is None else movements(kinematics.join(shown, on="performance_id", how="semi"))
        )

    def _read(self, kept: pl.DataFrame) -> None:
        for scorer, key, tag, text, claim in kept.select("scorer", "answer_key", "tag", "text", "claim").iter_rows():
            if tag in TAGS:
                found = claims.from_json(claim) if claim else claims.claims(text or "")
                self._kept[scorer].setdefault(key, []).append(Step(text=text or "", tag=tag, claims=found))

    def of(self, answer_key: str, reasoning: str | None, said: str | None) -> Iterator[tuple[str, list[Step]]]:
        """Yield scorer and steps of one answer: the rule scorer first, under the name ``rules``."""
        by_rules = next((self._kept[name][answer_key] for name in sorted(self._kept, reverse=True)
                         if is_rules(name) and answer_key in self._kept[name]), None)  # fmt: skip
        trace = by_rules if by_rules is not None else reading.tagged(steps.trace_of(reasoning, said))
        if trace:
            yield "rules", trace
        for judge in self.judges:
            if found := self._kept[judge].get(answer_key):
                yield judge, found

    def pairs(self, keys: Sequence[str], rows: Mapping[str, tuple[str | None, str | None]], judge: str) -> pl.DataFrame:
        """Return the tags of the rule scorer and of a judge for the same steps (``trace``, ``first``, ``second``)."""
        found: list[tuple[str, str, str]] = []
        for key in keys:
            by = dict(self.of(key, *rows[key]))
            if "rules" in by and judge in by and len(by["rules"]) == len(by[judge]):
                found += [(key, a.tag, b.tag) for a, b in zip(by["rules"], by[judge], strict=True)]
        return pl.DataFrame(found, schema={"trace": pl.String, "first": pl.String, "second": pl.String}, orient="row")


def is_rules(scorer: str) -> bool:
    """Tell whether a name in the sidecar is the rule scorer's."""
    return scorer.partition(".")[0] == rules.scorer().partition(".")[0]


def readings(answers: pl.DataFrame, traces: Traces) -> tuple[pl.DataFrame, dict[str, Counter[str]]]:
    """Return one row of :data:`SCHEMA` an answer and scorer, and how often each scorer gave each tag.

    Parameters
    ----------
    answers : polars.DataFrame
        Answers of one scope that have a trace (:func:`with_traces`).
    """
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA}
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    for row in answers.select(_READ).sort("answer_key", "question_id").iter_rows(named=True):
        movement = traces.movements.get(row["performance_id"])
        gold, right = _truth(row)
        for scorer, trace in traces.of(row["answer_key"], row["reasoning"], row["said"]):
            tags[scorer].update(step.tag for step in trace)
            topics = reading.topics_of((row["criterion"], row["error"]), trace)
            read = reading.read(trace, topics, movement)
            values = (
                row["answer_key"], row["question_id"], scorer, row["performer"], gold, right, _chance(row), len(trace),
                read.flag or "", read.supported, read.contradicted, read.checkable, read.grounded,
                _consistent(read.stance, row),
            )  # fmt: skip
            for name, value in zip(SCHEMA, values, strict=True):
                columns[name].append(value)
    return pl.DataFrame(columns, schema=SCHEMA), tags


def _truth(row: Mapping[str, Any]) -> tuple[str | None, bool | None]:
    """Return the class of the truth and whether the answer is right; an unread one is wrong. Scores have neither."""
    if row["kind"] == "score":
        return None, None
    gold, answer = TRUTH_AND_ANSWER[row["kind"]]
    truth = row[gold]
    if truth is None:
        return None, None
    return str(truth), row["parse"] == "ok" and row[answer] == truth


def _chance(row: Mapping[str, Any]) -> float:
    options = row["options"]
    return 1 / len(options) if row["kind"] == "choose" and options else 0.5


def _consistent(stated: Stance | None, row: Mapping[str, Any]) -> bool | None:
    """Return whether the verdict stated in the trace is the one given; None where they cannot be compared."""
    if stated is None or row["parse"] != "ok":
        return None
    if row["kind"] == "score":
        return _same_score(stated.score, row)
    if stated.letter is not None and isinstance(row["answered"], str) and len(row["answered"]) == 1:
        return stated.letter == row["answered"].lower()
    if row["kind"] not in {"verify", "detect"} or row["says_correct"] is None:
        return None
    affirms = row["says_correct"] == (row["framing"] != "negative")
    pairs = ((stated.statement, affirms), (stated.correct, row["says_correct"]))
    return next((bool(said == given) for said, given in pairs if said is not None), None)


def _same_score(stated: float | None, row: Mapping[str, Any]) -> bool | None:
    if stated is None or row["score"] is None:
        return None
    width = (row["scale_max"] or 0.0) - (row["scale_min"] or 0.0)
    return abs(stated - float(row["score"])) <= max(0.05, 0.01 * width)
