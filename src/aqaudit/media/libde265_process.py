"""What runs libde265: a program of its own, with nothing but the standard library, so that it starts at once.

It is sent units of HEVC on its standard input and answers on its standard output::

    in   kind (1 byte), length (4, low byte first), then so many bytes of a unit
    out  after each PICTURE or END one byte: 1 where data ended elsewhere than their picture

See libde265's ``de265.h`` for its functions.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from ctypes import POINTER, c_char_p, c_int, c_int64, c_void_p
from typing import IO

#: Kinds of messages: a unit; the picture is whole; the picture is whole and the next unit begins anew.
UNIT, PICTURE, END = range(3)
#: How it ends where the library cannot be used.
NO_LIBRARY = 3

_MESSAGE = struct.Struct("<BI")
_MEMORY = 4 * 2**30
# Premature end of slice segment; blocks outside of the image; no end bit where one should be.
_ENDS_ELSEWHERE = frozenset({1002, 1004, 1017})
_NO_DEBLOCKING, _NO_SAO = 7, 8  # filters of decoded pictures, which are not looked at


def send(to: IO[bytes], kind: int, unit: bytes = b"") -> None:
    """Write a message."""
    to.write(_MESSAGE.pack(kind, len(unit)))
    to.write(unit)


def receive(source: IO[bytes]) -> bool:
    """Read whether data ended elsewhere; :class:`EOFError` where there is no answer."""
    answer = source.read(1)
    if not answer:
        raise EOFError
    return answer != b"\0"


class Decoder:
    """libde265, one stream at a time."""

    def __init__(self, place: str) -> None:
        self._library = library = ctypes.CDLL(place)
        library.de265_new_decoder.restype = c_void_p
        library.de265_get_next_picture.restype = c_void_p
        for name in ("get_next_picture", "flush_data", "push_end_of_frame", "reset", "get_warning"):
            getattr(library, f"de265_{name}").argtypes = [c_void_p]
        library.de265_push_NAL.argtypes = [c_void_p, c_char_p, c_int, c_int64, c_void_p]
        library.de265_decode.argtypes = [c_void_p, POINTER(c_int)]
        library.de265_set_parameter_bool.argtypes = [c_void_p, c_int, c_int]
        self._decoder = library.de265_new_decoder()
        for parameter in (_NO_DEBLOCKING, _NO_SAO):
            library.de265_set_parameter_bool(self._decoder, parameter, 1)

    def push(self, unit: bytes) -> None:
        """Take a unit."""
        self._library.de265_push_NAL(self._decoder, unit, len(unit), 0, None)

    def decode(self, *, end: bool) -> bool:
        """Decode what was pushed; return whether any of it ended elsewhere than its picture."""
        # Or it would wait for the next picture to tell that this one is whole.
        (self._library.de265_flush_data if end else self._library.de265_push_end_of_frame)(self._decoder)
        elsewhere, failed, more = False, 0, c_int(1)
        while more.value and not failed:  # it "fails" where it waits for more too
            failed = self._library.de265_decode(self._decoder, ctypes.byref(more))
            while warned := self._library.de265_get_warning(self._decoder):
                elsewhere |= warned in _ENDS_ELSEWHERE
            while self._library.de265_get_next_picture(self._decoder):
                pass
        if end:
            self._library.de265_reset(self._decoder)
        return elsewhere


def main() -> int:
    """Answer until nothing more is asked."""
    try:
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    except (ImportError, ValueError, OSError):
        pass
    try:
        decoder = Decoder(sys.argv[1])
    except (OSError, AttributeError):
        return NO_LIBRARY
    while start := sys.stdin.buffer.read(_MESSAGE.size):
        kind, length = _MESSAGE.unpack(start)
        unit = sys.stdin.buffer.read(length)
        if kind == UNIT:
            decoder.push(unit)
            continue
        sys.stdout.buffer.write(bytes([decoder.decode(end=kind == END)]))
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
