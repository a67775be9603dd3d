"""Text in memory that DuckDB reads like a file.

What is written into a statement goes through its parser first, and in 10 MB of JSON that alone takes twice as long as
everything that is then done with it. A file without a name (``memfd_create(2)``) has none of that, and nothing touches
the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["Text"]

_KEEP = 32 << 20
"""Bytes that are held on to from one use to the next: to give memory back and ask for it anew takes time as well."""


class Text:
    """Some text under a path that leads to it in this process alone."""

    def __init__(self, handle: int) -> None:
        """Take over the descriptor of a file in memory; it is closed when nobody needs this any more."""
        self._handle = handle
        self._size = 0
        self._path = f"/proc/self/fd/{handle}"

    @classmethod
    def made(cls) -> Text | None:
        """An empty one; None where the system has no such files."""
        if not hasattr(os, "memfd_create"):
            return None
        try:
            handle = os.memfd_create("bearerwatch", os.MFD_CLOEXEC)
        except OSError:
            return None
        text = cls(handle)
        if os.path.exists(text._path):  # noqa: PTH110 - the link leads nowhere, and still it can be opened
            return text
        return None  # /proc is not mounted

    @contextmanager
    def holding(self, pieces: Iterable[bytes]) -> Iterator[str]:
        """Hold *pieces*, one behind the other, and say under which path they can be read meanwhile.

        Raises:
            OSError: there is no memory for them.
        """
        end = 0
        try:
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    done = os.pwrite(self._handle, left, end)
                    left = left[done:]
                    end += done
            if end < self._size:
                os.ftruncate(self._handle, end)
            self._size = end
            yield self._path
        finally:
            self._size = max(self._size, end)
            if self._size > _KEEP:
                os.ftruncate(self._handle, 0)
                self._size = 0

    def __del__(self) -> None:
        """Close it."""
        os.close(self._handle)
