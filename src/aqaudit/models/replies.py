"""What is read from a reply: reasoning left inside its text, and log-probabilities of the allowed answers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

_OPEN = "<answer>"
_REASONING = re.compile(r"<think>(.*?)</think>", re.DOTALL)


def split_reasoning(text: str) -> tuple[str, str | None]:
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
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        found.append(match[1])
        return ""

    rest = _REASONING.sub(take, text)
    before, unopened, after = rest.rpartition("</think>")
    if unopened:
        found.insert(0, before)
        rest = after
    rest, unclosed, cut_off = rest.partition("<think>")
    if unclosed:
        found.append(cut_off)
    if not found:
        return text, None
    reasoning = "\n".join(block.strip() for block in found if block.strip())
    return rest.strip(), reasoning or None


def option_logprobs(tokens: Sequence[Mapping[str, object]], words: Sequence[str]) -> dict[str, float] | None:
    """Return the log-probability of each answer word at the token where the answer begins.

    The place is the first token after the last ``<answer>`` that holds more than white space; without that tag, the
    last token at the start of a word that begins one of the words. There, the probabilities of all tokens that stand
    for a word are added: the word itself, whatever follows it, and tokens that begin exactly one of the words. Case
    does not count for words of two letters or more.

    Parameters
    ----------
    tokens
        One mapping for each generated token: ``token``, ``logprob``, and ``top_logprobs``, a list of alternatives with
        the same two keys.
    words
        The literal answers.

    Returns
    -------
    dict or None
        Word to natural logarithm of its probability; words that were not among the alternatives are left out. None
        where no word was seen at all, or there is no answer.
    """
    if not tokens or not words:
        return None
    place = _answer_place(tokens) or _last_word_place(tokens, words)
    if place is None:
        return None
    at, skip = place
    token = tokens[at]
    alternatives = {str(token["token"]): _number(token["logprob"])}
    tops = token.get("top_logprobs")
    for top in tops if isinstance(tops, list) else []:
        alternatives[str(top["token"])] = _number(top["logprob"])
    found: dict[str, list[float]] = {}
    for text, logprob in alternatives.items():
        word = _stands_for(text.removeprefix(skip), words)
        if word is not None and math.isfinite(logprob):
            found.setdefault(word, []).append(logprob)
    return {word: _log_sum(found[word]) for word in words if word in found} or None


def _answer_place(tokens: Sequence[Mapping[str, object]]) -> tuple[int, str] | None:
    """Return the token that holds the first character of the tagged answer, and what of it belongs to the tag."""
    text = "".join(str(token["token"]) for token in tokens)
    start = text.rfind(_OPEN)
    if start < 0:
        return None
    start += len(_OPEN)
    while start < len(text) and text[start].isspace():
        start += 1
    position = 0
    for at, token in enumerate(tokens):
        piece = str(token["token"])
        if position <= start < position + len(piece):
            return at, piece[: start - position]
        position += len(piece)
    return None


def _last_word_place(tokens: Sequence[Mapping[str, object]], words: Sequence[str]) -> tuple[int, str] | None:
    for at in range(len(tokens) - 1, -1, -1):
        piece = str(tokens[at]["token"])
        before = str(tokens[at - 1]["token"])[-1:] if at else ""
        if (piece[:1].isspace() or not before.isalnum()) and _stands_for(piece, words) is not None:
            return at, ""
    return None


def _stands_for(text: str, words: Sequence[str]) -> str | None:
    """Return the word that a token stands for: itself, itself with something after it, or its only possible start."""
    text = text.strip()
    if not text:
        return None
    for word in sorted(words, key=len, reverse=True):
        head = text[: len(word)]
        same = head == word or (len(word) > 1 and head.casefold() == word.casefold())
        if same and not text[len(word) : len(word) + 1].isalnum():
            return word
    begun = [word for word in words if len(word) > len(text) and word.casefold().startswith(text.casefold())]
    return begun[0] if len(begun) == 1 else None


def _log_sum(values: list[float]) -> float:
    top = max(values)
    return min(0.0, top + math.log(sum(math.exp(value - top) for value in values)))


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
