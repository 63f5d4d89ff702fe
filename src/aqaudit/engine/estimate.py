"""The dry run: what a run would ask, send and cost, and what fits each model's window; from headers and prices alone.

What media cost in tokens and how much a window holds are rules of the vendors, by model family, not measurements. No
model is asked and no frame decoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aqaudit.core.keys import prompt_text
from aqaudit.core.records import BadInput, Cell, MediaForm, MediaSpec, Performance, Request, in_order
from aqaudit.engine.preparation import Prepared
from aqaudit.media.source import SourceInfo
from aqaudit.models.settings import ModelEntry
from aqaudit.study.plan import PlannedDataset
from aqaudit.study.questions import shuffled
from aqaudit.study.requests import cells_of, media_spec, shown_in_order

#: Numbers of examples that the table is about; those of the study are added.
SHOTS = (0, 1, 2, 4)
#: Clips looked at in a data set.
_FIT_SAMPLE = 2000
_LABEL = 30
#: Tokens of a question's text and of an example's, about: the longest prompt with a guideline has 400.
_TEXT = 400

#: Requests a model's figures are estimated from; the plan's order makes any prefix a random sample.
_SAMPLE = 2000
#: Assumed length of an answer in tokens, without and with thinking. Ours, not measured on a particular model.
_OUTPUT, _OUTPUT_THINKING = 150, 2000
#: Tokens of one moment of pose as text: a line of about a hundred characters, mostly figures.
_LINE = 50.0

#: Characters a token, for English text.
CHARACTERS = 4.0
_QWEN_SIDE = 32
_TILE_SIDE, _TILE_TOKENS, _MOST_TILES = 448, 256, 12
#: Gemini 3: tokens of a frame of a clip, and of a picture, by media resolution; None is the default.
_GEMINI_FRAME = {None: 70, "low": 70, "medium": 70, "high": 280}
_GEMINI_PICTURE = {None: 1120, "low": 280, "medium": 560, "high": 1120}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How a family of models counts media.

    ``tokens(entry, width, height, frames, form)`` is for ``frames`` pictures or frames of so many pixels; ``window`` is
    None where it is not known, ``answer_inside`` says whether the answer has to fit into it as well.
    """

    name: str
    window: int | None
    answer_inside: bool
    tokens: Callable[[ModelEntry, float, float, int, MediaForm], float]
    source: str


def _gemini(entry: ModelEntry, width: float, height: float, frames: int, form: MediaForm) -> float:
    del width, height  # tokens of a frame do not depend on its size
    return frames * (_GEMINI_FRAME if form == "video" else _GEMINI_PICTURE)[entry.resolution]


def _gemini_2(entry: ModelEntry, width: float, height: float, frames: int, form: MediaForm) -> float:
    del width, height, form
    return frames * (66 if entry.resolution == "low" else 258)


def _qwen(entry: ModelEntry, width: float, height: float, frames: int, form: MediaForm) -> float:
    del entry
    # Two frames of a clip share their tokens; each stretch of a clip has its time written before it.
    stretches, note = (math.ceil(frames / 2), 8) if form == "video" else (frames, 2)
    return stretches * (max(1, round(width / _QWEN_SIDE)) * max(1, round(height / _QWEN_SIDE)) + note)


def _internvl(entry: ModelEntry, width: float, height: float, frames: int, form: MediaForm) -> float:
    del entry, form
    tiles = 1 if frames > 1 else _tiles(width, height)
    return frames * (tiles + (tiles > 1)) * _TILE_TOKENS


@lru_cache(maxsize=256)
def _tiles(width: float, height: float) -> int:
    """Return how many tiles a single picture is cut into: the grid of the closest aspect ratio, as the card's code."""
    grids = sorted(
        ((across, down) for across in range(1, _MOST_TILES + 1) for down in range(1, _MOST_TILES // across + 1)),
        key=lambda grid: grid[0] * grid[1],
    )
    best, closest = (1, 1), math.inf
    for across, down in grids:
        apart = abs(width / height - across / down)
        roomy = width * height > 0.5 * _TILE_SIDE**2 * across * down
        if apart < closest or (apart == closest and roomy):
            best, closest = (across, down), apart
    return best[0] * best[1]


def _generic(entry: ModelEntry, width: float, height: float, frames: int, form: MediaForm) -> float:
    del entry, form
    return frames * max(1.0, width / _QWEN_SIDE) * max(1.0, height / _QWEN_SIDE)


_GEMINI_WINDOW = 1_048_576
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="gemini-3",
            window=_GEMINI_WINDOW,
            answer_inside=False,
            tokens=_gemini,
            source="ai.google.dev/gemini-api/docs/media-resolution",
        ),
        Family(
            name="gemini-2",
            window=_GEMINI_WINDOW,
            answer_inside=False,
            tokens=_gemini_2,
            source="ai.google.dev/gemini-api/docs/tokens",
        ),
        Family(
            name="qwen3-vl",
            window=262_144,
            answer_inside=True,
            tokens=_qwen,
            source="Qwen3-VL config.json, preprocessor_config.json",
        ),
        Family(
            name="internvl3.5",
            window=40_960,
            answer_inside=True,
            tokens=_internvl,
            source="InternVL3.5 model card; configuration of Qwen3-235B-A22B",
        ),
        Family(
            name="other",
            window=None,
            answer_inside=True,
            tokens=_generic,
            source="one token for 32 x 32 pixels: ours, a guess",
        ),
    )
}


