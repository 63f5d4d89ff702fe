"""Partners: whose clip is shown in place of a performance's own under the perturbation ``swapped``."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING

from aqaudit.questions import shuffled

if TYPE_CHECKING:
    from aqaudit.records import Dataset, Performance, Swap


class Partners:
    """Draws one partner for every performance of a data set, by the study's seed and the performances' ids alone.

    A partner is by another performer and from another recording: of the same action under ``same_action``, of another
    one under ``another_action``.
    """

    def __init__(self, dataset: Dataset, seed: int, swap: Swap) -> None:
        self._seed, self._swap = seed, swap
        self._all = shuffled(dataset.performances, seed)
        self._by_action: dict[str, list[Performance]] = defaultdict(list)
        for performance in self._all:
            self._by_action[performance.action].append(performance)
        self._known: dict[str, Performance | None] = {}

    def of(self, performance: Performance) -> Performance | None:
        """Return the partner of a performance, None where there is none."""
        if performance.id not in self._known:
            self._known[performance.id] = self._drawn(performance)
        return self._known[performance.id]

    def _drawn(self, performance: Performance) -> Performance | None:
        same = self._swap == "same_action"
        among = self._by_action[performance.action] if same else self._all
        if not among:
            return None
        start = random.Random(f"{self._seed}/swapped/{performance.id}").randrange(len(among))
        for number in range(len(among)):
            other = among[(start + number) % len(among)]
            if (
                other.performer != performance.performer
                and other.media != performance.media
                and (same or other.action != performance.action)
            ):
                return other
        return None
