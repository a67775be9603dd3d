"""One writer at a time, among all processes of a host."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bearerwatch.errors import BearerwatchError

__all__ = ["alone"]

_STEP = 0.02


@contextmanager
def alone(path: Path, seconds: float, what: str) -> Iterator[None]:
    """Be the only one who holds the file *path*, which is made, and stays; a process that ends lets go of it.

    Args:
        path: nobody writes to it, so it may lie beside what is replaced.
        seconds: to wait for somebody else at most.
        what: is being written, for the message.

    Raises:
        BearerwatchError: somebody else has held it all that time.
        OSError: it cannot be made.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BearerwatchError(f"{what} is being written by somebody else: try it again") from None
                time.sleep(_STEP)
        yield
    finally:
        os.close(handle)
