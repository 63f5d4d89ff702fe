"""What fits a window: tokens by the vendors' rules, and the table that a dry run prints."""

from __future__ import annotations

from pathlib import Path

import pytest

import made
from aqaudit import Study
from aqaudit.engine.estimate import FAMILIES, Fit, family, fits, lines, media_tokens
from aqaudit.engine.preparation import RunOptions, prepare
from aqaudit.models.catalog import load, presets
from media_clips import make_clip

GEMINI, QWEN, INTERNVL = (presets()[name] for name in ("gemini-3.1-pro", "qwen3-vl-235b-instruct", "internvl3.5-241b"))


def test_presets_are_counted_by_their_own_familys_rule() -> None:
    assert {name: family(entry).name for name, entry in presets().items() if entry.provider != "simulated"}.items() >= {
        "gemini-3.1-pro": "gemini-3",
        "qwen3-vl-235b-instruct": "qwen3-vl",
        "qwen3-vl-235b-thinking": "qwen3-vl",
        "internvl3.5-241b": "internvl3.5",
        "internvl3.5-241b-thinking": "internvl3.5",
    }.items()
    assert all(one.source for one in FAMILIES.values())
    assert family(load("x", {"provider": "google", "model": "gemini-2.5-pro"})).name == "gemini-2"
    assert family(load("x", {"provider": "openai", "model": "some/other-model"})).window is None


@pytest.mark.parametrize(
    ("entry", "size", "frames", "form", "tokens"),
    [
        (GEMINI, (1920, 1080), 10, "video", 700),  # 70 a frame
        (GEMINI, (1920, 1080), 10, "frames", 11_200),  # 1,120 a picture
        (GEMINI.model_copy(update={"resolution": "high"}), (1920, 1080), 10, "video", 2_800),
        (QWEN, (768, 448), 1, "frames", 24 * 14 + 2),
        (QWEN, (768, 448), 8, "video", 4 * (24 * 14 + 8)),  # two frames share their tokens
        (QWEN, (1536, 896), 1, "frames", 24 * 14 + 2),  # scaled down to the longest side
        (INTERNVL, (768, 448), 8, "frames", 8 * 256),
        (INTERNVL, (448, 448), 1, "frames", 256),
        (INTERNVL, (768, 384), 1, "frames", 3 * 256),  # 2 x 1 tiles and a small copy
    ],
)
def test_tokens_of_media_are_the_vendors(
    entry: object, size: tuple[int, int], frames: int, form: str, tokens: int
) -> None:
    assert media_tokens(entry, size, 768, frames, form) == tokens  # type: ignore[arg-type]


def test_a_dry_run_says_that_examples_of_long_clips_do_not_fit_a_small_window(tmp_path: Path) -> None:
    root = made.folder(tmp_path, performances=10, criteria=1)
    text = (root / "clips.jsonl").read_text()
    for i in range(10):
        make_clip(root / f"clips/p{i:05d}.mp4", frames=160 if i else 20, fps=10)
    (root / "clips.jsonl").write_text(text.replace(".png", ".mp4"))
    path = made.study(root, model=made.SIMULATED, grid='strategy = ["base", "few_shot"]\nshots = [0, 4, 8]\nfps = [8]')
    loaded = Study.read(path, models=["internvl3.5-241b", "gemini-3.1-pro", "judge"])
    prepared = prepare(loaded, RunOptions(out=tmp_path / "out", allow_upload=frozenset({"made"})))
    small, large, unknown = fits(prepared)
    assert (small.median, small.longest) == (120 * 256, 120 * 256)  # at most 120 frames
    assert small.share == {0: 1.0, 1: 1 / 10, 2: 0.0, 4: 0.0, 8: 0.0}
    assert (large.median, large.share[8]) == (128 * 70, 1.0)
    assert unknown.share == {}
    shown = lines([small, large, unknown])
    assert all(len(line) <= 80 for line in shown)
    assert shown[2] == "internvl3.5-241b (window 40,960 tokens, counted as internvl3.5)"
    assert shown[3].split() == ["made,", "8", "fps", "30,720", "30,720", "all", "10%", "none", "none", "none"]


def test_a_share_that_is_not_all_or_none_is_never_called_so() -> None:
    row = Fit(
        model="m", family="other", window=1, dataset="d", clips=1, sampling="default", median=1, longest=1,
        share={0: 0.9999, 1: 0.0001, 2: 1.0, 4: 0.0},
    )  # fmt: skip
    assert lines([row])[-1].split()[-4:] == ["99%", "1%", "all", "none"]
