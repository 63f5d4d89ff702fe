"""The literal text that would have been the right answer to a question as it was put."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.records import LETTERS, TRUE_FALSE, claims

if TYPE_CHECKING:
    from collections.abc import Mapping


def target(row: Mapping[str, object]) -> str:
    """Return the right word, letter or number for one row of the answers table; empty where the truth is not known."""
    kind = row["kind"]
    if kind in {"verify", "detect"}:
        return _word(row)
    if kind == "choose":
        return _letter(row)
    if kind == "prefer":
        if row["gold_prefer"] not in {"this", "other"}:
            return ""
        better_first = (row["gold_prefer"] == "this") == (row["pair_order"] != "ba")
        # The negative wording asks which of the two is worse.
        return TRUE_FALSE["a_b"][0 if better_first == (row["framing"] != "negative") else 1]
    gold = row["gold_score"]
    return f"{gold:g}" if isinstance(gold, float) else ""


def _word(row: Mapping[str, object]) -> str:
    gold, words, framing = row["gold_correct"], row["answer_words"] or "true_false", row["framing"]
    if gold is None or words not in TRUE_FALSE or framing not in {"positive", "negative", "neutral"}:
        return ""
    order = row["option_order"]
    said = claims(framing, words, tuple(order) if isinstance(order, list) else ())
    return next((word for word, correct in said.items() if correct == gold), "")


def _letter(row: Mapping[str, object]) -> str:
    options, gold, order = row["options"], row["gold_choice"], row["option_order"]
    if not isinstance(options, list) or gold not in options:
        return ""
    place = options.index(gold)
    shown = order if isinstance(order, list) and sorted(order) == list(range(len(options))) else range(len(options))
    return LETTERS[list(shown).index(place)] if place < len(LETTERS) else ""
