"""``FMSRules.json`` of LLM-FMS: the movements, what is asked about each, and the fixed answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aqaudit.datasets.places import load_json, one_of, short, to_unpack, walk
from aqaudit.records import BadInput, ChoiceQuestion

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RULES_FILE = "FMSRules.json"
TYPES = ("angle", "position", "distance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A question about a key-frame; ``options`` are in the order of the file, which is not from good to bad."""

    id: str
    type: str
    question: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One of the fifteen movements; ``action`` is what a model is told it is, ``view`` nominal."""

    id: str
    action: str
    view: str
    rules: Mapping[str, Rule]

    def choices(self) -> list[ChoiceQuestion]:
        """Return its rules as questions; several movements may bear one name, so the ids carry the movement."""
        return [
            ChoiceQuestion(id=f"{self.id}_{rule.id}", action=self.action, question=rule.question, options=rule.options)
            for rule in self.rules.values()
        ]


def rules_below(root: Path) -> tuple[Path, dict[str, Movement]]:
    """Find and read the rule file below ``root``: its path, and the movements by id.

    Raises
    ------
    BadInput
        Where there is none, where two differ, or where it is not as published.
    """
    found: list[Path] = []
    beside: list[Path] = []
    for folder, _, inside in walk(root):
        found += [folder / name for name in inside if name.lower() == RULES_FILE.lower()]
        beside += [folder / name for name in inside if "rule" in name.lower() and name.lower().endswith(".json")]
    if not found and not beside:
        raise BadInput(
            f"{root} holds no rules of LLM-FMS: looked below it for {RULES_FILE}{to_unpack(root)}; it is one of the"
            " three files of Figshare collection 7601630 (doi 10.1371/journal.pone.0313707)"
        )
    path = one_of(found) if found else one_of(beside)
    return path, _movements(path)


def _movements(path: Path) -> dict[str, Movement]:
    table = load_json(path)
    if not isinstance(table, dict) or not table:
        raise BadInput(f"{path}: holds no object of movements; allowed: {{'m01': {{'actionName': …, 'rules': …}}, …}}")
    movements = {key.strip().lower(): _movement(path, key, entry) for key, entry in table.items()}
    if len(movements) < len(table):
        raise BadInput(f"{path}: two movements have one id but for capital letters")
    return movements


def _movement(path: Path, key: str, entry: Any) -> Movement:
    where = f"{path}: movement {key!r}"
    rules = entry.get("rules") if isinstance(entry, dict) else None
    if not isinstance(rules, dict) or not rules:
        raise BadInput(f"{where} has no rules; allowed: actionName, view and an object of rules")
    made = {name.strip().lower(): _rule(f"{where}, rule {name!r}", name, rule) for name, rule in rules.items()}
    view = entry.get("view")
    return Movement(
        id=key.strip().lower(),
        action=_text(entry, "actionName", where),
        view=view.strip() if isinstance(view, str) else "",
        rules=made,
    )


def _rule(where: str, name: str, rule: Any) -> Rule:
    if not isinstance(rule, dict):
        raise BadInput(f"{where} is {short(rule)}; allowed: an object with ruleQuestion and ruleOptions")
    options = rule.get("ruleOptions")
    texts = [" ".join(one.split()) for one in options if isinstance(one, str)] if isinstance(options, list) else []
    if not isinstance(options, list) or len(texts) < len(options) or len(texts) < 2 or not all(texts):
        raise BadInput(f"{where}: ruleOptions is {short(options)}; allowed: a list of two or more texts")
    same, times = Counter(map(str.casefold, texts)).most_common(1)[0]
    if times > 1:
        raise BadInput(f"{where}: ruleOptions has {same!r} twice")
    kind = rule.get("ruleType")
    return Rule(
        id=name.strip().lower(),
        type=kind.strip().lower() if isinstance(kind, str) else "",
        question=_text(rule, "ruleQuestion", where),
        options=tuple(texts),
    )


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{where}: {key} is {short(value)}; allowed: a text that is not empty")
    return " ".join(value.split())
