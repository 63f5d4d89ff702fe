"""Train the demo model: first its eyes, then its language, both on clips made by ``clips.py``.

    python training/train.py CLIPS OUT [--eyes STEPS] [--words STEPS] [--start EYES] [--threads N] [--seed N]

``CLIPS`` is the folder that ``clips.py`` wrote, ``OUT`` receives checkpoints and ``log.jsonl``, and in the end the
model's folder ``OUT/model``. Stages that have a checkpoint are not trained again. On a GPU the same steps are taken
there; give more of them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers as hf
from torch import nn

import export
import eyes
import lessons
import network
import truths
import vocabulary
from clips import Clips

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_EYES_BATCH, _WORDS_BATCH = 64, 12
#: Steps after which new clips are looked for and what was learned is kept.
_EVERY = 250
_EYES_RATE, _WORDS_RATE = 1e-3, 1e-3
#: How often every clip is looked at, every second time in the mirror, and the noise on what is remembered of it.
_VARIANTS, _BLUR = 2, 0.1
#: Shares of the rows that show nothing, one key-frame, four frames; the rest show all.
_BLANK, _ONE, _FOUR = 0.12, 0.1, 0.2
#: Layers below the hints.
_HINTED = 2
#: Severities count up to so many tolerances.
_MOST_SEVERE = 4.0
_QUESTIONS = 4


class Log:
    """One JSON object a line, also printed."""

    def __init__(self, path: Path) -> None:
        self._path, self._start = path, time.monotonic()

    def __call__(self, **facts: object) -> None:
        """Write what is known now."""
        line = json.dumps({"seconds": round(time.monotonic() - self._start), **facts})
        print(line, flush=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def fit(
    weights: list[Any],
    rate: float,
    steps: int,
    loss_of: Callable[[], tuple[Any, dict[str, float]]],
    log: Log,
    now_and_then: Callable[[], None],
) -> None:
    """Take optimiser steps: AdamW, warm-up, cosine down to a fiftieth, gradients clipped at 1."""
    optimiser = torch.optim.AdamW(weights, weight_decay=0.02, betas=(0.9, 0.98))
    sums: dict[str, list[float]] = {}
    for step in range(steps):
        share = min(1.0, (step + 1) / 150) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimiser.param_groups:
            group["lr"] = rate * share
        loss, facts = loss_of()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        for name, value in {"loss": float(loss.detach()), **facts}.items():
            sums.setdefault(name, []).append(value)
        if (step + 1) % 100 == 0:
            log(step=step + 1, of=steps, **{name: round(float(np.mean(v)), 4) for name, v in sums.items()})
            sums.clear()
        if (step + 1) % _EVERY == 0:
            now_and_then()


def train_eyes(model: Any, folder: Path, kept: Path, steps: int, seed: int, log: Log) -> None:
    """Teach the tower to tell where joints are. Clips may still be being made: new ones are taken in now and then."""
    draw, device = np.random.default_rng(seed), next(model.parameters()).device
    clips = Clips.read(folder)
    frames = clips.frames("train")
    seeing = [*model.model.vision_model.parameters(), *model.model.connector.parameters()]
    teller = eyes.Teller(model.config.text_config.hidden_size, eyes.targets(frames[:1]).shape[1]).to(device)
    across = eyes.POINTS * 3 + 2 * np.arange(17)

    def loss_of() -> tuple[Any, dict[str, float]]:
        picked = frames[np.sort(draw.integers(0, len(frames.pictures), _EYES_BATCH))]
        if draw.random() < 0.5:
            picked = eyes.mirrored(picked)
        wanted = eyes.targets(picked)
        pictures, move = eyes.varied(picked.pictures, draw)
        wanted[:, across] += 4 * move[0]
        wanted[:, across + 1] += 4 * move[1]
        codes = network.codes(model, pictures.to(device))
        return eyes.loss(teller, codes, torch.from_numpy(wanted).to(device)), {}

    def look() -> None:
        nonlocal frames
        clips = Clips.read(folder)
        frames = clips.frames("train")
        held_out = clips.frames("validation")
        some = held_out[np.linspace(0, len(held_out.pictures) - 1, 320).astype(int)]
        model.eval()
        with torch.inference_mode():
            codes = network.codes(model, eyes.plain(some.pictures).to(device))
            wanted = torch.from_numpy(eyes.targets(some)).to(device)
            found = [round(value, 2) for value in eyes.centimetres(teller, codes, wanted)]
        model.train()
        log(stage="eyes", frames=len(frames.pictures), held_out_joints_cm=found)
        torch.save(model.state_dict(), kept)

    model.train()
    fit([*seeing, *teller.parameters()], _EYES_RATE, steps, loss_of, log, look)
    look()
    model.eval()


class Hints(nn.Module):
    """How severe each error is, read off the model's state behind the last picture; thrown away after training.

    It is read half-way, so that the layers above can use what the ones below have found out.
    """

    def __init__(self, width: int, errors: int) -> None:
        super().__init__()
        self.read = nn.Linear(width, 2 * errors)

    def forward(self, state: Any, severity: Any) -> Any:
        """Return the loss; ``severity`` (rows x errors) is in tolerances, NaN where it does not apply."""
        amount, logit = self.read(state).chunk(2, dim=-1)
        known = ~torch.isnan(severity)
        wanted = severity[known].clamp(max=_MOST_SEVERE)
        present = (wanted > 1).float()
        size = nn.functional.smooth_l1_loss(amount[known], wanted, beta=0.25)
        return size + nn.functional.binary_cross_entropy_with_logits(logit[known], present)


class Truth(nn.Module):
    """Whether a sentence of the catalogue is true, read off its token one layer above the hints; thrown away too."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Linear(width, 1)

    def forward(self, state: Any, known: Any) -> Any:
        """Return the loss; ``known`` (rows x tokens) is 1, 0, or NaN where no sentence of the catalogue stands."""
        here = ~torch.isnan(known)
        if not here.any():
            return state.sum() * 0
        return nn.functional.binary_cross_entropy_with_logits(self.read(state[here])[:, 0], known[here])


