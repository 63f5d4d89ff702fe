"""Examine the demo model on the other tasks: is an error there, which one is it, how good was it.

    python training/exam_tasks.py CLIPS MODEL [--split test] [--out tasks.json]

``detect`` and ``choose`` are asked of executions within tolerance or at least twice as severe as tolerated, ``score``
of all, each with eight frames and with frames of their mean colour. Intervals are by performer. ``constant`` is what
the best answer given every time is worth.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
from scipy.stats import rankdata

import exam
import lessons
from aqaudit.models.call import Call
from aqaudit.models.catalog import load, open_model
from aqaudit.records import Cell, Chain, MediaSpec, Request
from clips import Clips

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Literal

    from aqaudit.records import Framing, Question

_SAID = re.compile(r"<answer>(.*)</answer>", re.DOTALL)
_DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question as it is asked: its task, of whom, what is right (as said, and as meant), and of how many."""

    task: str
    performer: str
    blank: bool
    faulty: bool
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
        plain = np.rint(clips.pictures[at].mean(axis=(0, 1, 2))).astype(np.uint8)
        blank = np.broadcast_to(plain, clips.pictures[at].shape[1:]).copy()
        shown = {
            False: [exam.stored(one, folder) for one in clips.pictures[at]],
            True: [exam.stored(blank, folder)] * 8,
        }
        framings: tuple[Framing, ...] = ("positive", "negative") if task == "detect" else ("positive",)
        for framing in framings:
            lesson = lessons.ask(question, framing, "true_false", "frames", draw)
            request = Request(
                answer_key="", key_fields=("",) * 5, question=question, cell=Cell(model="demo", framing=framing),
                chain=Chain(prompt_id="", steps=()), spec=MediaSpec(),
            )  # fmt: skip
            right = lesson.answer if task != "score" else str(question.gold_score)
            for unseen, parts in shown.items():
                asked = Asked(
                    task=task,
                    performer=clips.facts[at]["performer"],
                    blank=unseen,
                    faulty=not question.gold_correct if task == "detect" else False,
                    right=right,
                    meant=question.gold_choice or "",
                    options=len(lesson.options),
                )
                yield asked, Call(parts=(*parts, lesson.text), request=request, option_words=lesson.options, seed=0)


def balanced(asked: Sequence[Asked], said: Sequence[str], weights: Any) -> float:
    """Return the mean of the shares right among correct and among faulty executions."""
    right = np.array([one.right == what for one, what in zip(asked, said, strict=True)])
    shares = []
    for truth in (True, False):
        of = weights * np.array([one.faulty == truth for one in asked])
        shares.append(float((of * right).sum() / of.sum()) if of.sum() else math.nan)
    return sum(shares) / 2


def share(asked: Sequence[Asked], said: Sequence[str], weights: Any) -> float:
    """Return the share of right answers."""
    right = np.array([one.right == what for one, what in zip(asked, said, strict=True)])
    return float((weights * right).sum() / weights.sum())


def ranks(asked: Sequence[Asked], said: Sequence[str], weights: Any) -> float:
    """Return Spearman's correlation of scores and truth; 0 where every score is the same, as everywhere in AQAudit."""
    repeated = np.repeat(np.arange(len(asked)), weights.astype(int))
    truth, given = rankdata([float(asked[at].right) for at in repeated]), rankdata([float(said[at]) for at in repeated])
    return float(np.corrcoef(truth, given)[0, 1]) if truth.std() and given.std() else 0.0


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
    for blank in (False, True):
        at = [i for i, one in enumerate(asked) if one.task == task and one.blank == blank]
        part, answers = [asked[i] for i in at], [said[i] for i in at]
        people = sorted({one.performer for one in part})
        of = np.array([people.index(one.performer) for one in part])
        draw = np.random.default_rng(0)
        drawn = (draw.integers(0, len(people), len(people)) for _ in range(_DRAWS))
        values = [measure(part, answers, np.bincount(who, minlength=len(people))[of]) for who in drawn]
        low, high = (float(value) for value in np.nanpercentile(values, [2.5, 97.5]))
        place = "blank" if blank else "picture"
        found |= {place: measure(part, answers, np.ones(len(part))), f"{place}_low": low, f"{place}_high": high}
        found |= {"items": len(part), "performers": len(people)}
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
