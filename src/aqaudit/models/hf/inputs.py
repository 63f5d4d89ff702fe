"""Calls as inputs of a model: chat messages, pictures and clips decoded, one padded batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aqaudit.models import part_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

    from aqaudit.models.call import Call
    from aqaudit.models.hf.loading import Loaded
    from aqaudit.records import MediaPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One call as text with the model's own place-holders, and the media that go there in order."""

    text: str
    pictures: tuple[Image.Image, ...]
    clips: tuple[np.ndarray[Any, Any], ...]
    metadata: tuple[dict[str, Any], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """How many pictures and clips; only prompts alike go into one batch."""
        return len(self.pictures), len(self.clips)


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
