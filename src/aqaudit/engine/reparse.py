"""Reading stored texts anew: after a parser was improved, without asking any model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aqaudit.engine.asking import PARSED_COLUMNS
from aqaudit.engine.journal import Change
from aqaudit.engine.parse import Expected, Parsed, logprobs_from_json, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aqaudit.engine.journal import Journal

NEEDED = (
    "answer_key", "kind", "framing", "answer_words", "options", "option_order", "pair_order", "scale_min", "scale_max",
    "said", "finish_reason", "option_logprobs", *PARSED_COLUMNS,
)  # fmt: skip


def reparse(journal: Journal) -> tuple[int, int]:
    """Parse every stored text again and store what changed; return how many rows were read and how many changed."""
    changes: list[Change] = []
    read = 0
    for row in journal.rows(NEEDED):
        read += 1
        parsed = parsed_row(row)
        fresh = {name: getattr(parsed, name) for name in PARSED_COLUMNS}
        changed = {name: value for name, value in fresh.items() if row[name] != value}
        if changed:
            changes.append(Change(answer_key=str(row["answer_key"]), columns=changed))
    journal.update(changes)
    return read, len(changes)


def parsed_row(row: Mapping[str, Any]) -> Parsed:
    """Parse the text of one stored row (the columns of :data:`NEEDED`)."""
    expected = Expected(
        kind=row["kind"],
        framing=row["framing"],
        answer_words=row["answer_words"] or "true_false",
        options=row["options"] or (),
        option_order=row["option_order"] or (),
        pair_order=row["pair_order"] or "ab",
        scale_min=row["scale_min"],
        scale_max=row["scale_max"],
    )
    logprobs = logprobs_from_json(row["option_logprobs"])
    return parse(row["said"] or "", expected, finish_reason=row["finish_reason"], option_logprobs=logprobs)
