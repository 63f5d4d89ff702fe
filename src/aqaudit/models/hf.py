"""Any vision-language model of transformers, asked in this process: requests that wait are answered as one batch."""

from __future__ import annotations

import copy
import inspect
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import anyio
import numpy as np
import torch
from anyio import to_thread
from PIL import Image
from transformers import LogitsProcessorList, StoppingCriteriaList
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from aqaudit.core.records import BadInput, MediaPart
from aqaudit.core.text import short
from aqaudit.models import part_files
from aqaudit.models.call import AskFailed, Call, Reply
from aqaudit.models.hf_loading import Loaded, load, ran_out
from aqaudit.models.replies import split_reasoning
from aqaudit.models.settings import ModelEntry

_log = logging.getLogger(__name__)
_OPEN, _CLOSE = "<answer>", "</answer>"
#: Most tokens of an answer where the study sets no limit.
DEFAULT_TOKENS = 1024
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
        prompts: dict[int, Prompt] = {}
        for at, call in enumerate(calls):
            try:
                prompts[at] = prompt(
                    call, self._loaded, system_prompt=self.entry.system_prompt, thinking=self._thinking
                )
            except Exception as error:  # noqa: BLE001 - every failure gets a cause
                outcomes[at] = _failure(error)

        def shows(at: int) -> tuple[int, int]:
            return len(prompts[at].pictures), len(prompts[at].clips)

        for _, group in groupby(sorted(prompts, key=shows), key=shows):
            outcomes |= self._group(list(group), calls, prompts)
        return [outcomes[at] for at in range(len(calls))]

    def _group(
        self, places: list[int], calls: Sequence[Call], prompts: dict[int, Prompt]
    ) -> dict[int, Reply | AskFailed]:
        try:
            found = self._batch([prompts[at] for at in places], [calls[at] for at in places])
        except Exception as error:  # noqa: BLE001 - every failure gets a cause
            if len(places) > 1:
                singles = [self._group([at], calls, prompts) for at in places]
                return {at: outcome for single in singles for at, outcome in single.items()}
            return {places[0]: _failure(error)}
        return dict(zip(places, found, strict=True))

    def _batch(self, prompts: list[Prompt], calls: list[Call]) -> list[Reply | AskFailed]:
        began = time.monotonic()
        tensors = batch(prompts, self._loaded)
        written = write(tensors, self._loaded, self.entry, [call.seed or 0 for call in calls])
        took, tokens = time.monotonic() - began, sum(one.output_tokens for one in written)
        _log.debug("a batch of %d requests wrote %d tokens in %.2f s", len(calls), tokens, took)
        replies: list[Reply | AskFailed] = []
        for prompt, call, one in zip(prompts, calls, written, strict=True):
            logprobs = None
            if self.entry.logprobs and call.final and call.option_words:
                alone = tensors if len(prompts) == 1 else batch([prompt], self._loaded)
                logprobs = option_logprobs(alone, self._loaded, one, call.option_words)
            text, reasoning = split_reasoning(one.text)
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
    return AskFailed("internal", f"{type(error).__name__} in the model or its processor: {short(error, 200)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One call as text with the model's own place-holders, and the media that go there in order."""

    text: str
    pictures: tuple[Image.Image, ...]
    clips: tuple[np.ndarray[Any, Any], ...]
    metadata: tuple[dict[str, Any], ...]


def prompt(call: Call, loaded: Loaded, *, system_prompt: str | None, thinking: bool | None) -> Prompt:
    """Write a call in the model's chat template.

    Raises
    ------
    AskFailed
        A file cannot be decoded.
    """
    pictures, clips, metadata, content = [], [], [], []
    for part in call.parts:
        if isinstance(part, str):
            content.append({"type": "text", "text": part})
        elif part.mime.startswith("video/"):
            frames, facts = _clip(part)
            clips.append(frames)
            metadata.append(facts)
            content.append({"type": "video"})
        else:
            pictures.append(part_files.picture(part))
            content.append({"type": "image"})
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if system_prompt is not None:
        messages.insert(0, {"role": "system", "content": [{"type": "text", "text": system_prompt}]})
    switch = {} if thinking is None else {"enable_thinking": thinking}
    text = loaded.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **switch)
    return Prompt(text=text, pictures=tuple(pictures), clips=tuple(clips), metadata=tuple(metadata))


