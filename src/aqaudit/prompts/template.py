"""Prompt text: read from versioned files, never written in code.

A file ``NAME.vN.md`` starts with a sentence for people, then has one section per kind of question (``# verify``, or
``# prefer positive`` where the framing changes the wording), or one for all questions about one performance
(``# single``) and one for those about two (``# pair``). ``## step NAME`` splits a section into several calls;
``## step NAME (SWITCH)`` gives a call in several versions, the first of which is meant where nothing else is said.
Placeholders in braces are filled as plain text; ``{first}``, ``{second}`` and ``{step N}`` are places for media and for
the text of an earlier step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from aqaudit.core.plugins import PlugIns
from aqaudit.core.records import BadInput, Framing, Kind, Slot, nearest

WORDING = "wording"
#: Files beside those of the strategies.
_SHARED = frozenset({WORDING, "judging", "trace_judge", "trace_tests"})
#: Separates a strategy's name from its switches: ``two_step:shown+text``.
_SWITCHED, _AND = ":", "+"

_FILE = re.compile(r"(?P<name>[a-z_]+)\.v(?P<version>\d+)\.md")
_SLOT = re.compile(r"\{(first|second|step (\d+))\}")
_FIELD = re.compile(r"\{([a-z_]+)\}")
_STEP = re.compile(r"^## step (\w+)(?: \((\w+)\))?$", re.MULTILINE)


#: Characters of the longest file of a plug-in.
_LONGEST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateStep:
    """One call of a section as its file has it; ``switch`` names the version where there are several."""

    name: str
    switch: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One template file: its name with version, and the steps of each section."""

    id: str
    about: str
    sections: Mapping[str, tuple[TemplateStep, ...]]

    def text(self, name: str) -> str:
        """Return the text of a section that is a single piece of wording."""
        if name not in self.sections:
            raise BadInput(f"prompt template {self.id} has no section '{name}'{nearest(name, self.sections)}")
        return self.sections[name][0].text

    def calls(self, kind: Kind, framing: Framing) -> list[TemplateStep]:
        """Return the calls that ask a kind of question in a framing, each in the version that is meant.

        Raises
        ------
        BadInput
            The template has no wording for it.
        """
        whole = "pair" if kind == "prefer" else "single"
        # Neutral wording of a statement is not a statement: the plain section of the kind would not fit it.
        names = (f"{kind} {framing}", whole) if framing == "neutral" else (f"{kind} {framing}", kind, whole)
        title = next((name for name in names if name in self.sections), None)
        if title is None:
            raise BadInput(f"prompt template {self.id} has no section '{whole}'{nearest(whole, self.sections)}")
        meant: dict[str, TemplateStep] = {}
        for step in self.sections[title]:
            meant.setdefault(step.name, step)
        return list(meant.values())

    def switches(self) -> tuple[tuple[str, ...], ...]:
        """Return, for each call that comes in several versions, their names; the first is the default."""
        for steps in self.sections.values():
            by_name: dict[str, list[str]] = {}
            for step in steps:
                by_name.setdefault(step.name, []).append(step.switch)
            if several := tuple(tuple(versions) for versions in by_name.values() if len(versions) > 1):
                return several
        return ()


def _read(name: str, offered: object) -> tuple[int, str] | None:
    """Return version and text of a plug-in's strategy."""
    if not isinstance(offered, Path | str):
        return None
    path = Path(offered)
    match = re.fullmatch(rf"{re.escape(name)}\.v(\d+)\.md", path.name)
    if match is None:
        raise BadInput(f"strategy plug-in {name!r}: {path.name} is not called {name}.v1.md (or v2, and so on)")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadInput(f"strategy plug-in {name!r}: {path} cannot be read: {type(error).__name__}") from error
    if len(text) > _LONGEST or not re.search(r"^# \w+", text, re.MULTILINE):
        raise BadInput(f"strategy plug-in {name!r}: {path} holds no section such as '# verify', or is too long")
    return int(match[1]), text


def _built_in() -> set[str]:
    return {entry.name.partition(".")[0] for entry in files("aqaudit.prompts").joinpath("templates").iterdir()}


