"""A file opened to be looked through: unpacked, and told whether it is text."""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from bearerwatch.leaks.packed import DAMAGE, LONGEST, Packing, packing
from bearerwatch.leaks.pieces import Piece, pieces
from bearerwatch.leaks.refused import Refused

__all__ = ["Opened"]

_HEAD = 8 << 10
"""Bytes in which a NUL says that this is no text."""
_EXPORT = re.compile(rb"__[A-Z_]{1,64}=")
"""How a journald export begins. https://systemd.io/JOURNAL_EXPORT_FORMATS/"""
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


class _Prefixed(io.RawIOBase):
    """What was read of *file* already, and then the rest of it."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self._head = head
        # One read a call where that can be asked for: of a file that is cut off, all that can be read is.
        self._rest: Callable[[Any], int | None] = getattr(file, "readinto1", None) or cast("Any", file).readinto

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._head:
            return self._rest(buffer) or 0
        view = memoryview(buffer)
        count = min(len(view), len(self._head))
        view[:count] = self._head[:count]
        self._head = self._head[count:]
        return count


class Opened:
    """A context manager; what is raised as :class:`Refused` in it says what is wrong with the file.

    Args:
        file: unbuffered, at its beginning. It is closed at the end.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._read = 0
        self.packing: Packing | None = None
        self.binary = False
        self.export = False
        """Whether this is a journald export, which states the lengths of those of its fields that are no text."""
        self._stream: io.RawIOBase | None = None

    @classmethod
    def at(cls, path: str) -> Self:
        """The file at *path*; its size and all else are those of what is open."""
        return cls(open(path, "rb", buffering=0))  # noqa: PTH123 - closed on leaving

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException as error:
            self._file.close()
            self._explain(error)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is not None:
            self._explain(error)

    @property
    def fixed(self) -> bool:
        """Whether it has to keep the length of everything in it."""
        return self.binary or self.export

    @property
    def read(self) -> int:
        """Bytes of the file, as it lies on the disk, that have been read."""
        if self.packing is None:
            return self._read
        return self._file.tell() if self._file.seekable() else 0

    def stat(self) -> os.stat_result:
        """Of what is open."""
        return os.fstat(self._file.fileno())

    def allow(self, *, binary: bool) -> None:
        """Refuse to have it rewritten if it is no text, unless *binary*."""
        if self.binary and not binary:
            raise Refused("it is no text, and is not rewritten unless told to: add --binary, or remove it")

    def pieces(self, limit: int | None = None) -> Iterator[Piece]:
        """What is in it, once; the first *limit* bytes if that is given."""
        stream = self._stream
        if stream is None:
            raise ValueError("use it as a context manager")

        def fill(view: memoryview) -> int:
            room = view if limit is None else view[: max(limit - self._read, 0)]
            count = cast("Any", stream).readinto(room) if room else 0
            self._read += count
            return int(count)

        return pieces(fill)

    def _begin(self) -> None:
        head = _first(self._file, LONGEST)
        packed: BinaryIO = cast("BinaryIO", io.BufferedReader(_Prefixed(head, self._file), _HEAD * 16))
        self.packing = packing(head)
        inside = self._file if self.packing is None else self.packing.read(packed)
        begun = head if self.packing is None else b""
        begun += _first(inside, _HEAD - len(begun))
        if begun.startswith(_WIDE):
            raise Refused("it is UTF-16 or UTF-32, which is not looked at: convert it with 'iconv -t utf-8' first")
        self.export = _EXPORT.match(begun) is not None
        self.binary = b"\0" in begun and not self.export
        self._stream = _Prefixed(begun, inside)

    def _explain(self, error: BaseException) -> None:
        damaged = isinstance(error, DAMAGE) or (isinstance(error, OSError) and error.errno is None)
        if damaged and self.packing is not None:
            what = "ends early" if isinstance(error, EOFError) else "is damaged"
            raise Refused(
                f"its {self.packing.name} data {what}: what comes before that was looked at. Copy it anew, or unpack "
                "what can be unpacked"
            ) from None


def _first(file: BinaryIO, most: int) -> bytes:
    """Up to *most* bytes, fewer only at the end. Of damaged data, what comes before the damage."""
    found = b""
    read = getattr(file, "read1", None) or file.read
    while len(found) < most:
        try:
            more = read(most - len(found))
        except DAMAGE:
            if found:
                break
            raise
        if not more:
            break
        found += more
    return found
