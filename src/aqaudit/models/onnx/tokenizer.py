"""Byte-level BPE as ``tokenizer.json`` describes it, for the demo model's own kind of file."""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Tokenizer:
    """Text to token numbers and back.

    Added tokens (whole sentences, special tokens) are found first, the longest one where several begin at a place; what
    is between them is cut into pieces by the file's pattern, and each piece is merged pair by pair.
    """

    def __init__(self, path: Path) -> None:
        data = json.loads(path.read_text(encoding="utf-8"))
        split, *_ = data["pre_tokenizer"]["pretokenizers"]
        self._piece = re.compile(split["pattern"]["Regex"])
        self._numbers: dict[str, int] = data["model"]["vocab"]
        merges = data["model"]["merges"]
        self._ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
        self._added = {one["content"]: int(one["id"]) for one in data["added_tokens"]}
        self.special = frozenset(int(one["id"]) for one in data["added_tokens"] if one["special"])
        longest_first = sorted(self._added, key=len, reverse=True)
        self._found = re.compile("(" + "|".join(re.escape(text) for text in longest_first) + ")")
        self._texts = {number: text for text, number in (*self._numbers.items(), *self._added.items())}
        self._merged = lru_cache(maxsize=8192)(self._merge)

    def __getitem__(self, text: str) -> int:
        """Return the number of an added token."""
        return self._added[text]

    def encode(self, text: str) -> list[int]:
        """Return the numbers of a text's tokens."""
        numbers: list[int] = []
        for stretch in self._found.split(text):
            if stretch in self._added:
                numbers.append(self._added[stretch])
                continue
            for piece in self._piece.findall(stretch):
                numbers.extend(self._merged(piece))
        return numbers

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of tokens; special ones are left out, bytes that are no text are replaced."""
        data = bytearray()
        for number in numbers:
            if number in self.special:
                continue
            text = self._texts[number]
            data += text.encode() if text in self._added else bytes(_bytes()[letter] for letter in text)
        return data.decode("utf-8", "replace")

    def _merge(self, piece: str) -> tuple[int, ...]:
        letters = _letters()
        parts = [letters[byte] for byte in piece.encode()]
        while len(parts) > 1:
            ranks = [self._ranks.get(pair, len(self._ranks)) for pair in pairwise(parts)]
            best = min(range(len(ranks)), key=ranks.__getitem__)
            if ranks[best] == len(self._ranks):
                break
            parts[best : best + 2] = [parts[best] + parts[best + 1]]
        return tuple(self._numbers[part] for part in parts)


@cache
def _letters() -> dict[int, str]:
    """Return the printable letter that stands for each byte in the vocabulary (GPT-2's table)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + at) for at, byte in enumerate(others)}


@cache
def _bytes() -> dict[str, int]:
    return {letter: byte for byte, letter in _letters().items()}
