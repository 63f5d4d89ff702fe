"""Read the pickles that data sets come as, without trusting them.

Only plain Python data and NumPy numbers and arrays of numbers are read. Nothing that a pickle names is ever imported:
the six names that NumPy writes are answered by stand-ins of this module, every other name is refused, and so is
every instruction that could make an object in another way. NumPy scalars come back as Python numbers, arrays (of one
dimension) as lists.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aqaudit.core.records import BadInput

#: A pickle of annotations is well under a megabyte.
MAX_BYTES = 16 * 2**20
#: Tuples deeper than this are refused: hashing them recurses in C and could exhaust the stack.
MAX_TUPLE_DEPTH = 50

_ALLOWED = frozenset(
    {"PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2",
     "LONG", "LONG1", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE",
     "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_TUPLE",
     "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "PUT", "BINPUT",
     "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"}
)  # fmt: skip
#: What the unpickler raises on a file that was cut short or is something else.
_BROKEN = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, OverflowError, struct.error
)  # fmt: skip
_FORMATS = {
    "b1": "?", "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip


def load(path: Path) -> Any:
    """Return what a pickle holds.

    Strings that Python 2 wrote as bytes are read as Latin-1.

    Raises
    ------
    BadInput
        Where the file cannot be read, is larger than 16 MiB, is no complete pickle, or asks for anything but
        plain data and NumPy numbers; the message names what it asked for.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise BadInput(f"{path} has {size:,} bytes; allowed for a pickle of annotations: {MAX_BYTES:,}")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    try:
        _refuse_harmful(data)
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except _Refused as refused:
        raise BadInput(
            f"{path} is refused: it asks for {refused}; allowed in a pickle: plain data and NumPy numbers"
        ) from None
    except _BROKEN as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(f"{path} is not a complete pickle of annotations ({said}); get the file again") from None


class _Refused(Exception):  # noqa: N818 - reads as what happened
    """The pickle asks for something that is not allowed."""


def _refuse_harmful(data: bytes) -> None:
    """Walk through the instructions without carrying them out; raise where one could harm."""
    depths: list[int] = []  # of each stack item: how deep the tuples in it are
    marks: list[int] = []  # where in the stack a mark lies
    memo: dict[int, int] = {}
    for step, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        name, taken = opcode.name, opcode.stack_before
        if name not in _ALLOWED:
            named = f" {str(argument).replace(' ', '.', 1)!r}" if name == "INST" else ""
            raise _Refused(f"the instruction {name}{named}")
        if name == "MARK":
            marks.append(len(depths))
        elif name in {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}:
            slot = len(memo) if argument is None else int(str(argument))
            # the unpickler reserves room for every lower number too; real ones are counted up as objects are made
            if slot > step:
                raise _Refused(f"memory slot {slot:,}")
            memo[slot] = depths[-1]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            depths.append(memo.get(int(str(argument)), 0))
        else:
            mark = pickletools.markobject
            start = marks.pop() - taken.index(mark) if mark in taken else len(depths) - len(taken)
            deep = 1 + max(depths[start:], default=0) if "TUPLE" in name else 0
            if deep > MAX_TUPLE_DEPTH:
                raise _Refused(f"tuples more than {MAX_TUPLE_DEPTH} deep")
            depths[start:] = [deep] * len(opcode.stack_after)


class _StandIn:
    """A stand-in for a callable that a pickle names; a pickle cannot change it."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., object]) -> None:
        self._make = make

    def __call__(self, *arguments: object) -> object:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise _Refused("a changed function")


class _Dtype:
    """The type of numbers in an array: made as ``dtype('f8', 0, 1)``, then given its byte order."""

    __slots__ = ("_format", "_order")

    def __init__(self, name: object, *_flags: object) -> None:
        if not isinstance(name, str) or name not in _FORMATS:
            raise _Refused(f"NumPy type {name!r}")
        self._format = _FORMATS[name]
        self._order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in {"<", ">", "=", "|"}:
            raise _Refused(f"byte order {order!r}")
        self._order = "=" if order == "|" else order

    def numbers(self, data: object) -> list[Any]:
        """Return the numbers in ``data`` (bytes, or Latin-1 text as Python 2 wrote them)."""
        raw = data.encode("latin1") if isinstance(data, str) else data
        if not isinstance(raw, bytes):
            raise _Refused(f"numbers given as {type(data).__name__}")
        step = struct.calcsize(self._order + self._format)
        return list(struct.unpack(f"{self._order}{len(raw) // step}{self._format}", raw))


class _Array(list[Any]):
    """An array of one dimension: made empty, then given its numbers."""

    __slots__ = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, _fortran, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple) or len(shape) != 1:
            raise _Refused(f"an array of shape {shape!r} of {type(dtype).__name__}")
        self[:] = dtype.numbers(data)
        if len(self) != shape[0]:
            raise ValueError(f"an array of {shape[0]} numbers holds {len(self)}")


def _scalar(dtype: object, data: object) -> object:
    if not isinstance(dtype, _Dtype):
        raise _Refused(f"a number of type {type(dtype).__name__}")
    (number,) = dtype.numbers(data)
    return number


def _encode(text: object, encoding: object = "latin1") -> bytes:
    # how Python 3 writes bytes for Python 2
    if not isinstance(text, str) or encoding not in {"latin1", "latin-1"}:
        raise _Refused(f"encoding {encoding!r}")
    return text.encode("latin1")


_NEW_ARRAY = _StandIn(lambda *_: _Array())
_SCALAR = _StandIn(_scalar)
_STAND_INS = {
    ("numpy", "dtype"): _StandIn(_Dtype),
    ("numpy", "ndarray"): _NEW_ARRAY,
    ("numpy.core.multiarray", "_reconstruct"): _NEW_ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _NEW_ARRAY,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("_codecs", "encode"): _StandIn(_encode),
}


class _Unpickler(pickle.Unpickler):
    """An unpickler that imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise _Refused(f"'{module}.{name}'") from None
