"""The demo model's architecture: an Idefics3 of about four million parameters, and its processor.

The tower cuts a picture into 64 squares; the connector lays them side by side and makes one token of them, so a clip of
eight frames takes eight tokens (and three more each that the family puts round a picture).
"""

from __future__ import annotations

from typing import Any

import transformers as hf

import vocabulary

#: Pictures are shown at this many pixels a side, cut into squares of ``PATCH``; ``ROWS`` x ``ROWS`` make one token.
SIDE, PATCH = 96, 12
ROWS = SIDE // PATCH
WINDOW = 2048


def processor(tokenizer: Any) -> Any:
    """Return the processor: pictures to ``SIDE`` pixels square, levels from -1 to 1."""
    return hf.Idefics3Processor(
        hf.Idefics3ImageProcessorPil(
            size={"longest_edge": SIDE}, max_image_size={"longest_edge": SIDE}, do_image_splitting=False
        ),
        tokenizer,
        image_seq_len=1,
        chat_template=vocabulary.CHAT_TEMPLATE,
    )


def model(tokenizer: Any) -> Any:
    """Return the untrained model."""
    vision = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    text = {
        "model_type": "llama",
        "vocab_size": len(tokenizer),
        "hidden_size": 192,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": WINDOW,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": True,
    }
    config = hf.Idefics3Config(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids(vocabulary.IMAGE),
        scale_factor=ROWS,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    return hf.Idefics3ForConditionalGeneration(config)


def codes(model: Any, levels: Any) -> Any:
    """Return one token (N x width) for each picture (N x 3 x side x side)."""
    return model.model.connector(model.model.vision_model(pixel_values=levels).last_hidden_state)[:, 0]
