"""Prompt text: read from versioned files, never written in code.

A file ``NAME.vN.md`` starts with a sentence for people, then has one section per kind of question (``# verify``, or
``# prefer positive`` where the framing changes the wording). ``## step NAME`` splits a section into several calls.
Placeholders in braces are filled as plain text; ``{first}``, ``{second}`` and ``{step N}`` are places for media and for
the text of an earlier step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from aqaudit.records import BadInput, Slot, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDING = "wording"

_FILE = re.compile(r"(?P<name>[a-z_]+)\.v(?P<version>\d+)\.md")
_SLOT = re.compile(r"\{(first|second|step (\d+))\}")
_FIELD = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One template file: its name with version, and the steps (name, text) of each section."""

    id: str
    about: str
    sections: Mapping[str, tuple[tuple[str, str], ...]]

    def section(self, *names: str) -> tuple[tuple[str, str], ...]:
        """Return the first section that exists among ``names``."""
        for name in names:
            if name in self.sections:
                return self.sections[name]
        raise BadInput(f"prompt template {self.id} has no section '{names[-1]}'{nearest(names[-1], self.sections)}")


@cache
def strategies() -> tuple[str, ...]:
    """Names of the strategies that have a template file."""
    return tuple(sorted(name for name in _newest() if name != WORDING))


@cache
def _newest() -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for entry in files("aqaudit.prompts").joinpath("templates").iterdir():
        if match := _FILE.fullmatch(entry.name):
            version = int(match["version"])
            if version > found.get(match["name"], (0, ""))[0]:
                found[match["name"]] = (version, entry.read_text(encoding="utf-8"))
    return found


@cache
def load(name: str) -> Template:
    """Return the newest version of a template.

    Raises
    ------
    BadInput
        There is no template of that name.
    """
    if name not in _newest():
        raise BadInput(f"strategy '{name}' is not known{nearest(name, strategies())}")
    version, text = _newest()[name]
    about, *rest = re.split(r"^# (.+)$", text, flags=re.MULTILINE)
    titles, bodies = rest[::2], rest[1::2]
    sections = {title.strip(): _steps(body) for title, body in zip(titles, bodies, strict=True)}
    return Template(id=f"{name}.v{version}", about=about.strip(), sections=sections)


def _steps(body: str) -> tuple[tuple[str, str], ...]:
    head, *rest = re.split(r"^## step (.+)$", body, flags=re.MULTILINE)
    if not rest:
        return (("answer", head.strip()),)
    return tuple((n.strip(), t.strip()) for n, t in zip(rest[::2], rest[1::2], strict=True))


def fill(text: str, fields: Mapping[str, str]) -> str:
    """Put ``fields`` into the placeholders of ``text``; values are never looked at for placeholders themselves."""
    return _FIELD.sub(lambda match: fields.get(match[1], match[0]), text)


def parts(text: str, fields: Mapping[str, str]) -> tuple[str | Slot, ...]:
    """Split a step's text at its slots and fill the rest, keeping the order; empty stretches are left out."""
    result: list[str | Slot] = []
    end = 0
    for match in _SLOT.finditer(text):
        result.append(fill(text[end : match.start()].strip(), fields))
        number = match[2]
        result.append(Slot(name="step", step=int(number)) if number else Slot(name=match[1]))  # type: ignore[arg-type]
        end = match.end()
    result.append(fill(text[end:].strip(), fields))
    return tuple(part for part in result if part)
