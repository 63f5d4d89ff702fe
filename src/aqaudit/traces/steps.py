"""Splitting a reasoning text into steps: sentences, list items and clauses that draw a conclusion."""

from __future__ import annotations

import re

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
