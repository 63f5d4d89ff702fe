"""Examine the demo model on the other tasks: is an error there, which one is it, how good was it.

    python training/exam_tasks.py CLIPS MODEL [--split test] [--out tasks.json]

``detect`` and ``choose`` are asked of executions within tolerance or at least twice as severe as tolerated, ``score``
of all, each with eight frames and with frames of their mean colour. Intervals are by performer. ``constant`` is what
the best answer given every time is worth.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
from scipy.stats import spearmanr

import exam
import lessons
from aqaudit.models.catalog import load, open_model
from clips import Clips

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Literal

    from aqaudit.core.records import Framing, Question
    from aqaudit.models.call import Call

_SAID = re.compile(r"<answer>(.*)</answer>", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question as it is asked: its task, of whom, what is right (as said, and as meant), and of how many."""

    task: str
    performer: str
    blank: bool
    correct: bool
    right: str
    meant: str
    options: int


def questions(clips: Clips, places: Any) -> Iterator[tuple[int, Question, Literal["detect", "choose", "score"]]]:
    """Yield the questions about what was varied in each clip."""
    for at in places:
        clear = exam.varied(clips, at) is not None
        for question in clips.questions[at]:
            if question.kind == "score":
                yield at, question, "score"
            elif clear and (question.kind == "choose" or (question.kind == "detect" and question.severity is not None)):
                yield at, question, "choose" if question.kind == "choose" else "detect"


def calls(clips: Clips, places: Any, folder: Path) -> Iterator[tuple[Asked, Call]]:
    """Yield every question with what is sent."""
    draw = random.Random(0)
    for at, question, task in questions(clips, places):
        ways = exam.shown(clips, at, folder)
        framings: tuple[Framing, ...] = ("positive", "negative") if task == "detect" else ("positive",)
        for framing in framings:
            lesson = lessons.ask(question, framing, "true_false", "frames", draw)
            for blank, parts in ways.items():
                asked = Asked(
                    task=task,
                    performer=clips.facts[at]["performer"],
                    blank=blank,
                    correct=bool(question.gold_correct),
                    right=lesson.answer if task != "score" else str(question.gold_score),
                    meant=question.gold_choice or "",
                    options=len(lesson.options),
                )
                yield asked, exam.call(question, framing, lesson.text, parts, lesson.options)


def balanced(asked: Sequence[Asked], said: Sequence[str], weights: Any) -> float:
    """Return the balanced accuracy."""
    return exam.balanced(np.array([one.correct for one in asked]), _right(asked, said), weights)


def share(asked: Sequence[Asked], said: Sequence[str], weights: Any) -> float:
    """Return the share of right answers."""
    return float((weights * _right(asked, said)).sum() / weights.sum())


def _right(asked: Sequence[Asked], said: Sequence[str]) -> Any:
    return np.array([one.right == what for one, what in zip(asked, said, strict=True)])


def ranks(asked: Sequence[Asked], said: Sequence[str], weights: Any) -> float:
    """Return Spearman's correlation of scores and truth; 0 where every score is the same, as everywhere in AQAudit."""
    repeated = np.repeat(np.arange(len(asked)), weights.astype(int))
    truth, given = ([float(what[at]) for at in repeated] for what in ([one.right for one in asked], said))
    return float(spearmanr(truth, given).statistic) if len(set(truth)) > 1 < len(set(given)) else 0.0


MEASURES: dict[str, tuple[str, Callable[[Sequence[Asked], Sequence[str], Any], float]]] = {
    "detect": ("balanced accuracy", balanced),
    "choose": ("accuracy", share),
    "score": ("Spearman", ranks),
}
#: What any constant answer is worth, and what guessing is.
NOTHING = {"detect": 0.5, "score": 0.0}


def row(task: str, asked: Sequence[Asked], said: Sequence[str]) -> dict[str, Any]:
    """Return a task's figures with the pictures and without."""
    name, measure = MEASURES[task]
    found: dict[str, Any] = {"task": task, "measure": name}
    for place, blank in (("picture", False), ("blank", True)):
        at = [i for i, one in enumerate(asked) if one.task == task and one.blank == blank]
        part = [asked[i] for i in at]
        of_weights = partial(measure, part, [said[i] for i in at])
        low, high = exam.interval([one.performer for one in part], of_weights)
        found |= {place: of_weights(np.ones(len(part))), f"{place}_low": low, f"{place}_high": high}
        found |= {"items": len(part), "performers": len({one.performer for one in part})}
    options = [one.options for one in asked if one.task == task]
    meant = Counter(one.meant for one in asked if one.task == "choose" and not one.blank)
    found["constant"] = meant.most_common(1)[0][1] / meant.total() if task == "choose" else NOTHING[task]
    found["chance"] = NOTHING.get(task, float(np.mean([1 / max(1, one) for one in options])))
    return found


def main() -> None:
    """Examine and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    clips = Clips.read(given.clips)
    with tempfile.TemporaryDirectory() as scratch:
        pairs = list(calls(clips, clips.of(given.split), Path(scratch)))
        demo = open_model("demo", load("demo", {"model": str(given.model)}))
        replies = anyio.run(exam.ask, demo, [call for _, call in pairs])
    asked = [one for one, _ in pairs]
    said = [match[1] if (match := _SAID.search(reply.text)) else "" for reply in replies]
    unread = sum(not what for what in said)
    rows = [row(task, asked, said) for task in MEASURES]
    for one in rows:
        print(
            f"{one['task']:8} {one['measure']:18} {one['items']:5} items {one['performers']:3} people  "
            f"picture {one['picture']:.3f} [{one['picture_low']:.3f}, {one['picture_high']:.3f}]  "
            f"blank {one['blank']:.3f} [{one['blank_low']:.3f}, {one['blank_high']:.3f}]  chance {one['chance']:.3f}  "
            f"constant {one['constant']:.3f}"
        )
    print(f"{unread} of {len(said)} answers could not be read")
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