def family(entry: ModelEntry) -> Family:
    """Return the family whose rules an entry is counted by, ``other`` where its name tells none."""
    name = entry.model.lower().replace("_", ".")
    if entry.provider == "google":
        return FAMILIES["gemini-2" if name.startswith(("gemini-1", "gemini-2")) else "gemini-3"]
    for known in ("qwen3-vl", "internvl3.5"):
        if known in name:
            return FAMILIES[known]
    return FAMILIES["other"]


def media_tokens(entry: ModelEntry, size: tuple[int, int], max_side: int, frames: int, form: MediaForm) -> float:
    """Estimate the tokens of ``frames`` frames or pictures whose source has ``size`` pixels (width, height)."""
    width, height = size
    scale = min(1.0, max_side / max(width, height, 1))
    return family(entry).tokens(entry, max(1.0, width * scale), max(1.0, height * scale), frames, form)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One row: tokens of a clip, and for each number of examples the share of clips whose request fits.

    ``clips`` is 2 for pairs. ``share`` is empty where the window is not known.
    """

    model: str
    family: str
    window: int | None
    dataset: str
    clips: int
    sampling: str
    median: int
    longest: int
    share: dict[int, float]


def fits(prepared: Prepared) -> list[Fit]:
    """Return one row for each model, data set, sampling, and single performances or pairs of the study."""
    return [
        row
        for name, entry in prepared.study.models.items()
        for planned in prepared.plan.datasets
        for row in _of(prepared, name, entry, planned)
    ]


def _of(prepared: Prepared, name: str, entry: ModelEntry, planned: PlannedDataset) -> list[Fit]:
    rows = []
    dataset = planned.dataset
    people = shuffled(dataset.performances, prepared.study.spec.seed)[:_FIT_SAMPLE]
    shots = sorted({*SHOTS, *prepared.study.spec.grid.shots})
    for clips in (1, 2):
        kinds = [kind for kind in planned.tasks if (kind == "prefer") == (clips == 2)]
        sampled: dict[str, Cell] = {}
        for kind in kinds:
            for cell in cells_of(prepared.study, kind, name, dataset.name):
                if cell.perturbation != "text_only":
                    sampled.setdefault(cell.sampling, cell)
        for sampling, cell in sampled.items():
            each = []
            for performance in people:
                info = prepared.sources.describe(performance)
                spec = media_spec(cell, entry, image=info.kind == "image")
                frames = frames_sent(performance, spec, prepared)
                size = (info.width, info.height)
                each.append(media_tokens(entry, size, spec.max_side, frames, spec.form))
            each.sort()
            median = each[len(each) // 2]
            rows.append(
                Fit(
                    model=name,
                    family=family(entry).name,
                    window=family(entry).window,
                    dataset=dataset.name,
                    clips=clips,
                    sampling=sampling,
                    median=math.ceil(median),
                    longest=math.ceil(each[-1]),
                    share=_shares(entry, each, median, clips, shots),
                )
            )
    return rows


def _shares(
    entry: ModelEntry, each: Sequence[float], median: float, clips: int, shots: Sequence[int]
) -> dict[int, float]:
    """Return, for each number of examples, the share of clips that fit; examples are taken to be of median length."""
    window = family(entry).window
    if window is None:
        return {}
    room = window - (answer_tokens(entry) if family(entry).answer_inside else 0)
    return {
        k: sum(clips * tokens + k * clips * median + (k + 1) * _TEXT <= room for tokens in each) / len(each)
        for k in shots
    }


def lines(rows: Sequence[Fit]) -> list[str]:
    """Return the table in lines of at most 80 columns."""
    shots = sorted({k for row in rows for k in row.share} or SHOTS)
    head = "  tokens of a clip   share that fits, examples:"
    made = [f"{'what fits the window':{_LABEL + 2}}" + head]
    made.append(f"{'':{_LABEL + 2}}{'median':>9}{'longest':>9}" + "".join(f"{k:>6}" for k in shots))
    model = None
    for row in rows:
        if row.model != model:
            model = row.model
            window = "window not known" if row.window is None else f"window {row.window:,} tokens"
            made.append(f"{row.model} ({window}, counted as {row.family})")
        rate = row.sampling if row.sampling.endswith("frames") else f"{row.sampling} fps"
        what = row.dataset + ("" if row.sampling == "default" else f", {rate}") + (", pairs" if row.clips == 2 else "")
        shares = "".join(f"{_percent(row.share[k]) if k in row.share else '?':>6}" for k in shots)
        if len(what) > _LABEL:
            made.append(f"  {what}")
            what = ""
        made.append(f"  {what:{_LABEL}}{row.median:>9,}{row.longest:>9,}{shares}")
    return made


def _percent(share: float) -> str:
    # 99.9 % is not all of them, and 0.1 % is not none.
    return "all" if share == 1 else "none" if share == 0 else f"{min(99, max(1, round(100 * share)))}%"