def _clip(part: MediaPart) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    """Decode a clip: frames (T, height, width, 3), and what the processor wants to know of them."""
    frames, rate = part_files.clip(part)
    shown = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    facts = {
        "total_num_frames": len(frames),
        "fps": rate,
        "frames_indices": list(range(len(frames))),
        "width": shown.shape[2],
        "height": shown.shape[1],
        "duration": len(frames) / rate,
    }
    return shown, facts


def batch(prompts: Sequence[Prompt], loaded: Loaded) -> Any:
    """Return the tensors of prompts alike, padded on the left, on the model's device."""
    processor, first = loaded.processor, prompts[0]
    bos = processor.tokenizer.bos_token
    media: dict[str, Any] = {}
    if first.pictures:
        media["images"] = [list(one.pictures) for one in prompts]
    if first.clips:
        media["videos"] = [clip for one in prompts for clip in one.clips]
        media["video_metadata"] = [facts for one in prompts for facts in one.metadata]
        media["do_sample_frames"] = False
        if hasattr(processor.video_processor, "cap_pixels_per_frame"):
            # Said outright, so that a later version with another default shows the same pixels.
            media["cap_pixels_per_frame"] = True
    inputs = processor(
        text=[one.text for one in prompts],
        padding=True,
        padding_side="left",
        return_tensors="pt",
        # The template writes the token that begins a text where the model wants one.
        add_special_tokens=not (bos and first.text.startswith(bos)),
        **media,
    )
    return inputs.to(loaded.device, dtype=loaded.model.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a model wrote. ``raw`` keeps special tokens such as ``<think>``; ``finish`` is ``stop`` or ``length``."""

    text: str
    raw: str
    finish: str
    input_tokens: int
    output_tokens: int


def write(inputs: Any, loaded: Loaded, entry: ModelEntry, seeds: Sequence[int]) -> list[Written]:
    """Let the model answer a batch.

    Raises
    ------
    AskFailed
        The prompt leaves no room in the model's window, or time is over.
    """
    length = inputs["input_ids"].shape[1]
    most = entry.max_output_tokens or DEFAULT_TOKENS
    if loaded.window is not None:
        if length >= loaded.window:
            raise AskFailed(
                "context_overflow",
                f"the prompt has {length} tokens, the model's window {loaded.window}: send fewer frames (frames, fps "
                "or max_frames) or smaller ones (max_side)",
            )
        most = min(most, loaded.window - length)
    deadline = _TimeLimit(entry.timeout_s)
    with torch.inference_mode():
        tokens = loaded.model.generate(
            **inputs,
            max_new_tokens=most,
            do_sample=False,
            num_beams=1,
            temperature=None,
            top_p=None,
            top_k=None,
            logits_processor=LogitsProcessorList(_sampling(loaded, entry, seeds)),
            stopping_criteria=StoppingCriteriaList([deadline]),
        )
    if deadline.missed:
        raise AskFailed("timeout", f"no answer within {entry.timeout_s:g} s")
    prompts = inputs["attention_mask"].sum(1).tolist()
    return [_written(row, loaded, int(size)) for row, size in zip(tokens[:, length:].tolist(), prompts, strict=True)]


class _TimeLimit:
    """Ends a generation when its time is over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.missed = False

    def __call__(self, input_ids: Any, _scores: Any, **_: Any) -> Any:
        self.missed = time.monotonic() > self._end
        return torch.full((input_ids.shape[0],), self.missed, device=input_ids.device, dtype=torch.bool)


def _sampling(loaded: Loaded, entry: ModelEntry, seeds: Sequence[int]) -> list[Any]:
    """Return what turns scores into a draw: the study's settings, or the model's own where it sets none."""
    own = loaded.model.generation_config
    temperature, top_p, top_k = entry.temperature, entry.top_p, None
    if temperature is None:
        if not own.do_sample and top_p is None:
            return []
        temperature, top_k = own.temperature or 1.0, own.top_k
        top_p = own.top_p if top_p is None else top_p
    if temperature == 0:
        return []
    steps: list[Any] = [TemperatureLogitsWarper(float(temperature))]
    if top_k:
        steps.append(TopKLogitsWarper(int(top_k)))
    if top_p is not None and top_p < 1:
        steps.append(TopPLogitsWarper(float(top_p)))
    return [*steps, _Draw(seeds)]


class _Draw:
    """Sampling by the Gumbel trick: adding noise to log-probabilities and taking the largest draws from them.

    Every row has a generator of its own, so what is drawn depends on a request's seed alone, not on its neighbours in
    the batch.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]

    def __call__(self, _input_ids: Any, scores: Any) -> Any:
        noise = torch.stack([torch.rand(scores.shape[1], generator=g, dtype=torch.float64) for g in self._generators])
        gumbel = -torch.log(-torch.log(noise.clamp(1e-300, 1 - 1e-16)))
        return torch.log_softmax(scores.double(), dim=-1) + gumbel.to(scores.device)


def _written(row: list[int], loaded: Loaded, prompt_tokens: int) -> Written:
    """Return what tokens say, up to the first one that ends a text."""
    tokenizer = loaded.processor.tokenizer
    own = loaded.model.generation_config.eos_token_id
    known = (*(own if isinstance(own, (list, tuple)) else [own]), tokenizer.eos_token_id)
    ends = {int(token) for token in known if token is not None}
    at = next((i for i, token in enumerate(row) if token in ends), None)
    kept = row if at is None else row[:at]
    return Written(
        text=tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False),
        raw=tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False),
        finish="length" if at is None else "stop",
        input_tokens=prompt_tokens,
        output_tokens=len(kept) + (at is not None),
    )


def option_logprobs(inputs: Any, loaded: Loaded, written: Written, words: Sequence[str]) -> Mapping[str, float] | None:
    """Return the log-probability with which the model goes on with each allowed answer, exactly.

    The place is behind the last ``<answer>`` that the model wrote, whatever it wrote before; where it wrote none, right
    behind the prompt, as if it had begun with that tag. Scored is the word with the closing tag. All tokens from the
    first one in which the words differ are added, so that it does not matter how a tokenizer cuts them.

    Returns
    -------
    Mapping or None
        Word to natural logarithm; None where the model thought and came to no answer.
    """
    before, tag, _ = written.raw.rpartition(_OPEN)
    if not tag and "think>" in written.raw:
        return None
    tokenizer = loaded.processor.tokenizer
    rows = [tokenizer(f"{before}{_OPEN}{word}{_CLOSE}", add_special_tokens=False)["input_ids"] for word in words]
    common = next(i for i, column in enumerate(zip(*rows, strict=False)) if len(set(column)) > 1)
    with torch.inference_mode():
        read = loaded.model(**inputs, use_cache=True, logits_to_keep=1)
        scores, cache = read.logits[:, -1:], getattr(read, _cache_name(loaded))
        return {
            word: _continuation(row, common, inputs, loaded, scores, cache)
            for word, row in zip(words, rows, strict=True)
        }


def _continuation(row: list[int], common: int, inputs: Any, loaded: Loaded, scores: Any, cache: Any) -> float:
    """Return the sum of the log-probabilities of ``row[common:]`` behind the prompt and ``row[:common]``."""
    tokens = torch.tensor([row], device=inputs["input_ids"].device)
    # A copy, since reading on changes the cache; copying also serves caches that cannot be cut back.
    held = {_cache_name(loaded): copy.deepcopy(cache)}
    if not any(name.startswith("pixel_values") for name in inputs):
        # Models with positions in space and time remember those of the last picture they saw.
        size = inputs["input_ids"].shape[1]
        held["position_ids"] = torch.arange(size, size + len(row), device=tokens.device)[None]
    read = loaded.model(input_ids=tokens, use_cache=True, **held)
    logits = torch.cat([scores, read.logits[:, :-1]], dim=1).float()
    logprobs = torch.log_softmax(logits, dim=-1)[0].gather(1, tokens[0, :, None])[:, 0]
    return float(logprobs[common:].sum())


def _cache_name(loaded: Loaded) -> str:
    """Return what this version of transformers calls the keys and values of what was read."""
    return "cache" if "cache" in inspect.signature(loaded.model.forward).parameters else "past_key_values"
