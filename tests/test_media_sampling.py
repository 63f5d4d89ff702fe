"""Which frames are picked from the times at which a source shows them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqaudit.media.clip import sample, window
from media_clips import performance, spec


def times(frames: int, fps: float) -> np.ndarray:
    return np.arange(frames) / fps


def whole(shown: np.ndarray, until: float, **given):

    return window(shown, until, performance(Path("x.mp4"), **given))


def test_frames_are_the_ones_on_show_at_the_centres_of_equal_bins():
    shown = times(100, 25)
    picked = sample(shown, whole(shown, 4.0), spec(frames=8))
    assert picked.positions == (6, 18, 31, 43, 56, 68, 81, 93)
    assert picked.fps == 2.0


def test_fewer_frames_than_asked_for_are_all_shown_once():
    shown = times(5, 25)
    picked = sample(shown, whole(shown, 0.2), spec(frames=8))
    assert picked.positions == (0, 1, 2, 3, 4)
    assert picked.fps == pytest.approx(25)


def test_a_rate_above_the_source_shows_every_frame_once_at_the_source_rate():
    shown = times(65, 5)
    picked = sample(shown, whole(shown, 13.0), spec(fps=8))
    assert picked.positions == tuple(range(65))
    assert picked.fps == 5.0


def test_a_rate_takes_the_nearest_frame_and_the_earlier_of_two():
    shown = times(25, 25)
    picked = sample(shown, whole(shown, 1.0), spec(fps=10))
    # 0.1 s lies between frames 2 (0.08) and 3 (0.12): the earlier one
    assert picked.positions == (0, 2, 5, 7, 10, 12, 15, 17, 20, 22)
    assert picked.fps == 10


def test_the_window_is_half_open_and_unharmed_by_decimal_noise():
    shown = times(100, 25)
    part = whole(shown, 4.0, start_s=0.04 * 3, end_s=0.04 * 7)
    assert (part.first, part.last) == (3, 6)


def test_frame_numbers_count_from_one_and_include_the_last():
    shown = times(100, 25)
    part = whole(shown, 4.0, first_frame=11, last_frame=20)
    assert (part.first, part.last) == (10, 19)
    assert (part.start_s, part.end_s) == pytest.approx((0.4, 0.8))


def test_a_cap_thins_evenly_and_reports_the_rate_that_is_left():
    shown = times(100, 25)
    picked = sample(shown, whole(shown, 4.0), spec(max_frames=4))
    assert picked.positions == (12, 37, 62, 87)
    assert picked.fps == 1.0


@given(
    gaps=st.lists(st.floats(0.005, 0.7), min_size=1, max_size=60),
    ask=st.one_of(
        st.builds(lambda n: {"frames": n}, st.integers(1, 80)),
        st.builds(lambda f: {"fps": f}, st.floats(0.2, 120)),
        st.just({}),
    ),
    cap=st.one_of(st.none(), st.integers(1, 40)),
    start=st.floats(0, 0.5),
)
def test_no_frame_is_ever_shown_twice_out_of_order_or_outside_the_window(gaps, ask, cap, start):
    shown = np.concatenate([[0.0], np.cumsum(gaps)])
    end = float(shown[-1]) + 0.04
    part = whole(shown, end, start_s=start * end)
    if part.last < part.first:
        return
    picked = sample(shown, part, spec(**ask, max_frames=cap)).positions
    assert list(picked) == sorted(set(picked))
    assert picked[0] >= part.first
    assert picked[-1] <= part.last
    inside = part.last - part.first + 1
    if "frames" in ask:
        assert len(picked) == min(inside, ask["frames"], cap or inside)
    if cap:
        assert len(picked) <= cap


@given(fps=st.integers(1, 60), frames=st.integers(1, 200), more=st.floats(1.0, 10))
def test_asking_for_the_source_rate_or_more_shows_exactly_the_source_frames(fps, frames, more):
    shown = times(frames, fps)
    part = whole(shown, frames / fps)
    assert sample(shown, part, spec(fps=fps * more)).positions == tuple(range(frames))
