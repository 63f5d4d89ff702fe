"""A request as people read it: every call, its text word for word, its media named where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.records import Slot
from aqaudit.request_writer import ways_of_showing

if TYPE_CHECKING:
    from aqaudit.models.catalog import ModelEntry
    from aqaudit.records import MediaSpec, Performance, Request

_RULE = "-" * 8


def render(request: Request, entry: ModelEntry) -> str:
    """Return everything a model is sent for a request, part by part in order; media are named in square brackets."""
    lines = [*_heading(request), ""]
    if entry.system_prompt:
        lines += [f"{_RULE} system message", "", entry.system_prompt.strip(), ""]
    steps = request.chain.steps
    for number, step in enumerate(steps, 1):
        which = f"call {number} of {len(steps)}: {step.name}" if len(steps) > 1 else "the call"
        lines += [f"{_RULE} {which}", ""]
        for part in step.parts:
            lines += [_slot(part, request) if isinstance(part, Slot) else part, ""]
    return "\n".join(lines).rstrip() + "\n"


def _heading(request: Request) -> list[str]:
    cell, question = request.cell, request.question
    facts: dict[str, object] = {
        "question": question.question_id,
        "model": cell.model,
        "strategy": cell.strategy + (f", {cell.shots} shots" if cell.shots else ""),
        "framing": cell.framing,
    }
    if question.kind in {"verify", "detect"}:
        facts["answer words"] = cell.answer_words
    if question.kind == "prefer":
        facts["pair order"] = cell.pair_order
    facts |= {"view": cell.view, "perturbation": cell.perturbation, "sampling": cell.sampling}
    if request.option_order:
        facts["option order"] = " ".join(str(i) for i in request.option_order)
    facts |= {"repeat": cell.repeat, "prompt": request.chain.prompt_id}
    return [f"{name:13} {value}" for name, value in facts.items()]


def _slot(slot: Slot, request: Request) -> str:
    if slot.name == "step":
        return f"[the reply to call {slot.step}]"
    ways = ways_of_showing(request)
    asked = len(ways) - len(request.shots)
    place = asked + (slot.step or 1) - 1 if slot.name == "shot" else 0 if slot.name == "first" else 1
    performance, spec, instead = ways[place]
    if instead is not None:
        return f"{_media(instead, spec)[:-1]}, in place of {performance.id}]"
    return _media(performance, spec)


def _media(performance: Performance, spec: MediaSpec) -> str:
    if spec.form == "none":
        return f"[nothing is shown of performance {performance.id}]"
    picture = spec.form == "frames" and spec.fps is None and spec.frames is None
    what = (
        "pose as text"
        if spec.view == "pose_text"
        else "clip"
        if spec.form == "video"
        else "picture"
        if picture
        else "frames"
    )
    if spec.frames is not None:
        how = f"{spec.frames} frames, "
    elif spec.fps is not None:
        how = f"{spec.fps:g} frames a second, "
    else:
        how = "" if picture else "sampled by the server, " if spec.native_sampling else "its own rate, "
    if spec.max_frames is not None:
        how += f"at most {spec.max_frames}, "
    changed = "" if spec.perturbation == "none" else f", {spec.perturbation}"
    return f"[{what} of performance {performance.id}: {how}view {spec.view}{changed}, up to {spec.max_side} pixels]"
