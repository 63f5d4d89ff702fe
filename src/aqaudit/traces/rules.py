"""The rule scorer: cuts a trace into steps and tags each by a lexicon, offline and the same every time.

The cues are data (``lexicon.toml``): each adds its weight to a tag when one of its patterns is found, and the tag with
the largest sum wins. What a step quotes is not its own claim, so quotations are taken out first.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

OBSERVATION, RULE, ASSUMPTION, PRESTIGE = "observation", "rule", "assumption", "prestige"
CANONICAL, CORRELATE, CONCLUSION, OTHER = "canonical", "correlate", "conclusion", "other"

#: Tag -> what a step with this tag does; the judge model is told the same sentences.
TAGS: Mapping[str, str] = {
    OBSERVATION: "says what is seen of this performance: a body part, a position, a movement, a moment",
    RULE: "restates the statement, guideline, scale or definition of correct form, without saying whether it is met",
    ASSUMPTION: "supposes something about this performance that was not seen: hidden, guessed, taken for granted",
    PRESTIGE: "infers quality from who performs or where: champion, professional, coach, competition, beginner",
    CANONICAL: "takes how the exercise is usually done, or what its name says, for what was done here",
    CORRELATE: "infers quality from something that merely goes along with it: height, speed, weight, smile, applause",
    CONCLUSION: "states the verdict: true or false, met or not, a score, the better one",
    OTHER: "none of these: plans, talk about the task, filler",
}

#: The tags under which a judgement rests on a prior instead of the picture.
RED_FLAGS: tuple[str, ...] = (ASSUMPTION, PRESTIGE, CANONICAL, CORRELATE)

#: A trace is read up to here, a step kept up to there; what comes from a model is bounded before it is searched.
MAX_CHARACTERS = 60_000
MAX_STEPS = 300
MAX_STEP_CHARACTERS = 600

_ANSWER = re.compile(r"<answer>[^<]{0,2000}(?:</answer>|\Z)", re.IGNORECASE)
_THINK = re.compile(r"</?think(?:ing)?>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z_]{1,20}>", re.IGNORECASE)
_BULLET = re.compile(r"^\s{0,40}(?:[-*\u2022\u2023\u25e6>]{1,3}\s+|\(?\d{1,3}[.)]\s+|\(?[a-h][.)]\s+|#{1,6}\s+)")
_EMPHASIS = re.compile(r"\*{1,3}|__|`")
_HEADING = re.compile(r"^[^.!?,;]{1,60}:\s{0,9}$")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|approx|vs|etc|deg|fig|no|cf|ca|dr|mr|mrs|st)|\b[A-Z])\.$", re.IGNORECASE)
_END = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)\]]{0,2}\s+(?=[\"'\u201c\u2018(\[]?[A-Z0-9])|(?<=[\u3002\uff01\uff1f])")
_CLAUSE = re.compile(
    r";\s+|,?\s+(?:\u2014|\u2013|--)\s+(?=(?:so|therefore|thus|hence)\b)|,\s+(?=(?:therefore|thus|hence)\b)"
)
_THEN = re.compile(
    r",\s+(?=(?:and\s+)?so\s+(?:the\s+(?:statement|answer|guideline|criterion|error|score)"
    r"|i\s+(?:would|choose|judge|rate|give)|it\s+is\s+(?:true|false)))",
    re.IGNORECASE,
)
_QUOTED = re.compile(
    r'"[^"]{1,400}"|\u201c[^\u201d]{1,400}\u201d|\u00ab[^\u00bb]{1,400}\u00bb|(?<![\w])\'[^\']{12,400}\'(?!\w)'
)
_QUOTE = " QUOTE "


def trace_of(reasoning: str | None, said: str | None) -> str:
    """Return the reasoning behind an answer: the thinking that came with it, then what was said before the answer.

    The answer itself (``<answer>...</answer>``) is left out, tags such as ``<look>`` only break lines. Empty where the
    model said nothing but its answer.
    """
    parts = []
    for text in (reasoning, said):
        if text:
            plain = _THINK.sub("\n", _ANSWER.sub("\n", text[:MAX_CHARACTERS]))
            parts.append(_TAG.sub("\n", plain).strip())
    trace = "\n".join(part for part in parts if part)
    # A bare verdict such as "True" is no reasoning.
    return trace if len(trace.split()) > 3 else ""


def split(trace: str) -> list[str]:
    """Return the steps of a trace in order, each one line of at most :data:`MAX_STEP_CHARACTERS` characters.

    Lines, list items and sentences are steps; headings that end in a colon are dropped. A sentence is split at a
    semicolon and before a clause that begins with "therefore", "thus" or "hence", so that an observation and the
    verdict drawn from it are two steps.
    """
    steps: list[str] = []
    for line in trace[:MAX_CHARACTERS].splitlines():
        text = " ".join(_EMPHASIS.sub("", _BULLET.sub("", line)).split())
        if not text or _HEADING.match(text):
            continue
        for sentence in _sentences(text):
            for clause in _clauses(sentence):
                steps.append(clause[:MAX_STEP_CHARACTERS])
                if len(steps) == MAX_STEPS:
                    return steps
    return steps


def _sentences(line: str) -> list[str]:
    found: list[str] = []
    start = 0
    for end in _END.finditer(line):
        if _ABBREVIATION.search(line[max(0, end.start() - 8) : end.start()]):
            continue
        found.append(line[start : end.end()].strip())
        start = end.end()
    found.append(line[start:].strip())
    return [sentence for sentence in found if any(c.isalnum() for c in sentence)]


def _clauses(sentence: str) -> list[str]:
    if sentence.count('"') or "\u201c" in sentence:  # a quotation is not ours to cut
        return [sentence]
    parts = [part.strip() for clause in _CLAUSE.split(sentence) for part in _THEN.split(clause)]
    whole = [part for part in parts if part]
    return whole if len(whole) > 1 and all(len(part.split()) >= 3 for part in whole) else [sentence]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cue:
    tag: str
    weight: float
    match: re.Pattern[str]
    needs: re.Pattern[str] | None
    unless: re.Pattern[str] | None

    def shown_by(self, text: str) -> bool:
        return (
            self.match.search(text) is not None
            and (self.needs is None or self.needs.search(text) is not None)
            and (self.unless is None or self.unless.search(text) is None)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lexicon:
    name: str
    order: tuple[str, ...]
    cues: tuple[_Cue, ...]


@cache
def _lexicon() -> _Lexicon:
    table = tomllib.loads(resources.files("aqaudit.traces").joinpath("lexicon.toml").read_text(encoding="utf-8"))
    words = table["words"]

    def pattern(patterns: list[str]) -> re.Pattern[str]:
        joined = "|".join(f"(?:{one})" for one in patterns)
        return re.compile(re.sub(r"@(\w+)", lambda found: words[found[1]], joined))

    cues = tuple(
        _Cue(
            tag=cue["tag"],
            weight=cue["weight"],
            match=pattern(cue["match"]),
            needs=pattern(cue["needs"]) if "needs" in cue else None,
            unless=pattern(cue["unless"]) if "unless" in cue else None,
        )
        for cue in table["cue"]
    )
    return _Lexicon(name=f"rules.v{table['version']}", order=tuple(table["order"]), cues=cues)


def scorer() -> str:
    """Return the name under which the rule scorer's tags are kept: it changes when the lexicon does."""
    return _lexicon().name


@lru_cache(maxsize=65536)
def tag(step: str) -> str:
    """Return the tag of a step, one of :data:`TAGS`: that whose cues weigh most, of equals the first of the lexicon."""
    text = unquoted(step)
    weights: defaultdict[str, float] = defaultdict(float)
    for cue in _lexicon().cues:
        if cue.shown_by(text):
            weights[cue.tag] += cue.weight
    return max(_lexicon().order, key=lambda name: weights[name])


def unquoted(step: str) -> str:
    """Return a step in lower case, with plain apostrophes, and the word QUOTE in place of what it quotes."""
    text = _QUOTED.sub(_QUOTE, step.replace("\u2019", "'").replace("\u2018", "'"))
    return _QUOTE.join(part.lower() for part in text.split(_QUOTE))
