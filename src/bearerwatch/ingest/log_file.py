"""One log that is read and never written to: how far it was read, and a plain file that may grow."""

from __future__ import annotations

import gzip
import os
import stat
import time
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from bearerwatch.ingest.lines import RawLine
from bearerwatch.ingest.marks import HEAD_BYTES
from bearerwatch.ingest.segment import Segment

__all__ = ["GZIP_DAMAGE", "LogFile", "LogRefused", "PlainLog", "open_log", "read_head", "unpacked_size"]

_GZIP = b"\x1f\x8b"
GZIP_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading gzip raises where it is damaged or cut off."""


class LogRefused(Exception):  # noqa: N818 - caught a frame up, never a failure
    """The file is none that can be followed; the message says why and what to do."""


class LogFile:
    """How far one log has been read.

    Three offsets, in bytes: ``offset`` is behind the last line handed out, ``saved`` what the running transaction
    holds of it, ``committed`` what is durable.

    Args:
        source: the ``access:<service>`` its lines come from.
        name: what it is called where its lines are told of.
        offset: where to begin.
        segment: what it is remembered as, if it is.
    """

    def __init__(self, source: str, name: str, offset: int, segment: str | None) -> None:
        self.source = source
        self.name = name
        self.saved = self.committed = offset
        self.segment = segment
        self.saving: str | None = None
        self.head = b""
        """Its first bytes, 4,096 at most."""
        self.identity = (0, 0)
        self.mtime = 0

    @property
    def offset(self) -> int:
        """Behind the last line handed out."""
        raise NotImplementedError

    @property
    def waiting(self) -> bool:
        """Whether there is something to read that was not looked at before."""
        raise NotImplementedError

    @property
    def done(self) -> bool:
        """Whether it has been read to its end, and will not grow."""
        raise NotImplementedError

    @property
    def unread(self) -> int:
        """Bytes not handed out yet, as far as that is known."""
        return 0

    def read(self, max_lines: int) -> list[RawLine]:
        """Up to *max_lines* more lines.

        Raises:
            OSError: it cannot be read.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """Nobody writes to it any more: what stands behind its last newline is a line, too."""

    def close(self) -> None:
        """Let go of it."""


class PlainLog(LogFile):
    """A file that somebody else appends to.

    Args:
        path: where it is.
        fd: its descriptor, which is closed here.
        offset: where to begin.
        segment: what it is remembered as, if it is.
        source: the ``access:<service>`` its lines come from.
        name: what it is called.
    """

    def __init__(
        self, path: Path, fd: int, offset: int, segment: str | None, *, source: str, name: str | None = None
    ) -> None:
        super().__init__(source, str(path) if name is None else name, offset, segment)
        self._lines = Segment(source, self.name, offset)
        self._lines.fd = fd
        status = os.fstat(fd)
        self.identity = (status.st_dev, status.st_ino)
        self._grown_at = time.monotonic()
        self.head = os.pread(fd, HEAD_BYTES, 0)
        self._lines.measure()
        self.mtime = self._lines.mtime

    @property
    def offset(self) -> int:
        """Behind the last line handed out."""
        return self._lines.offset

    @property
    def waiting(self) -> bool:
        """Whether there is something to read that was not looked at before."""
        return self._lines.waiting

    @property
    def done(self) -> bool:
        """Whether it has been read to its end, and will not grow."""
        return self._lines.sealed and not self._lines.waiting

    @property
    def unread(self) -> int:
        """Bytes not handed out yet."""
        return self._lines.unread

    @property
    def quiet(self) -> float:
        """Seconds since it was last seen to grow."""
        return time.monotonic() - self._grown_at

    def cut(self) -> bool:
        """Look at it; whether it begins otherwise than it did, or is shorter than what was read: cut and begun anew."""
        lines = self._lines
        status = os.fstat(lines.fd)
        if status.st_size < lines.offset:
            return True
        if status.st_size == lines.size and status.st_mtime_ns == lines.mtime:
            return False
        head = os.pread(lines.fd, HEAD_BYTES, 0)
        if not head.startswith(self.head):
            return True
        self.head = head
        if status.st_size != lines.size:
            self._grown_at = time.monotonic()
        lines.measure()
        self.mtime = lines.mtime
        return False

    def restart(self) -> None:
        """It was cut and begun anew: so is reading it."""
        fd = self._lines.fd
        self._lines = Segment(self.source, self.name, 0)
        self._lines.fd = fd
        self.saved = self.committed = 0
        self.segment = self.saving = None
        self.head = os.pread(fd, HEAD_BYTES, 0)
        self._lines.measure()
        self.mtime = self._lines.mtime
        self._grown_at = time.monotonic()

    def read(self, max_lines: int) -> list[RawLine]:
        """Up to *max_lines* more lines, of what was there when it was last looked at.

        Raises:
            OSError: it cannot be read.
        """
        found, _ = self._lines.read(max_lines, measured=True)
        if len(self.head) < HEAD_BYTES:
            head = os.pread(self._lines.fd, HEAD_BYTES, 0)
            if head.startswith(self.head):
                self.head = head
        return found

    def finish(self) -> None:
        """Nobody writes to it any more: what stands behind its last newline is a line, too."""
        self._lines.measure()
        self._lines.sealed = True

    def close(self) -> None:
        """Let go of it."""
        self._lines.close()


def read_head(stream: BinaryIO) -> bytes:
    """The first 4,096 bytes of *stream*, fewer only if it has no more."""
    head = b""
    while len(head) < HEAD_BYTES and (more := stream.read(HEAD_BYTES - len(head))):
        head += more
    return head


def open_log(path: Path) -> tuple[int, BinaryIO | None, bytes]:
    """The descriptor of the log at *path*, what unpacks it if it is gzip, and how it begins.

    A symlink is followed: whoever runs the collector named it. Nothing is ever written to, locked or deleted.

    Raises:
        LogRefused: it is no regular file, or damaged.
        OSError: it cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO without a writer would be waited for
    try:
        stream, head = _begun(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd, stream, head


def unpacked_size(fd: int) -> int:
    """What the gzip file *fd* says of its size unpacked, modulo 2**32 (RFC 1952 §2.3.1); -1 if it is too short."""
    size = os.fstat(fd).st_size
    return int.from_bytes(os.pread(fd, 4, size - 4), "little") if size > 18 else -1


def _begun(fd: int) -> tuple[BinaryIO | None, bytes]:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise LogRefused("it is not a regular file; pipe what it gives into 'bearerwatch ingest -'")
    head = os.pread(fd, HEAD_BYTES, 0)
    if not head.startswith(_GZIP):
        return None, head
    packed = os.fdopen(os.dup(fd), "rb", buffering=0)
    unpacked = gzip.GzipFile(fileobj=packed, mode="rb")
    unpacked.myfileobj = packed  # else closing the one would not close the other
    stream = cast("BinaryIO", unpacked)
    try:
        return stream, read_head(stream)
    except GZIP_DAMAGE:
        stream.close()
        raise LogRefused("its gzip data is damaged or not all there yet") from None