class Memory:
    """What the trained eyes make of every clip: of its frames as they are and in the mirror, and of its mean colour."""

    def __init__(self, model: Any, seed: int) -> None:
        self._model, self._draw = model, np.random.default_rng(seed)
        self._device = next(model.parameters()).device
        self._known: dict[str, tuple[Any, Any]] = {}

    def of(self, clips: Clips, places: Any) -> dict[int, tuple[Any, Any]]:
        """Return for clips by place their tokens (variants x 8 x width), and that of a plain picture (width)."""
        found = {}
        with torch.inference_mode():
            for at in places:
                name = json.dumps(clips.facts[at])
                if name not in self._known:
                    self._known[name] = self._look(clips.pictures[at])
                found[int(at)] = self._known[name]
        return found

    def _look(self, shown: Any) -> tuple[Any, Any]:
        turns = [shown[:, :, ::-1] if variant % 2 else shown for variant in range(_VARIANTS)]
        levels = torch.cat([eyes.varied(turned, self._draw)[0] for turned in turns])
        plain = np.broadcast_to(np.rint(shown.mean(axis=(0, 1, 2))).astype(np.uint8), shown[:1].shape)
        codes = network.codes(self._model, torch.cat([levels, eyes.plain(plain)]).to(self._device)).cpu()
        return codes[:-1].reshape(_VARIANTS, len(shown), -1), codes[-1]


class Classroom:
    """Rows of the second stage: drawn, shown to the model, and what it got wrong."""

    def __init__(self, model: Any, tokenizer: Any, folder: Path, seed: int) -> None:
        self.model, self.tokenizer, self._folder = model, tokenizer, folder
        self.numbers, self.draw = np.random.default_rng(seed), random.Random(seed)
        self.device = next(model.parameters()).device
        self._memory = Memory(model, seed)
        self.renew()
        self.hints = Hints(model.config.text_config.hidden_size, len(self.clips.errors)).to(self.device)
        self.truth = Truth(model.config.text_config.hidden_size).to(self.device)

    def renew(self) -> None:
        """Take in the clips that were made meanwhile."""
        self.clips = Clips.read(self._folder)
        self.places = self.clips.of("train")
        self.seen = self._memory.of(self.clips, self.places)

    def shown(self, at: int) -> Any:
        """Return the tokens of the frames shown of a clip: all eight, four of them, or one; slightly blurred."""
        codes = self.seen[at][0][int(self.numbers.integers(_VARIANTS))]
        codes = codes + _BLUR * codes.std() * torch.randn(codes.shape)
        chance = self.numbers.random()
        if chance < _ONE:
            return codes[[int(self.numbers.integers(len(codes)))]]
        if chance < _ONE + _FOUR:
            return codes[int(self.numbers.integers(2)) :: 2]
        return codes

    def loss(self) -> tuple[Any, dict[str, float]]:
        """Return the loss of a fresh batch, and its parts."""
        rows, codes, severity, known_true = [], [], [], []
        for at in self.numbers.choice(self.places, _WORDS_BATCH, replace=False):
            shown, known = self.shown(at), self.clips.severity[at].copy()
            true = lessons.sentences(self.clips.questions[at])
            found = lessons.lessons(self.clips.questions[at], len(shown), self.draw, _QUESTIONS)
            if self.numbers.random() < _BLANK:
                shown = self.seen[at][1].expand(len(shown), -1)
                found, known, true = lessons.guesses(found, self.draw), np.full_like(known, np.nan), {}
            rows.append(lessons.pack(found, len(shown), self.tokenizer))
            codes.append(shown)
            severity.append(known)
            known_true.append({self.tokenizer.convert_tokens_to_ids(text): holds for text, holds in true.items()})
        batch = {k: v.to(self.device) for k, v in lessons.collate(rows, self.tokenizer.pad_token_id).items()}
        told = torch.full(batch["input_ids"].shape, torch.nan, device=self.device)
        for row, holds in enumerate(known_true):
            for token, value in holds.items():
                told[row, batch["input_ids"][row] == token] = float(value)
        states, middle, above = self.states(batch, torch.cat(codes).to(self.device))
        learned = batch["labels"][:, 1:] != -100
        logits = self.model.lm_head(states[:, :-1][learned])
        words = nn.functional.cross_entropy(logits, batch["labels"][:, 1:][learned])
        last = torch.tensor([row.beginning - 1 for row in rows], device=self.device)
        hints = self.hints(middle[torch.arange(len(rows)), last], torch.from_numpy(np.stack(severity)).to(self.device))
        truth = self.truth(above, told)
        parts = {"words": words, "hints": hints, "truth": truth}
        return 4 * words + hints + truth, {name: float(part.detach()) for name, part in parts.items()}

    def states(self, batch: dict[str, Any], codes: Any) -> tuple[Any, Any, Any]:
        """Return the language model's last hidden states, those half-way, and those one layer above."""
        language = self.model.model.text_model
        embedded = language.embed_tokens(batch["input_ids"])
        places = batch["input_ids"] == self.model.config.image_token_id
        embedded = embedded.masked_scatter(places[..., None], codes)
        read = language(
            inputs_embeds=embedded,
            attention_mask=batch["mask"],
            position_ids=batch["position_ids"],
            use_cache=False,
            output_hidden_states=True,
        )
        return read.last_hidden_state, read.hidden_states[_HINTED], read.hidden_states[_HINTED + 1]


