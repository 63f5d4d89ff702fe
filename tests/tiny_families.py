"""Tiny, randomly initialised models of the families that users have: they answer, and their answers mean nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny_vlm

#: Writes pictures and clips where they stand among the text; ``enable_thinking`` opens or skips a block of thoughts.
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% elif c['type'] == 'video' %}VIDEO"
    "{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined %}{{ '<think>\n' if enable_thinking else '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)
_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
    "tie_word_embeddings": True,
}


def _tokenizer(extra: list[str], **names: str) -> Any:
    import transformers as hf
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<|im_start|>", "<|im_end|>", "<pad>", *extra],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    bpe.train_from_iterator(["The video shows one person. <answer>True</answer> False"] * 4, trainer)
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<pad>",
        extra_special_tokens=names or extra,
    )


def _template(picture: str, clip: str = "") -> str:
    return TEMPLATE.replace("IMAGE", picture).replace("VIDEO", clip)


def idefics3(folder: Path) -> None:
    """Idefics3: pictures only."""
    import transformers as hf

    names = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    tokenizer = _tokenizer(list(names.values()), **names)
    pictures = hf.Idefics3ImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 64}, do_image_splitting=False
    )
    processor = hf.Idefics3Processor(pictures, tokenizer, image_seq_len=16, chat_template=_template("<image>"))
    config = hf.Idefics3Config(
        vision_config={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
                       "image_size": 64, "patch_size": 8},
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **_TEXT},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=2,
    )  # fmt: skip
    _save(hf.Idefics3ForConditionalGeneration(config), processor, folder)


def smolvlm(folder: Path) -> None:
    """SmolVLM: pictures and clips; its processor needs torchvision and num2words."""
    import transformers as hf

    names = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    tokenizer = _tokenizer(list(names.values()), **names)
    pictures = hf.SmolVLMImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 64}, do_image_splitting=False
    )
    clips = hf.SmolVLMVideoProcessor(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 64}, do_sample_frames=False
    )
    processor = hf.SmolVLMProcessor(
        pictures, tokenizer, clips, image_seq_len=16, chat_template=_template("<image>", "<video>")
    )
    config = hf.SmolVLMConfig(
        vision_config={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
                       "image_size": 64, "patch_size": 8},
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **_TEXT},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=2,
    )  # fmt: skip
    _save(hf.SmolVLMForConditionalGeneration(config), processor, folder)


def internvl(folder: Path) -> None:
    """InternVL with a Qwen3 text model, as in 3.5: pictures and clips; its processor needs torchvision."""
    import transformers as hf

    names = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = _tokenizer(list(names.values()), **names)
    size = {"height": 32, "width": 32}
    processor = hf.InternVLProcessor(
        hf.GotOcr2ImageProcessorPil(size=size, crop_to_patches=False),
        tokenizer,
        hf.InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=_template("<IMG_CONTEXT>\n", "<video>\n"),
    )
    config = hf.InternVLConfig(
        vision_config={"model_type": "internvl_vision", "hidden_size": 32, "intermediate_size": 64,
                       "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": [32, 32], "patch_size": [8, 8]},
        text_config={"model_type": "qwen3", "vocab_size": len(tokenizer), "head_dim": 32, **_TEXT},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )  # fmt: skip
    _save(hf.InternVLForConditionalGeneration(config), processor, folder)


def qwen3_vl(folder: Path) -> None:
    """Qwen3-VL: pictures and clips of any size; its processor needs torchvision."""
    import transformers as hf

    names = {
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
        "vision_start_token": "<|vision_start|>",
        "vision_end_token": "<|vision_end|>",
    }
    tokenizer = _tokenizer(list(names.values()), **names)
    size = {"shortest_edge": 32 * 32, "longest_edge": 128 * 128}
    processor = hf.Qwen3VLProcessor(
        hf.Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, temporal_patch_size=2, size=size),
        tokenizer,
        hf.Qwen3VLVideoProcessor(
            patch_size=8, merge_size=2, temporal_patch_size=2,
            size={"shortest_edge": 32 * 32, "longest_edge": 8 * 128 * 128},
        ),
        chat_template=_template(
            "<|vision_start|><|image_pad|><|vision_end|>", "<|vision_start|><|video_pad|><|vision_end|>"
        ),
    )  # fmt: skip
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}
    config = hf.Qwen3VLConfig(
        vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 8,
                       "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 64,
                       "num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        text_config={"vocab_size": len(tokenizer), "head_dim": 32, **_TEXT,
                     "rope_parameters": {"rope_type": "default", "mrope_section": [6, 5, 5], "rope_theta": 10000.0}},
        tie_word_embeddings=True,
        **ids,
    )  # fmt: skip
    _save(hf.Qwen3VLForConditionalGeneration(config), processor, folder)


def _save(model: Any, processor: Any, folder: Path) -> None:
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)


def text_only(folder: Path) -> None:
    """A language model: it has no eyes."""
    import transformers as hf

    tokenizer = _tokenizer([])
    hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=len(tokenizer), **_TEXT)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


FAMILIES: dict[str, Callable[[Path], None]] = {
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "internvl": internvl,
    "qwen3_vl": qwen3_vl,
    "text_only": text_only,
}


def build(family: str, folder: Path, *, seed: int = 0) -> Path:
    """Save a model of a family (or ``llava``) with its processor to ``folder``."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch

    if family == "llava":
        return tiny_vlm.build(folder, seed=seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    FAMILIES[family](folder)
    return folder
