"""Any vision-language model of transformers, asked in this process: requests that wait are answered as one batch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.hf import generation, inputs
from aqaudit.models.hf.loading import load
from aqaudit.models.hf.memory import ran_out
from aqaudit.models.thoughts import split_thoughts
from aqaudit.records import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aqaudit.models.catalog import ModelEntry

_MEMORY = "not enough memory for this request: send fewer frames (frames, fps or max_frames) or smaller ones (max_side)"


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    """A call that waits for its turn, and what became of it."""

    call: Call
    outcome: Reply | AskFailed | None = field(default=None)


class LocalModel:
    """A model in process; see :class:`~aqaudit.models.call.Model`.

    Whoever finds the model free answers everything that waits, up to ``concurrency`` requests in one batch; what
    comes meanwhile is the next batch. A batch that fails is asked again one by one, so that one bad request fails
    alone.
    """

    endpoint = "in process"

    def __init__(self, name: str, entry: ModelEntry) -> None:
        self.entry = entry
        self._loaded = load(f"models.{name}.model", entry.model)
        processor = self._loaded.processor
        if entry.media_form == "video" and getattr(processor, "video_processor", None) is None:
            raise BadInput(
                f"models.{name}.media_form: 'video': the processor of '{entry.model}' takes no clips; "
                'use media_form = "frames"'
            )
        if entry.thinking is not None and "enable_thinking" not in str(processor.chat_template):
            raise BadInput(
                f"models.{name}.thinking: '{entry.thinking}': the chat template of '{entry.model}' has no switch for "
                "thinking; remove the key"
            )
        self._thinking = None if entry.thinking is None else entry.thinking == "on"
        self._queue: deque[_Waiting] = deque()
        self._turn = anyio.Lock()

    async def ask(self, call: Call) -> Reply:
        """Ask once; see :meth:`aqaudit.models.call.Model.ask`."""
        waiting = _Waiting(call=call)
        self._queue.append(waiting)
        try:
            async with self._turn:
                if waiting.outcome is None:
                    # Others wait for this batch too: it is finished even where this request is given up.
                    with anyio.CancelScope(shield=True):
                        await self._answer_waiting()
        finally:
            if waiting in self._queue:
                self._queue.remove(waiting)
        if isinstance(waiting.outcome, Reply):
            return waiting.outcome
        raise waiting.outcome or AskFailed("internal", "a request was left unanswered by its batch")

    async def aclose(self) -> None:
        """Nothing to close: the weights go with the object."""

    async def _answer_waiting(self) -> None:
        taken = [self._queue.popleft() for _ in range(min(self.entry.concurrency, len(self._queue)))]
        outcomes = await to_thread.run_sync(self._answers, [one.call for one in taken])
        for waiting, outcome in zip(taken, outcomes, strict=True):
            waiting.outcome = outcome

    def _answers(self, calls: Sequence[Call]) -> list[Reply | AskFailed]:
        """Answer calls, those that show equally much as one batch."""
        outcomes: dict[int, Reply | AskFailed] = {}
        prompts: dict[int, inputs.Prompt] = {}
        for at, call in enumerate(calls):
            try:
                prompts[at] = inputs.prompt(
                    call, self._loaded, system_prompt=self.entry.system_prompt, thinking=self._thinking
                )
            except Exception as error:  # noqa: BLE001 - every failure gets a cause
                outcomes[at] = _failure(error)
        alike = sorted(prompts, key=lambda at: prompts[at].shape)
        for _, group in groupby(alike, key=lambda at: prompts[at].shape):
            places = list(group)
            outcomes |= self._group(places, calls, prompts)
        return [outcomes[at] for at in range(len(calls))]

    def _group(
        self, places: list[int], calls: Sequence[Call], prompts: dict[int, inputs.Prompt]
    ) -> dict[int, Reply | AskFailed]:
        try:
            found = self._batch([prompts[at] for at in places], [calls[at] for at in places])
        except Exception as error:  # noqa: BLE001 - every failure gets a cause
            if len(places) > 1:
                singles = [self._group([at], calls, prompts) for at in places]
                return {at: outcome for single in singles for at, outcome in single.items()}
            return {places[0]: _failure(error)}
        return dict(zip(places, found, strict=True))

    def _batch(self, prompts: list[inputs.Prompt], calls: list[Call]) -> list[Reply | AskFailed]:
        tensors = inputs.batch(prompts, self._loaded)
        written = generation.write(tensors, self._loaded, self.entry, [call.seed or 0 for call in calls])
        replies: list[Reply | AskFailed] = []
        for prompt, call, one in zip(prompts, calls, written, strict=True):
            logprobs = None
            if self.entry.logprobs and call.final and call.option_words:
                alone = tensors if len(prompts) == 1 else inputs.batch([prompt], self._loaded)
                logprobs = generation.option_logprobs(alone, self._loaded, one, call.option_words)
            text, reasoning = split_thoughts(one.text)
            replies.append(
                Reply(
                    text=text,
                    reasoning=reasoning,
                    finish_reason=one.finish,
                    model_version=self._loaded.version,
                    input_tokens=one.input_tokens,
                    output_tokens=one.output_tokens,
                    usd=0.0,
                    option_logprobs=logprobs,
                )
            )
        return replies


def _failure(error: Exception) -> AskFailed:
    if isinstance(error, AskFailed):
        return error
    if ran_out(error):
        return AskFailed("too_large", _MEMORY)
    text = " ".join(str(error).split())
    return AskFailed("internal", f"{type(error).__name__} in the model or its processor: {text[:200]}")