def train_words(model: Any, tokenizer: Any, folder: Path, kept: Path, steps: int, seed: int, log: Log) -> None:
    """Teach the language model to answer about what the eyes see; they stay as they are."""
    room = Classroom(model, tokenizer, folder, seed)
    log(stage="words", clips=len(room.places))
    model.train()

    def look() -> None:
        room.renew()
        log(stage="words", clips=len(room.places))
        torch.save(model.state_dict(), kept)

    learning = [*model.model.text_model.parameters(), *room.hints.parameters(), *room.truth.parameters()]
    fit(learning, _WORDS_RATE, steps, room.loss, log, look)
    model.eval()


def _stage(path: Path, module: Any, train: Callable[[], None]) -> None:
    if path.is_file():
        module.load_state_dict(torch.load(path, weights_only=True))
        return
    train()
    torch.save(module.state_dict(), path)


def _texts() -> Iterable[str]:
    declared = truths.declared()
    for one in (*declared.criteria, *declared.errors, *declared.choices):
        yield one.action
        for name in ("positive", "negative", "statement", "question"):
            yield getattr(one, name, "")
        yield from getattr(one, "options", ())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--eyes", type=int, default=6000)
    parser.add_argument("--words", type=int, default=5000)
    parser.add_argument(
        "--start", type=Path, help="a checkpoint of an earlier training to go on from (eyes.pt, words.pt)"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    torch.set_num_threads(given.threads)
    hf.logging.set_verbosity_error()
    given.out.mkdir(parents=True, exist_ok=True)
    log = Log(given.out / "log.jsonl")
    tokenizer = vocabulary.build(list(_texts()))
    model = network.model(tokenizer).to("cuda" if torch.cuda.is_available() else "cpu")
    log(
        stage="start",
        parameters=sum(weight.numel() for weight in model.parameters()),
        vocabulary=len(tokenizer),
        given={k: str(v) for k, v in vars(given).items()},
    )
    if given.start is not None:
        before = torch.load(given.start, weights_only=True)
        own = model.state_dict()
        fitting = {name: value for name, value in before.items() if name in own and own[name].shape == value.shape}
        model.load_state_dict(fitting, strict=False)

    def eyes_stage() -> None:
        train_eyes(model, given.clips, given.out / "eyes.partial.pt", given.eyes, given.seed, log)

    def words_stage() -> None:
        partial = given.out / "words.partial.pt"
        train_words(model, tokenizer, given.clips, partial, given.words, given.seed, log)

    if given.eyes:
        _stage(given.out / "eyes.pt", model, eyes_stage)
    _stage(given.out / "words.pt", model, words_stage)
    export.save(model.cpu(), network.processor(tokenizer), given.out / "model")
    log(stage="saved", folder=str(given.out / "model"))


if __name__ == "__main__":
    main()
