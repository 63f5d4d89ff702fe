"""Writing a trained model out: safetensors for transformers, and two ONNX graphs for a run without torch.

``vision.onnx``: ``pixel_values`` (N, 3, side, side) -> ``features`` (N, width): one token for each picture.
``text.onnx``: ``input_ids`` (B, T), ``features`` (M, width; one row for each picture token of the batch, in order) and
``past`` (layers, 2, B, heads, P, head width; keys and values of what was read before, P may be 0) -> ``logits``
(B, T, vocabulary) and ``present`` (layers, 2, B, heads, P + T, head width).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path

OPSET = 18


class Vision(nn.Module):
    """The tower and the connector, for whole square pictures only (the family's own code also takes parts)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower, self.connector = model.model.vision_model, model.model.connector

    def forward(self, pixel_values: Any) -> Any:
        """Return the tokens of pictures."""
        embeddings = self.tower.embeddings
        hidden = embeddings.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        hidden = hidden + embeddings.position_embedding.weight
        for layer in self.tower.encoder.layers:
            hidden = layer(hidden, None)
        hidden = self.tower.post_layernorm(hidden)
        return self.connector.modality_projection(hidden.flatten(1))


class Text(nn.Module):
    """The language model, written out with its keys and values as plain tensors."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.language, self.head = model.model.text_model, model.lm_head
        self.image = int(model.config.image_token_id)
        config = model.config.text_config
        self.heads, self.width = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        base = config.rope_parameters["rope_theta"]
        steps = torch.arange(0, self.width, 2, dtype=torch.float32)
        self.register_buffer("frequencies", base ** (-steps / self.width))

    def forward(self, input_ids: Any, features: Any, past: Any) -> tuple[Any, Any]:
        """Read ``input_ids`` behind ``past``."""
        embedded = self.language.embed_tokens(input_ids)
        pictures = (input_ids == self.image).reshape(-1)
        place = (torch.cumsum(pictures.to(torch.int64), 0) - 1).clamp(min=0)
        # One row more, so that there is something to look up where no picture is shown.
        table = torch.cat([features, torch.zeros_like(embedded[:1, 0])])
        shown = table[place].reshape(embedded.shape)
        hidden = torch.where(pictures.reshape(*input_ids.shape, 1), shown, embedded)
        before, length = past.shape[4], input_ids.shape[1]
        steps = torch.arange(length, device=input_ids.device) + before
        turns = steps[:, None].float() * self.frequencies[None]
        turns = torch.cat([turns, turns], dim=-1)
        cosine, sine = turns.cos(), turns.sin()
        seen = torch.arange(before + length, device=input_ids.device)[None] <= steps[:, None]
        kept = []
        for number, layer in enumerate(self.language.layers):
            keys_values, hidden = self._layer(layer, hidden, past[number], cosine, sine, seen)
            kept.append(keys_values)
        return self.head(self.language.norm(hidden)), torch.stack(kept)

    def _layer(self, layer: Any, hidden: Any, past: Any, cosine: Any, sine: Any, seen: Any) -> tuple[Any, Any]:
        normed = layer.input_layernorm(hidden)
        attention = layer.self_attn
        shape = (hidden.shape[0], hidden.shape[1], self.heads, self.width)
        query, key, value = (
            projection(normed).reshape(shape).transpose(1, 2)
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        query, key = (_turned(one, cosine, sine) for one in (query, key))
        key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        scores = query @ key.transpose(2, 3) * self.width**-0.5
        scores = scores.masked_fill(~seen, torch.finfo(scores.dtype).min)
        mixed = (torch.softmax(scores, dim=-1) @ value).transpose(1, 2).reshape(hidden.shape)
        hidden = hidden + attention.o_proj(mixed)
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        return torch.stack([key, value]), hidden


def _turned(vectors: Any, cosine: Any, sine: Any) -> Any:
    first, second = vectors.chunk(2, dim=-1)
    return vectors * cosine + torch.cat([-second, first], dim=-1) * sine


def save(model: Any, processor: Any, folder: Path) -> None:
    """Write everything that both providers need to ``folder``; weights are rounded to 16 bits for both."""
    model = model.eval().to(torch.float16)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    graphs(model.to(torch.float32), folder)


def graphs(model: Any, folder: Path) -> None:
    """Write the two ONNX graphs of a model."""
    config = model.config
    side, text = config.vision_config.image_size, config.text_config
    width = text.hidden_size // text.num_attention_heads
    with torch.no_grad():
        torch.onnx.export(
            Vision(model),
            (torch.zeros(2, 3, side, side),),
            str(folder / "vision.onnx"),
            input_names=["pixel_values"],
            output_names=["features"],
            dynamic_axes={"pixel_values": {0: "pictures"}, "features": {0: "pictures"}},
            opset_version=OPSET,
            dynamo=False,
        )
        ids = torch.tensor([[1, config.image_token_id, config.image_token_id, 5]])
        past = torch.zeros(text.num_hidden_layers, 2, 1, text.num_attention_heads, 3, width)
        torch.onnx.export(
            Text(model),
            (ids, torch.zeros(2, text.hidden_size), past),
            str(folder / "text.onnx"),
            input_names=["input_ids", "features", "past"],
            output_names=["logits", "present"],
            dynamic_axes={
                "input_ids": {0: "rows", 1: "tokens"},
                "features": {0: "shown"},
                "past": {2: "rows", 4: "before"},
                "logits": {0: "rows", 1: "tokens"},
                "present": {2: "rows", 4: "read"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
