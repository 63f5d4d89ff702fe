"""Locks: one run at a time writes to a folder. A lock is the system's own and ends with its process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from aqaudit.core.records import BadInput

#: The file in a folder that is locked; it stays when the lock is given back.
LOCK = ".lock"
#: Who only looks whether a lock is free holds it for a moment: a moment later it is.
_PATIENCE_S = 0.3


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is there.

    Raises
    ------
    BadInput
        Another run holds it, or the folder cannot be written to.
    """
    lock = FileLock(folder / LOCK, timeout=_PATIENCE_S, fallback_to_soft=False, preserve_lock_file=True)
    try:
        lock.acquire()
    except Timeout:
        problem = "another run is writing to this folder; wait for it or choose another --out"
        raise BadInput(f"{folder}: {problem}") from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or "its file system has no locks"
        raise BadInput(f"{folder}: cannot be written to: {reason}; choose another --out") from None
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Tell whether a run is writing to a folder now; a folder that nobody can write to has none."""
    if not (folder / LOCK).is_file():
        return False
    lock = FileLock(folder / LOCK, timeout=0, fallback_to_soft=False, preserve_lock_file=True)
    try:
        lock.acquire()
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    lock.release()
    return False
