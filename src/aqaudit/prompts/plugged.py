"""Strategies that plug-ins offer under the entry point group ``aqaudit.strategies``: files like those of our own.

An entry point NAME stands for a path to a file ``NAME.vN.md``; see :mod:`aqaudit.prompts.template` for its form.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from aqaudit import plugins
from aqaudit.records import BadInput

GROUP = "aqaudit.strategies"
_LONGEST = 100_000


def names() -> tuple[str, ...]:
    """Return the names of the strategies that plug-ins offer; nothing is loaded."""
    return tuple(name for name in plugins.points(GROUP) if name not in _built_in())


def plugged(name: str) -> tuple[int, str]:
    """Return version and text of a plug-in's strategy.

    Raises
    ------
    BadInput
        It does not load, is no file of a strategy, or has the name of a built-in one.
    """
    if complaint := plugins.taken(GROUP, name, _built_in()):
        raise complaint
    offered = plugins.load(GROUP, name)
    if not isinstance(offered, Path | str):
        raise plugins.wrong(GROUP, name, offered, f"the path of a file {name}.v1.md")
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


def check(name: str) -> None:
    """Check a strategy that a plug-in offers; the name of any other is passed over.

    Raises
    ------
    BadInput
        It cannot be used, and why.
    """
    if name in names():
        plugged(name)


def _built_in() -> set[str]:
    return {entry.name.partition(".")[0] for entry in files("aqaudit.prompts").joinpath("templates").iterdir()}
