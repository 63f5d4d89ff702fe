"""Reasoning that a server left inside the text of an answer, split off."""

from __future__ import annotations

import re

_CLOSED = re.compile(r"<think>(.*?)</think>", re.DOTALL)


def split_thoughts(text: str) -> tuple[str, str | None]:
    """Split inline reasoning from a text.

    ``<think>…</think>`` blocks are reasoning; so is everything before a ``</think>`` that nothing opened (chat
    templates such as Qwen's put the opening tag into the prompt), and everything after a ``<think>`` that nothing
    closes (the answer was cut off while the model was still thinking).

    Returns
    -------
    tuple
        The text without its reasoning, stripped where something was removed, and the reasoning (None if there is none).
    """
    if "think>" not in text:
        return text, None
    thoughts = []

    def take(match: re.Match[str]) -> str:
        thoughts.append(match[1])
        return ""

    rest = _CLOSED.sub(take, text)
    before, unopened, after = rest.rpartition("</think>")
    if unopened:
        thoughts.insert(0, before)
        rest = after
    rest, unclosed, thinking = rest.partition("<think>")
    if unclosed:
        thoughts.append(thinking)
    if not thoughts:
        return text, None
    reasoning = "\n".join(thought.strip() for thought in thoughts if thought.strip())
    return rest.strip(), reasoning or None
