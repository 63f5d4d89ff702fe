"""Colours by role for light, dark and print, as style sheets of the page and of pictures that stand alone."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def template(name: str) -> str:
    """Return the text of a file under ``templates/``."""
    return files("aqaudit.reporting").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def palettes() -> Mapping[str, Mapping[str, str]]:
    """Return ``light``, ``dark`` and ``print``: role -> colour."""
    return tomllib.loads(template("palettes.toml"))


def of_page() -> str:
    """Return the colours of the page: as the reader's system has it, unless ``data-theme`` on the root says otherwise.

    Paper is always light.
    """
    light, dark, paper = (_variables(name) for name in ("light", "dark", "print"))
    return "\n".join(
        (
            f":root {{ color-scheme: light dark; {light} }}",
            f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}',
            ':root[data-theme="light"] { color-scheme: light; }',
            f':root[data-theme="dark"] {{ color-scheme: dark; {dark} }}',
            f"@media print {{ :root, :root[data-theme], :root:not([data-theme]) {{ color-scheme: light; {paper} }} }}",
        )
    )


def of_picture() -> str:
    """Return the colours of a picture that stands alone."""
    light, dark, paper = (_variables(name) for name in ("light", "dark", "print"))
    lines = (
        f"svg {{ {light} }}",
        f"@media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}",
        f"@media print {{ svg {{ {paper} }} }}",
    )
    return "\n".join(lines) + "\n"


def _variables(name: str) -> str:
    return " ".join(f"--{role}: {colour};" for role, colour in palettes()[name].items())
