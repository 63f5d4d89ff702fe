"""Warnings that belong above every number: judges that are no vision-language models, or untrained ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit.reporting.text import clean

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """A warning about some of the models: ``mark`` stands beside each one's name wherever it appears."""

    mark: str
    title: str
    text: str
    models: tuple[str, ...]


_RULES: tuple[tuple[str, str, str, str], ...] = (
    (
        "simulated",
        "simulated",
        "Simulated judge",
        "these numbers describe a program that was told the truth, not a vision-language model",
    ),
    (
        "observer",
        "observer",
        "Ideal observer",
        "these numbers describe a program that answers from the joints of a body, the ceiling beside the models",
    ),
    (
        "untrained",
        "untrained",
        "untrained test model",
        "its weights are random, so its answers say nothing about any model that can be used",
    ),
    (
        "demo",
        "demo",
        "Demonstration model",
        "a small model trained on drawn people to show how AQAudit works; its numbers say nothing about other models",
    ),
)


def banners(frame: pl.DataFrame) -> list[Banner]:
    """Return the warnings that a table of answers needs, in a fixed order, each with the models it is about.

    A model is named by ``model`` or ``model_version``: *simulated* and *untrained* anywhere in them, *demo* as a word.
    """
    pairs = sorted(
        (model or "", version or "") for model, version in frame.select("model", "model_version").unique().iter_rows()
    )
    found: list[Banner] = []
    for word, mark, title, text in _RULES:
        models = sorted({model for model, version in pairs if _mentions(word, model, version)})
        if models:
            found.append(Banner(mark=mark, title=title, text=text, models=tuple(models)))
    return found


def marks(warnings: list[Banner]) -> dict[str, str]:
    """Return ``model -> mark`` for the models that a warning is about; the first warning wins."""
    return {model: banner.mark for banner in reversed(warnings) for model in banner.models}


def sentence(banner: Banner) -> str:
    """Return a warning as one plain line with the names of its models."""
    names = [clean(model, 60) for model in banner.models]
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return f"{banner.title}: {banner.text} ({', '.join(names[:6])}{more})."


def _mentions(word: str, model: str, version: str) -> bool:
    text = f"{model} {version}".lower()
    if word == "demo":
        return word in text.replace("-", " ").replace(":", " ").replace("/", " ").replace("_", " ").split()
    return word in text
