"""What a run would ask, send and cost: the dry run, from file headers and prices; no model, no decoded frame."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from aqaudit.keys import prompt_text
from aqaudit.records import BadInput
from aqaudit.request_writer import shown_in_order

if TYPE_CHECKING:
    from aqaudit.media.source import SourceInfo
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.records import MediaSpec, Performance, Request
    from aqaudit.run.preparation import Prepared

#: Requests a model's figures are estimated from; the plan's order makes any prefix a random sample.
_SAMPLE = 2000
#: Assumed length of an answer in tokens, without and with thinking. Ours, not measured on a particular model.
_OUTPUT, _OUTPUT_THINKING = 150, 2000
#: Characters a token, for English text.
_CHARACTERS = 4.0
#: Tokens of a frame for Gemini's video input at default and high resolution (vendor's documents).
_GEMINI = {None: 70, "low": 70, "medium": 70, "high": 280}
#: Pixels a side that one token covers in Qwen3-VL's pictures; used for every OpenAI-compatible server.
_PATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEstimate:
    """What one model would be asked; token and money figures are estimates, ``usd`` is None for an unknown price."""

    model: str
    endpoint: str
    leaves_machine: bool
    requests: int
    duplicates: int
    performances: int
    frames_per_clip: float
    input_tokens: int
    output_tokens: int
    usd: float | None


def estimate(prepared: Prepared) -> list[ModelEstimate]:
    """Return one estimate a model."""
    return [_estimate(prepared, name) for name in prepared.study.models]


def _estimate(prepared: Prepared, name: str) -> ModelEstimate:
    entry = prepared.study.models[name]
    seen: set[str] = set()
    kinds: Counter[str] = Counter()
    total = sampled = tokens = frames = clips = 0
    for request in prepared.plan.requests(name):
        if prepared.options.limit is not None and total >= prepared.options.limit:
            break
        total += 1
        kinds[request.question.kind] += 1
        seen.update(p.id for p in shown_in_order(request))
        if sampled < _SAMPLE:
            sampled += 1
            for performance in shown_in_order(request):
                shown = frames_sent(performance, request.spec, prepared)
                frames += shown
                clips += 1
            tokens += request_tokens(request, entry, prepared)
    per_request = tokens / sampled if sampled else 0.0
    input_tokens, output_tokens = round(per_request * total), _output_tokens(entry) * total
    endpoint, remote = entry.destination()
    return ModelEstimate(
        model=name,
        endpoint=endpoint,
        leaves_machine=remote,
        requests=total,
        duplicates=prepared.plan.duplicates[name],
        performances=len(seen),
        frames_per_clip=frames / clips if clips else 0.0,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        usd=entry.price(input_tokens, output_tokens),
    )


def request_tokens(request: Request, entry: ModelEntry, prepared: Prepared) -> int:
    """Estimate the input tokens of a request: its text, and its frames by the rule of the model's family."""
    text = len(prompt_text(request.chain)) / _CHARACTERS
    media = 0.0
    for performance in shown_in_order(request):
        info = prepared.sources.describe(performance)
        each = _frame_tokens(info.width, info.height, request.spec.max_side, entry)
        media += each * frames_sent(performance, request.spec, prepared)
    return math.ceil(text + media)


def _output_tokens(entry: ModelEntry) -> int:
    assumed = _OUTPUT if entry.thinking in {None, "off"} else _OUTPUT_THINKING
    return min(assumed, entry.max_output_tokens or assumed)


@lru_cache(maxsize=1024)
def _frame_tokens(width: int, height: int, max_side: int, entry: ModelEntry) -> float:
    if entry.provider == "google":
        return _GEMINI[entry.resolution]
    scale = min(1.0, max_side / max(width, height, 1))
    return max(1.0, width * scale / _PATCH) * max(1.0, height * scale / _PATCH)


def frames_sent(performance: Performance, spec: MediaSpec, prepared: Prepared) -> int:
    """Estimate how many frames of a performance are shown, from its header."""
    if spec.form == "none":
        return 0
    info = prepared.sources.describe(performance)
    if info.kind == "image":
        return 1
    duration, rate = _window(performance, info)
    available = max(1, round(duration * rate))
    asked = spec.frames or (math.ceil(duration * spec.fps) if spec.fps else available)
    return max(1, min(asked, available, spec.max_frames or available))


def _window(performance: Performance, info: SourceInfo) -> tuple[float, float]:
    rate = performance.fps or info.fps or 1.0
    if performance.first_frame is not None and performance.last_frame is not None:
        return (performance.last_frame - performance.first_frame + 1) / rate, rate
    end = performance.end_s if performance.end_s is not None else info.duration_s or 0.0
    return max(0.0, end - (performance.start_s or 0.0)), rate


def check_prices(prepared: Prepared) -> None:
    """Refuse a money limit over a model whose price is not known.

    Raises
    ------
    BadInput
        Naming the model and the key that gives a price.
    """
    for name, entry in prepared.study.models.items():
        if entry.price(1000, 1000) is None:
            raise BadInput(
                f"--max-usd: no price is known for model '{name}' ({entry.model}); "
                f"give usd_per_mtok = [input, output] in [models.{name}]"
            )


def first_prices(prepared: Prepared) -> dict[str, float]:
    """Estimate what a first request to each model costs, before any answer has told the real price."""
    prices = {}
    for name, entry in prepared.study.models.items():
        request = next(prepared.plan.requests(name), None)
        if request is not None:
            tokens = request_tokens(request, entry, prepared)
            prices[name] = entry.price(tokens, _output_tokens(entry)) or 0.0
    return prices
