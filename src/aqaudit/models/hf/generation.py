"""Writing an answer token by token, and the exact log-probabilities of the answers that are allowed."""

from __future__ import annotations

import copy
import inspect
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import LogitsProcessorList, StoppingCriteriaList
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from aqaudit.models.call import AskFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aqaudit.models.catalog import ModelEntry
    from aqaudit.models.hf.loading import Loaded

_OPEN, _CLOSE = "<answer>", "</answer>"
#: Most tokens of an answer where the study sets no limit.
DEFAULT_TOKENS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a model wrote. ``raw`` keeps special tokens such as ``<think>``; ``finish`` is ``stop`` or ``length``."""

    text: str
    raw: str
    finish: str
    input_tokens: int
    output_tokens: int


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


class _Deadline:
    """Ends a generation when its time is over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.missed = False

    def __call__(self, input_ids: Any, _scores: Any, **_: Any) -> Any:
        self.missed = time.monotonic() > self._end
        return torch.full((input_ids.shape[0],), self.missed, device=input_ids.device, dtype=torch.bool)


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
    deadline = _Deadline(entry.timeout_s)
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


def _ends(loaded: Loaded) -> set[int]:
    ends = loaded.model.generation_config.eos_token_id
    known = set(ends) if isinstance(ends, (list, tuple)) else {ends}
    return {int(one) for one in (*known, loaded.processor.tokenizer.eos_token_id) if one is not None}


def _written(row: list[int], loaded: Loaded, prompt_tokens: int) -> Written:
    ends = _ends(loaded)
    at = next((i for i, token in enumerate(row) if token in ends), None)
    kept = row if at is None else row[:at]
    decode = loaded.processor.tokenizer.decode
    return Written(
        text=decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False),
        raw=decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False),
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
