"""The rule scorer: tags a step by a lexicon and patterns, offline and the same every time.

The cues are data (``lexicon.toml``): each adds its weight to a tag when one of its patterns is found, and the tag with
the largest sum wins. What a step quotes is not its own claim, so quotations are taken out first.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

from aqaudit.traces.tags import TAGS

_QUOTED = re.compile(
    r'"[^"]{1,400}"|\u201c[^\u201d]{1,400}\u201d|\u00ab[^\u00bb]{1,400}\u00bb|(?<![\w])\'[^\']{12,400}\'(?!\w)'
)
_QUOTE = " QUOTE "


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


def weights(step: str) -> dict[str, float]:
    """Return what a step's cues add up to, by tag; every tag is there."""
    text = unquoted(step)
    sums: defaultdict[str, float] = defaultdict(float)
    for cue in _lexicon().cues:
        if cue.shown_by(text):
            sums[cue.tag] += cue.weight
    return {tag: sums[tag] for tag in TAGS}


@lru_cache(maxsize=65536)
def tag(step: str) -> str:
    """Return the tag of a step, one of :data:`aqaudit.traces.tags.TAGS`."""
    sums = weights(step)
    return max(_lexicon().order, key=lambda name: sums[name])


def unquoted(step: str) -> str:
    """Return a step in lower case, with plain apostrophes, and the word QUOTE in place of what it quotes."""
    text = _QUOTED.sub(_QUOTE, step.replace("\u2019", "'").replace("\u2018", "'"))
    return _QUOTE.join(part.lower() for part in text.split(_QUOTE))
