"""Run in a process of its own: asks tiny models of several families and writes what came back as JSON.

Torch, and torchvision where ``AQAUDIT_TORCHVISION`` names a folder with it, stay out of the tests' own process.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio

import tiny_families
from aqaudit.core.records import BadInput, MediaPart
from aqaudit.models import hf_loading  # torchvision becomes bearable by it
from aqaudit.models.call import AskFailed, Call
from aqaudit.models.catalog import load, open_model
from aqaudit.models.check import _clip, _frames, _request

WORDS = ("True", "False")
QUESTION = 'Statement: "The first frame is red." <answer>True</answer> if true, <answer>False</answer> if false.'


def call(parts: tuple[MediaPart, ...], text: str = QUESTION, *, seed: int = 1) -> Call:
    return Call(parts=(*parts, text), request=_request("m"), option_words=WORDS, seed=seed)


def ask(table: dict[str, Any], calls: list[Call], *, together: bool = True) -> list[dict[str, Any]]:
    """Ask calls side by side, or one after the other."""
    model = open_model("m", load("m", {"provider": "hf", "max_output_tokens": 4, **table}))
    replies: dict[int, dict[str, Any]] = {}

    async def one(at: int) -> None:
        try:
            replies[at] = dataclasses.asdict(await model.ask(calls[at]))
        except AskFailed as failed:
            replies[at] = {"cause": failed.cause, "message": failed.message}

    async def all_of_them() -> None:
        if together:
            async with anyio.create_task_group() as tasks:
                for at in range(len(calls)):
                    tasks.start_soon(one, at)
        else:
            for at in range(len(calls)):
                await one(at)

    anyio.run(all_of_them)
    return [replies[at] for at in range(len(calls))]


def refusal(table: dict[str, Any]) -> str:
    try:
        open_model("m", load("m", {"provider": "hf", **table}))
    except BadInput as bad:
        return str(bad)
    return ""


def by_hand(folder: str, parts: tuple[MediaPart, ...]) -> dict[str, float]:
    """Score each answer with whole forward passes, without cache or batches: what the provider must agree with."""
    import torch
    import transformers as hf
    from PIL import Image

    model = hf.AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = hf.AutoProcessor.from_pretrained(folder)
    messages = [{"role": "user", "content": [*({"type": "image"} for _ in parts), {"type": "text", "text": QUESTION}]}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    pictures = [Image.open(part.path).convert("RGB") for part in parts]
    scores = {}
    for word in WORDS:
        prompt = processor(text=[text], images=[pictures], return_tensors="pt", add_special_tokens=False)
        rows = [processor.tokenizer(f"<answer>{w}</answer>", add_special_tokens=False)["input_ids"] for w in WORDS]
        common = next(i for i, pair in enumerate(zip(*rows, strict=False)) if len(set(pair)) > 1)
        row = torch.tensor([rows[WORDS.index(word)]])
        size = prompt["input_ids"].shape[1]
        prompt["input_ids"] = torch.cat([prompt["input_ids"], row], dim=1)
        prompt["attention_mask"] = torch.ones_like(prompt["input_ids"])
        for extra in ("token_type_ids", "mm_token_type_ids"):
            if extra in prompt:
                prompt[extra] = torch.cat([prompt[extra], torch.zeros_like(row)], dim=1)
        with torch.no_grad():
            logprobs = torch.log_softmax(model(**prompt).logits.float(), -1)[0]
        picked = [float(logprobs[size + i - 1, row[0, i]]) for i in range(common, row.shape[1])]
        scores[word] = sum(picked)
    return scores


def family(name: str, folder: Path, media: Path) -> dict[str, Any]:
    source = str(tiny_families.build(name, folder / name))
    frames, clip = tuple(_frames(media)), tuple(_clip(media))
    found: dict[str, Any] = {
        "frames": ask({"model": source, "logprobs": True}, [call(frames)])[0],
        "by_hand": by_hand(source, frames),
        "blind": ask({"model": source}, [call(())])[0],
    }
    mixed = [call(frames), call(frames[:1]), call(frames, QUESTION + " And then?"), call(()), call(frames, seed=2)]
    for key, together in (("batch", True), ("singly", False)):
        found[key] = ask({"model": source, "logprobs": True, "concurrency": 8}, mixed, together=together)
    drawn = {"model": source, "temperature": 1.0, "top_p": 0.9}
    found["drawn"] = ask(drawn, mixed)
    found["drawn_again"] = ask(drawn, mixed, together=False)
    try:
        found["video"] = ask({"model": source, "media_form": "video", "logprobs": True}, [call(clip)])[0]
    except BadInput as bad:
        found["video"] = str(bad)
    for switch in ("on", "off"):
        try:
            found[f"thinking_{switch}"] = ask({"model": source, "thinking": switch}, [call(frames)])[0]
        except BadInput as bad:
            found[f"thinking_{switch}"] = str(bad)
    return found


def refusals(folder: Path) -> dict[str, str]:
    llava = tiny_families.build("llava", folder / "whole")
    silent = tiny_families.build("llava", folder / "silent")
    (silent / "chat_template.jinja").unlink()
    empty = folder / "empty"
    empty.mkdir()
    broken = tiny_families.build("llava", folder / "broken")
    (broken / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0nonsense")
    vast = tiny_families.build("llava", folder / "vast")
    with (vast / "model.safetensors").open("ab") as file:
        file.truncate(10**13)  # a hole: it takes no room on the disk
    return {
        "nowhere": refusal({"model": str(folder / "nowhere")}),
        "empty": refusal({"model": str(empty)}),
        "a file": refusal({"model": str(llava / "config.json")}),
        "unknown id": refusal({"model": "nobody/no-such-model"}),
        "text only": refusal({"model": str(tiny_families.build("text_only", folder / "text"))}),
        "no template": refusal({"model": str(silent)}),
        "broken weights": refusal({"model": str(broken)}),
        "too large": refusal({"model": str(vast)}),
    }


def main() -> None:
    out, wanted = Path(sys.argv[1]), sys.argv[2:]
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder, media = Path(scratch) / "models", Path(scratch) / "media"
        assert hf_loading.torch is not None
        folder.mkdir()
        media.mkdir()
        for name in wanted:
            result[name] = refusals(folder) if name == "refusals" else family(name, folder, media)
    out.write_text(json.dumps(result, default=str), encoding="utf-8")


if __name__ == "__main__":
    main()
