"""Pickles are read without trusting them."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqaudit.core.records import BadInput
from aqaudit.datasets.pickles import load


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "annotations.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(5))
def test_plain_data_and_numpy_numbers_come_back_at_every_protocol(tmp_path: Path, protocol: int) -> None:
    data = {
        (1, 2): {"difficulty": 3.2, "name": "407C", "none": None, "yes": True, "raw": b"\x00\xff", "big": 10**30},
        "numbers": [np.float64(2.5), np.int32(-7), np.bool_(True)],
        "marks": np.array([9.5, 9.0, 8.5]),
        "counts": np.arange(4, dtype=">i2"),
    }
    read = load(saved(tmp_path, pickle.dumps(data, protocol=protocol)))
    assert read == {
        (1, 2): {"difficulty": 3.2, "name": "407C", "none": None, "yes": True, "raw": b"\x00\xff", "big": 10**30},
        "numbers": [2.5, -7, True],
        "marks": [9.5, 9.0, 8.5],
        "counts": [0, 1, 2, 3],
    }


def test_old_module_names_and_strings_of_python_2_are_understood(tmp_path: Path) -> None:
    marks = struct.pack("<2d", 9.5, 8.0)
    # numpy.core, and the numbers as a string of bytes, as Python 2 wrote them
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
        b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x10"
        + marks
        + b"tb."
    )
    assert load(saved(tmp_path, content)) == [9.5, 8.0]


class _Call:
    """Pickles as a call of a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch {canary}",), r"'(posix|nt)\.system'"),
        (eval, ("open({canary!r}, 'w')",), r"'(builtins|__builtin__)\.eval'"),
        (subprocess.Popen, (["touch", "{canary}"],), r"'(subprocess|commands)\.Popen'"),
        (getattr, ("", "join"), r"'(builtins|__builtin__)\.getattr'"),
        (np.fromfile, ("{canary}",), r"'numpy.*fromfile'"),
        (np.load, ("{canary}",), r"'numpy.*load'"),
    ],
)
def test_a_pickle_that_calls_anything_is_refused_by_name_and_nothing_happens(
    tmp_path: Path, protocol: int, function: Any, arguments: tuple[Any, ...], named: str
) -> None:
    canary = tmp_path / "canary"
    filled = tuple(
        [part.format(canary=str(canary)) for part in one] if isinstance(one, list)
        else one.format(canary=str(canary)) if isinstance(one, str) else one
        for one in arguments
    )  # fmt: skip
    hidden = {(1, 1): [{"judge_scores": [_Call(function, *filled)]}]}
    path = saved(tmp_path, pickle.dumps(hidden, protocol=protocol))
    with pytest.raises(BadInput, match=named) as caught:
        load(path)
    assert "refused" in str(caught.value)
    assert str(path) in str(caught.value)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"\x80\x02cos\nsystem\nU\x04true\x85R.", "os.system"),
        (b"cnumpy.testing._private.utils\nrunstring\n(S'1'\nS'2'\ntR.", "runstring"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ"),
        (b"\x80\x02cbuiltins\nlist\n.", "builtins.list"),
        (b"\x80\x02cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R.", "O8"),
        (b"\x80\x02cnumpy\ndtype\nU\x0bV1000000000K\x00K\x01\x87R.", "V1000000000"),
        (b"\x80\x02cnumpy\ndtype\n(N}U\x05_makeK\x01sNtb.", "a changed function"),
        (b"P1\n.", "PERSID"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "memory slot"),
        (b"\x80\x02K\x01" + b"\x85" * 200_000 + b"}\x8c\x01aK\x01s.", "tuples more than"),
    ],
)
def test_other_ways_to_make_objects_or_exhaust_memory_are_refused(tmp_path: Path, content: bytes, named: str) -> None:
    with pytest.raises(BadInput, match="refused") as caught:
        load(saved(tmp_path, content))
    assert named in str(caught.value)


def test_a_number_of_elements_that_is_not_there_is_refused(tmp_path: Path) -> None:
    content = pickle.dumps(np.zeros(3), protocol=2).replace(b"K\x03\x85", b"K\xc8\x85")
    with pytest.raises(BadInput, match="holds 3"):
        load(saved(tmp_path, content))


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.pkl"
    with path.open("wb") as file:
        file.truncate(50 * 2**30)  # sparse
    with pytest.raises(BadInput, match=r"53,687,091,200 bytes; allowed .* 16,777,216"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.pkl cannot be read: No such file"):
        load(tmp_path / "gone.pkl")


def test_every_truncation_of_a_real_pickle_is_one_line(tmp_path: Path) -> None:
    whole = pickle.dumps({(1, 1): {"a": np.array([1.0, 2.0]), "b": np.float64(3)}}, protocol=4)
    for length in range(len(whole)):
        with pytest.raises(BadInput) as caught:
            load(saved(tmp_path, whole[:length]))
        assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
@settings(max_examples=300, deadline=None)
@given(noise=st.binary(max_size=40), at=st.integers(0, 200), keep=st.booleans())
def test_noise_is_read_or_refused_but_never_breaks(
    noise: bytes, at: int, keep: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = pickle.dumps([{(1, 1): np.array([1.0, 2.0]), "x": np.float64(3)}], protocol=2)
    content = whole[:at] + noise + whole[at + (0 if keep else len(noise)) :]
    path = saved(tmp_path_factory.getbasetemp(), content)
    try:
        shown = repr(load(path))
    except BadInput as refused:
        shown = str(refused)
    assert "\n" not in shown
