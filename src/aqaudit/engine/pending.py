"""What is left to ask of one model, as the plan is walked."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aqaudit.engine.attempts import Line
    from aqaudit.engine.limits import Brakes
    from aqaudit.plan import PlannedRequest
    from aqaudit.records import Request

    Unanswered = Callable[[list[PlannedRequest]], Awaitable[list[Request]]]

#: Requests whose keys are looked up in the journal at once.
CHUNK = 500


class Queue:
    """The requests of one model that have no answer yet, looked up a chunk at a time as the plan is walked."""

    def __init__(self, unanswered: Unanswered, line: Line, brakes: Brakes, planned: islice[PlannedRequest]) -> None:
        self._unanswered = unanswered
        self._line = line
        self._brakes = brakes
        self._planned = planned
        self._ready: deque[Request] = deque()
        self._turn = anyio.Lock()
        self.walked = 0
        self.ended = False

    async def next(self) -> Request | None:
        """Return the next request to ask, None when the plan, the run or the model has come to its end."""
        async with self._turn:
            while not self._ready and not self._brakes.on and not self._line.breaker.opened:
                chunk = list(islice(self._planned, CHUNK))
                self.walked += len(chunk)
                if not chunk:
                    self.ended = True
                    return None
                self._ready.extend(await self._unanswered(chunk))
            if self._brakes.on or self._line.breaker.opened or not self._ready:
                return None
            return self._ready.popleft()
