"""The demo model's tokenizer: whole sentences of plain prompts are single tokens, everything else is byte-level BPE.

The sentences are those of the ``base`` templates and those of the probe's catalogue. A question then takes some twenty
tokens beside its pictures. Any other text can be read as well, in smaller pieces.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aqaudit.core.records import LETTERS, TRUE_FALSE
from aqaudit.prompts import template

if TYPE_CHECKING:
    from collections.abc import Sequence

BOS, EOS, PAD, IMAGE, USER, ASSISTANT = "<s>", "</s>", "<pad>", "<image>", "<|user|>", "<|assistant|>"
OPEN, CLOSE = "<answer>", "</answer>"
#: What the family writes for a picture: its token between others.
NAMES = {
    "image_token": IMAGE,
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
}
PICTURE = (NAMES["fake_image_token"], NAMES["global_image_token"], IMAGE, NAMES["fake_image_token"])
SPECIAL = (BOS, EOS, PAD, *NAMES.values(), USER, ASSISTANT)
#: What a piece of text is before byte pairs are merged; the provider that runs without transformers uses it as well.
PIECE = r" ?[A-Za-z]+| ?[0-9]+(?:\.[0-9]+)?| ?[^ \t\r\nA-Za-z0-9]+|[ \t\r\n]"
#: Pictures and text in the places where they stand in the message.
CHAT_TEMPLATE = (
    "<s>{% for m in messages %}{{ '<|' + m['role'] + '|>' }}"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_PLACE = re.compile(r"\{[^{}]*\}|\n+")
_SHORTEST = 12
SIZE = 1200


def sentences() -> list[str]:
    """Return the fixed stretches of the plain prompts: what stands between places and line ends."""
    found = []
    for name in ("base", template.WORDING):
        for steps in template.load(name).sections.values():
            for step in steps:
                found += [piece.strip() for piece in _PLACE.split(step.text)]
    return sorted({piece for piece in found if len(piece) >= _SHORTEST})


def answers() -> list[str]:
    """Return every literal answer, each of which is to be one token."""
    words = {word for pair in TRUE_FALSE.values() for word in pair} | set(LETTERS)
    numbers = {f"{value / 2:g}" for value in range(21)} | {str(value) for value in range(101)}
    return sorted(words | numbers)


def build(corpus: Sequence[str]) -> Any:
    """Return a fast tokenizer of transformers; each text of ``corpus`` (statements, questions) is one token."""
    import transformers as hf
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECE), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator([*corpus * 4, *answers() * 50], trainer)
    whole = sorted({*sentences(), *(text for text in corpus if len(text) >= _SHORTEST)})
    bpe.add_tokens([AddedToken(text, normalized=False) for text in (OPEN, CLOSE, *whole)])
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens=dict(NAMES),
        additional_special_tokens=[USER, ASSISTANT],
    )