PLUG_INS = PlugIns(
    group="aqaudit.strategies",
    kind="strategy",
    wanted="the path of a file {name}.v1.md",
    built_in=_built_in,
    read=_read,
)


@cache
def strategies() -> tuple[str, ...]:
    """Names of the strategies that have a template file, with every combination of their switches."""
    return tuple(variant for name in sorted(_newest()) if name not in _SHARED for variant in _variants(name))


def _variants(name: str) -> list[str]:
    combinations: list[tuple[str, ...]] = [()]
    for default, *others in load(name).switches():
        del default  # it is not written
        combinations = [(*chosen, *one) for one in ((), *((other,) for other in others)) for chosen in combinations]
    return [name + (_SWITCHED + _AND.join(chosen) if chosen else "") for chosen in combinations]


@cache
def _newest() -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for entry in files("aqaudit.prompts").joinpath("templates").iterdir():
        if match := _FILE.fullmatch(entry.name):
            version = int(match["version"])
            if version > found.get(match["name"], (0, ""))[0]:
                found[match["name"]] = (version, entry.read_text(encoding="utf-8"))
    for name in PLUG_INS.names():
        with suppress(BadInput):  # one that does not load says so when it is asked for
            found[name] = PLUG_INS.load(name)
    return found


@cache
def load(name: str) -> Template:
    """Return the newest version of a template; a strategy's switches in its name choose among its steps.

    Raises
    ------
    BadInput
        There is no template of that name, or it has no such switch.
    """
    plain, _, chosen = name.partition(_SWITCHED)
    if plain not in _newest():
        raise BadInput(f"strategy '{name}' is not known{nearest(name, strategies())}")
    if chosen:
        if name not in strategies():
            raise BadInput(f"strategy '{name}' is not known{nearest(name, _variants(plain))}")
        return _switched(load(plain), tuple(chosen.split(_AND)))
    version, text = _newest()[plain]
    about, *rest = re.split(r"^# (.+)$", text, flags=re.MULTILINE)
    sections: dict[str, tuple[TemplateStep, ...]] = {}
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        head, *named = _STEP.split(body)
        if not named:  # a section without steps is one call
            named = ["answer", "", head]
        sections[title.strip()] = tuple(
            TemplateStep(name=step, switch=switch or "", text=words.strip())
            for step, switch, words in zip(named[::3], named[1::3], named[2::3], strict=True)
        )
    return Template(id=f"{plain}.v{version}", about=about.strip(), sections=sections)


def _switched(template: Template, chosen: tuple[str, ...]) -> Template:
    """Return the template with the named versions first, so that they are the ones meant."""
    sections = {title: _in_order(steps, chosen) for title, steps in template.sections.items()}
    return Template(id=f"{template.id}({_AND.join(chosen)})", about=template.about, sections=sections)


def _in_order(steps: tuple[TemplateStep, ...], chosen: tuple[str, ...]) -> tuple[TemplateStep, ...]:
    names = list(dict.fromkeys(step.name for step in steps))
    return tuple(sorted(steps, key=lambda step: (names.index(step.name), step.switch not in chosen)))


def fill(text: str, fields: Mapping[str, str]) -> str:
    """Put ``fields`` into the placeholders of ``text``; values are never looked at for placeholders themselves."""
    pieces = _FIELD.split(text)  # text, name, text, name, ...
    for at in range(1, len(pieces), 2):
        pieces[at] = fields.get(pieces[at], f"{{{pieces[at]}}}")
    return "".join(pieces)


def parts(text: str, fields: Mapping[str, str]) -> tuple[str | Slot, ...]:
    """Split a step's text at its slots and fill the rest, keeping the order; empty pieces are left out."""
    result: list[str | Slot] = []
    end = 0
    for match in _SLOT.finditer(text):
        result.append(fill(text[end : match.start()].strip(), fields))
        number = match[2]
        result.append(Slot(name="step", step=int(number)) if number else Slot(name=match[1]))  # type: ignore[arg-type]
        end = match.end()
    result.append(fill(text[end:].strip(), fields))
    return tuple(part for part in result if part)
