"""What a run would ask, send and cost: the dry run, from file headers and prices; no model, no decoded frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aqaudit.engine.windows import CHARACTERS, media_tokens
from aqaudit.keys import prompt_text
from aqaudit.records import BadInput, in_order
from aqaudit.request_writer import shown_in_order

if TYPE_CHECKING:
    from aqaudit.engine.preparation import Prepared
    from aqaudit.media.source import SourceInfo
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.records import MediaSpec, Performance, Request

#: Requests a model's figures are estimated from; the plan's order makes any prefix a random sample.
_SAMPLE = 2000
#: Assumed length of an answer in tokens, without and with thinking. Ours, not measured on a particular model.
_OUTPUT, _OUTPUT_THINKING = 150, 2000
#: Tokens of one moment of pose as text: a line of about a hundred characters, mostly figures.
_LINE = 50.0


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
    total = sampled = tokens = frames = clips = 0
    for planned in prepared.plan.planned(name):
        if prepared.options.limit is not None and total >= prepared.options.limit:
            break
        total += 1
        seen.update(p.id for p in (*in_order(planned.question, "ab"), *planned.shots))
        if sampled < _SAMPLE:
            sampled += 1
            request = planned.request()
            for performance in shown_in_order(request):
                frames += frames_sent(performance, request.spec, prepared)
                clips += 1
            tokens += request_tokens(request, entry, prepared)
    per_request = tokens / sampled if sampled else 0.0
    input_tokens, output_tokens = round(per_request * total), answer_tokens(entry) * total
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
    text = len(prompt_text(request.chain)) / CHARACTERS
    media = 0.0
    for performance in shown_in_order(request):
        info = prepared.sources.describe(performance)
        frames = frames_sent(performance, request.spec, prepared)
        if request.spec.view == "pose_text":
            media += _LINE * frames
            continue
        media += media_tokens(entry, (info.width, info.height), request.spec.max_side, frames, request.spec.form)
    return math.ceil(text + media)


def answer_tokens(entry: ModelEntry) -> int:
    """Return the assumed length of an answer, its reasoning included."""
    assumed = _OUTPUT if entry.thinking in {None, "off"} else _OUTPUT_THINKING
    return min(assumed, entry.max_output_tokens or assumed)


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
        check_price(name, entry)


def check_price(name: str, entry: ModelEntry) -> None:
    """Refuse a money limit over one model whose price is not known."""
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
            prices[name] = entry.price(tokens, answer_tokens(entry)) or 0.0
    return prices
