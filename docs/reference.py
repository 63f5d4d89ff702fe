"""Reference pages made from the code when the site is built, so that they cannot say anything else than the code does.

A hook of MkDocs (``mkdocs.yml``): one page for the commands, one for the columns, and one for each data set, strategy,
measure and audit. Nothing is written into the source tree.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer.main

from aqaudit import datasets
from aqaudit.audits import AUDITS
from aqaudit.audits.verdicts import thresholds
from aqaudit.cli import app
from aqaudit.core.schema import Answer
from aqaudit.core.table import DOMAINS, SCHEMA
from aqaudit.measures import MEASURES
from aqaudit.prompts import template

if TYPE_CHECKING:  # MkDocs makes the site; tests read the pages without it
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_MADE = "Made from the code of this version.\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference, and pages that the navigation does not name yet, to the navigation."""
    folder = Path(config.docs_dir)
    named = set(re.findall(r"[\w-]+\.md", (folder.parent / "mkdocs.yml").read_text(encoding="utf-8")))
    further = sorted(path.name for path in folder.glob("*.md") if path.name not in named)
    groups: dict[str, list[dict[str, str]]] = {}
    for path, text in pages().items():
        title = text.partition("\n")[0].removeprefix("# ").replace("`", "")
        _, *folder, _ = path.split("/")
        groups.setdefault(folder[0] if folder else "", []).append({title: path})
    reference = [*groups.pop("", []), *({name.capitalize(): entries} for name, entries in groups.items())]
    more = [{"Further pages": further}] if further else []
    config.nav = [*(config.nav or []), *more, {"Reference": reference}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages themselves."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - tests read the pages without MkDocs

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def pages() -> dict[str, str]:
    """Return every page of the reference: its path and its text."""
    made = {"reference/commands.md": "".join(_commands()), "reference/columns.md": "".join(_columns())}
    for name in datasets.READERS:
        made[f"reference/datasets/{name}.md"] = "".join(_dataset(name))
    for name in dict.fromkeys(one.partition(":")[0] for one in template.strategies()):
        made[f"reference/strategies/{name}.md"] = "".join(_strategy(name))
    for name in MEASURES:
        made[f"reference/measures/{name}.md"] = "".join(_measure(name))
    for name in AUDITS:
        made[f"reference/audits/{name}.md"] = "".join(_audit(name))
    return made


def _commands() -> Iterator[str]:
    yield f"# Commands\n\n{_MADE}\n"
    root = typer.main.get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        for inner, found in getattr(command, "commands", {"": command}).items():
            yield from _command(f"aqaudit {name} {inner}".strip(), found)


def _command(name: str, command: Any) -> Iterator[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    yield f"## {name}\n\n{command.help or ''}\n\n"
    yield f"`{' '.join(command.get_usage(context).removeprefix('Usage:').split())}`\n\n"
    rows = []
    for param in command.params:
        # Older versions keep no such record of arguments.
        record = param.get_help_record(context) or (param.name.upper(), getattr(param, "help", "") or "")
        rows.append((f"`{record[0]}`", record[1]))
    yield _table(("argument or option", "what"), rows)


def _columns() -> Iterator[str]:
    yield f"# Columns of the answers table\n\n{_MADE}\n"
    yield "What each column means is in [The answers table](../table.md).\n\n"
    group, groups = "", {}
    for line in inspect.getsource(Answer).splitlines():
        if found := re.fullmatch(r"    # (\w+)", line):
            group = found[1]
        elif found := re.match(r"    (\w+):", line):
            groups[found[1]] = group
    rows = [
        (f"`{name}`", groups[name], str(dtype), ", ".join(f"`{value}`" for value in DOMAINS.get(name, ())))
        for name, dtype in SCHEMA.items()
    ]
    yield _table(("column", "group", "type", "allowed values"), rows)


def _dataset(name: str) -> Iterator[str]:
    reader = datasets.READERS[name]
    yield f"# Data set `{name}`\n\n{_MADE}\n{reader.what}.\n\n"
    rows = [("licence", reader.licence), ("kinds of question", ", ".join(reader.kinds))]
    rows.append(("performances", "as in the folder" if reader.performances is None else f"{reader.performances:,}"))
    if reader.options:
        rows.append(("options of the reader", ", ".join(f"`{option}`" for option in reader.options)))
    yield _table(("fact", ""), rows)
    yield _doc(import_module(f"aqaudit.datasets.readers.{name}"))
    yield "How to get and check it: [Data sets](../../data.md).\n"


def _strategy(name: str) -> Iterator[str]:
    found = template.load(name)
    yield f"# Strategy `{name}`\n\n{_MADE}\n{found.about}\n\n"
    yield "The paper's prompts are not public: this is **re-created**. "
    yield f"File: `{found.id}`. What a model receives for an item: `aqaudit prompts show`.\n\n"
    variants = [one for one in template.strategies() if one.partition(":")[0] == name]
    if len(variants) > 1:
        yield f"Written as {', '.join(f'`{one}`' for one in variants)}.\n\n"
    for title, steps in found.sections.items():
        yield f"## {title}\n\n"
        for step in steps:
            switch = f" ({step.switch})" if step.switch else ""
            yield f"Call *{step.name}*{switch}:\n\n```text\n{step.text}\n```\n\n"


def _measure(name: str) -> Iterator[str]:
    measure = MEASURES[name]
    low, high = measure.bounds
    better = {True: "higher is better", False: "lower is better", None: "neither end is better"}
    yield f"# Measure `{name}`\n\n{_MADE}\n**{measure.title[:1].upper()}{measure.title[1:]}.** {measure.what}\n\n"
    rows = [
        ("kinds of question", ", ".join(measure.kinds)),
        ("range", f"{low:g} to {high:g}; {better[measure.higher_is_better]}"),
        ("chance", measure.chance),
        ("columns it reads", ", ".join(f"`{column}`" for column in measure.columns)),
        ("source", measure.citation or "ours"),
    ]
    yield _table(("fact", ""), rows)
    yield _doc(inspect.getmodule(measure.compute))
    yield "Intervals and verdicts: [What the numbers mean](../../numbers.md).\n"


def _audit(name: str) -> Iterator[str]:
    audit = AUDITS[name]
    yield f"# Audit `{name}`\n\n{_MADE}\n**{audit.question}**\n\n"
    yield _table(("figure", "what it is"), [(f"`{figure}`", what) for figure, what in audit.figures.items()])
    yield f"**Interval.** {audit.interval}\n\n**Verdict.** {audit.rule}\n\n"
    if audit.advice:
        yield f"**When it fails.** {audit.advice}\n\n"
    levels = thresholds().get(name, {})
    rows = [(f"`{figure}.{key}`", f"{value:g}") for figure, rule in levels.items() for key, value in rule.items()]
    yield _table(("threshold", "value"), sorted(rows))
    yield f"**Source.** {audit.citation or 'ours'}\n\n"
    yield _doc(inspect.getmodule(audit.run))
    yield "All audits: [Audits](../../audits.md).\n"


def _doc(module: object) -> str:
    """Return a module's description with its code names as Markdown has them."""
    text = inspect.cleandoc(getattr(module, "__doc__", None) or "")
    text = re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", text.replace("``", "`"))
    return f"{text}\n\n" if text else ""


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) + "\n\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
