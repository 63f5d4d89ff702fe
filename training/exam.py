"""Examine the demo model on people it has never seen, and show what it can and cannot tell.

    python training/exam.py CLIPS MODEL [--split test] [--hf] [--out exam.json]

Asked is whether the criterion that was varied is met, in positive and in negative words, of every clip of the split
that is within tolerance or at least twice as severe as tolerated: once with its eight frames, once with frames of their
mean colour. ``--hf`` asks transformers as well and says how far both agree.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
from PIL import Image

from aqaudit.core.records import Cell, Chain, MediaPart, MediaSpec, Request
from aqaudit.models.call import Call
from aqaudit.models.catalog import load, open_model
from aqaudit.prompts.framing import option_words
from aqaudit.prompts.strategies import chain
from clips import Clips

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aqaudit.core.records import Framing, Question
    from aqaudit.models.call import Model, Reply

_CLEAR = 2.0
_REACHED = 0.75
_DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question asked once: what is true, what was answered, and of what."""

    error: str
    performer: str
    framing: str
    blank: bool
    correct: bool
    says_correct: bool | None


def balanced(correct: np.ndarray[Any, Any], right: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> float:
    """Return the mean of the shares right among correct and among faulty executions; an unread answer is wrong.

    NaN where there are executions of one kind only.
    """
    shares = []
    for truth in (True, False):
        of = correct == truth
        there = float((weights * of).sum())
        shares.append(float((weights * (of & right)).sum()) / there if there else math.nan)
    return sum(shares) / 2


def accuracy(items: Sequence[Item], weights: np.ndarray[Any, Any] | None = None) -> float:
    """Return the balanced accuracy of items."""
    correct = np.array([item.correct for item in items])
    right = np.array([item.says_correct == item.correct for item in items])
    return balanced(correct, right, np.ones(len(items)) if weights is None else weights)


def interval(performers: Sequence[str], measure: Callable[[np.ndarray[Any, Any]], float]) -> tuple[float, float]:
    """Return a 95 % interval of a measure of weighted items: their performers drawn anew with replacement."""
    people = sorted(set(performers))
    of = np.array([people.index(one) for one in performers])
    draw = np.random.default_rng(0)
    if math.isnan(measure(np.ones(len(of)))):
        return math.nan, math.nan
    drawn = (draw.integers(0, len(people), len(people)) for _ in range(_DRAWS))
    values = [measure(np.bincount(who, minlength=len(people))[of].astype(float)) for who in drawn]
    # A draw of people who all did it alike shows nothing to tell apart.
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def varied(clips: Clips, at: int) -> Question | None:
    """Return the question about what was varied, where it is clear."""
    facts = clips.facts[at]
    severity = float(clips.severity[at][clips.errors.index((facts["exercise"], facts["error"]))])
    if 1 < severity < _CLEAR:
        return None
    return next(q for q in clips.questions[at] if q.kind == "verify" and q.severity is not None)


def stored(picture: np.ndarray[Any, Any], folder: Path) -> MediaPart:
    """Write a picture without loss."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    (folder / digest).write_bytes(file.getvalue())
    return MediaPart(sha256=digest, path=folder / digest, mime="image/png", size=file.tell())


def shown(clips: Clips, at: int, folder: Path) -> dict[bool, list[MediaPart]]:
    """Return what is shown of a clip: its frames, and (True) as many of their mean colour."""
    pictures = clips.pictures[at]
    mean = np.rint(pictures.mean(axis=(0, 1, 2))).astype(np.uint8)
    plain = np.broadcast_to(mean, pictures.shape[1:]).copy()
    return {False: [stored(one, folder) for one in pictures], True: [stored(plain, folder)] * len(pictures)}


def call(question: Question, framing: Framing, text: str, parts: Sequence[MediaPart], words: Sequence[str]) -> Call:
    """Return a question as a model takes it."""
    request = Request(
        answer_key="", key_fields=("",) * 5, question=question, cell=Cell(model="demo", framing=framing),
        chain=Chain(prompt_id="", steps=()), spec=MediaSpec(),
    )  # fmt: skip
    return Call(parts=(*parts, text), request=request, option_words=tuple(words), seed=0)


def calls(clips: Clips, places: Iterable[int], folder: Path) -> Iterable[tuple[Item, Call]]:
    """Yield every item, not answered yet, with what is sent."""
    for at in places:
        question = varied(clips, at)
        if question is None:
            continue
        framings: tuple[Framing, ...] = ("positive", "negative")
        ways = shown(clips, at, folder)
        for framing in framings:
            step = chain(question, "base", framing, "true_false", "frames").steps[-1]
            text = "".join(part for part in step.parts if isinstance(part, str))
            for blank, parts in ways.items():
                item = Item(
                    error=f"{clips.facts[at]['exercise']}: {clips.facts[at]['error']}",
                    performer=clips.facts[at]["performer"],
                    framing=framing,
                    blank=blank,
                    correct=bool(question.gold_correct),
                    says_correct=None,
                )
                yield item, call(question, framing, text, parts, option_words(question, "true_false"))


def answered(item: Item, reply: Reply) -> Item:
    """Return an item with what a reply says of the execution."""
    said = {"<answer>True</answer>": True, "<answer>False</answer>": False}.get(reply.text)
    return replace(item, says_correct=None if said is None else said == (item.framing == "positive"))


async def ask(model: Model, asked: Sequence[Call]) -> list[Reply]:
    """Ask one after the other."""
    return [await model.ask(call) for call in asked]


def table(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Return one row for all, one for each exercise and one for each error."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        for name in ("all", item.error.partition(":")[0], item.error):
            groups[name].append(item)
    rows = []
    for name, group in sorted(groups.items(), key=lambda pair: (pair[0] != "all", pair[0])):
        seen, blank = [i for i in group if not i.blank], [i for i in group if i.blank]
        low, high = interval([i.performer for i in seen], partial(accuracy, seen))
        rows.append(
            {
                "of": name,
                "items": len(seen),
                "performers": len({i.performer for i in seen}),
                "picture": accuracy(seen),
                "low": low,
                "high": high,
                "positive": accuracy([i for i in seen if i.framing == "positive"]),
                "negative": accuracy([i for i in seen if i.framing == "negative"]),
                "blank": accuracy(blank),
                "unread": sum(i.says_correct is None for i in group),
                "learned": accuracy(seen) >= _REACHED,
            }
        )
    return rows


def agreement(ours: Sequence[Reply], theirs: Sequence[Reply]) -> dict[str, Any]:
    """Return on how many items two ways of running a model give the same text, and how far log-probabilities differ."""
    gaps = [
        abs((a.option_logprobs or {})[word] - (b.option_logprobs or {})[word])
        for a, b in zip(ours, theirs, strict=True)
        for word in a.option_logprobs or {}
    ]
    same = sum(a.text == b.text for a, b in zip(ours, theirs, strict=True))
    return {"items": len(ours), "same": same / len(ours), "largest_gap": max(gaps)}


def main() -> None:
    """Examine and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--hf", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    clips = Clips.read(given.clips)
    with tempfile.TemporaryDirectory() as scratch:
        pairs = list(calls(clips, clips.of(given.split), Path(scratch)))
        asked = [call for _, call in pairs]
        demo = open_model("demo", load("demo", {"model": str(given.model)}))
        replies = anyio.run(ask, demo, asked)
        rows = table([answered(item, reply) for (item, _), reply in zip(pairs, replies, strict=True)])
        found: dict[str, Any] = {"split": given.split, "rows": rows}
        if given.hf:
            entry = load("hf", {"provider": "hf", "model": str(given.model), "logprobs": True, "max_output_tokens": 24})
            found["agreement"] = agreement(replies, anyio.run(ask, open_model("hf", entry), asked))
    for row in rows:
        print(
            f"{row['of']:28} {row['items']:5} items {row['performers']:3} people  picture {row['picture']:.3f} "
            f"[{row['low']:.3f}, {row['high']:.3f}]  +{row['positive']:.2f} -{row['negative']:.2f}  "
            f"blank {row['blank']:.3f}{'  learned' if row['learned'] else ''}"
        )
    print(json.dumps(found.get("agreement", {})))
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
