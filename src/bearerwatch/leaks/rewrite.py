"""A file without its tokens, in the place of the one with them: all of it or nothing (write, fsync, rename)."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import BinaryIO, Self

from bearerwatch.leaks import beside
from bearerwatch.leaks.gate import Gate
from bearerwatch.leaks.marks import cleaned, same_length
from bearerwatch.leaks.opened import Opened
from bearerwatch.leaks.pieces import Piece
from bearerwatch.leaks.refused import Refused
from bearerwatch.leaks.scan import Hit, Leak, Scanner

__all__ = ["Writer", "rewrite"]

_BLOCK = 1 << 20


class Writer:
    """Passes the pieces of a stream on to *write*, with new text where there are hits."""

    def __init__(self, write: Callable[[bytes | memoryview], object], at: int = 0) -> None:
        self._write = write
        self._at = at

    def __call__(self, piece: Piece, hits: list[Hit]) -> None:
        """Pass on what *piece* settles."""
        data = memoryview(piece.data)
        for hit in hits:
            self._write(data[self._at - piece.offset : hit.start - piece.offset])
            self._write(hit.new or b"")
            self._at = hit.end
        settled = piece.offset + piece.settled
        if settled > self._at:
            self._write(data[self._at - piece.offset : piece.settled])
            self._at = settled


def rewrite(path: str, gate: Gate, *, binary: bool, advance: Callable[[int], object]) -> Iterator[Leak]:
    """Put a file without its tokens in the place of *path*; one that has none is left as it is.

    Mode, owner, times and extended attributes are kept. Yields each token that was found.

    Args:
        path: no symbolic link.
        gate: says which lines to look at.
        binary: whether what is no text is rewritten too; everything in it keeps its length.
        advance: is told how many bytes of the file have been read.

    Raises:
        Refused: it may not or cannot be rewritten, and is as it was. All its tokens have been yielded before.
        OSError: the same.
    """
    with ExitStack() as stack:
        source = stack.enter_context(Opened.at(path))
        scanner = Scanner(gate, clean=same_length if source.fixed else cleaned)
        draft: _Draft | None = None
        write: Writer | None = None
        refused: Exception | None = None
        for piece in source.pieces():
            hits = scanner(piece)
            if hits and draft is None and refused is None:
                try:
                    _allow(source, binary=binary)
                    draft = stack.enter_context(_Draft(path, source))
                    draft.copy(piece.offset)
                    write = Writer(draft.write, piece.offset)
                except (Refused, OSError) as error:  # what else is in it is said all the same
                    refused = error
            if write is not None:
                write(piece, hits)
            for hit in hits:
                yield from hit.leaks
            advance(source.read)
        if refused is not None:
            raise refused
        if draft is not None:
            draft.commit()


def _allow(source: Opened, *, binary: bool) -> None:
    source.allow(binary=binary)
    stat = source.stat()
    if stat.st_nlink > 1 and source.packing is None:
        raise Refused(
            f"it has {stat.st_nlink} hard links, and the others would keep the tokens: add --in-place, which "
            "rewrites them all"
        )
    if stat.st_nlink > 1:
        raise Refused(f"it has {stat.st_nlink} hard links, and the others would keep the tokens: remove those first")


class _Draft:
    """The new file, until it is put in the old one's place."""

    def __init__(self, path: str, source: Opened) -> None:
        self._path = path
        self._source = source
        self._before = source.stat()
        self._stack = ExitStack()
        self._name = beside.draft(path)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(beside.Claim(beside.journal(self._path)))
            with suppress(FileNotFoundError):  # of a run that was killed
                os.unlink(self._name)  # noqa: PTH108
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._raw = stack.enter_context(os.fdopen(os.open(self._name, flags, 0o600), "wb", _BLOCK))
            stack.callback(self._discard)
            packing = self._source.packing
            self._out: BinaryIO = self._raw
            if packing is not None:
                self._out = packing.write(self._raw, int(self._before.st_mtime))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _discard(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._name)  # noqa: PTH108

    def copy(self, length: int) -> None:
        """What comes before the first piece that has something to change, as it is."""
        with Opened.at(self._path) as again:
            write = Writer(self.write)
            done = 0
            for piece in again.pieces(limit=length):
                write(piece._replace(settled=len(piece.data)), [])
                done = piece.offset + len(piece.data)
        if done != length:
            raise Refused("it changed while it was read: add --in-place if something writes into it")

    def write(self, data: bytes | memoryview) -> None:
        """Add *data* at the end."""
        self._out.write(data)

    def commit(self) -> None:
        """Put it in the old one's place, unless that has changed since it was opened."""
        if self._out is not self._raw:
            self._out.close()
        self._raw.flush()
        handle = self._raw.fileno()
        before = self._before
        made = os.fstat(handle)
        if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
            try:
                os.fchown(handle, before.st_uid, before.st_gid)
            except PermissionError:
                raise Refused("its owner cannot be kept: run this as its owner, or add --in-place") from None
        _attributes(self._path, handle)
        os.fchmod(handle, before.st_mode & 0o7777)
        os.utime(handle, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.fsync(handle)
        now = os.lstat(self._path)
        if _state(now) != _state(before):
            raise Refused("it changed while it was read: add --in-place if something writes into it")
        if _written_to(self._path):
            raise Refused(
                "a process has it open for writing, and would go on writing into the file that was: add --in-place, "
                "or stop that first"
            )
        os.replace(self._name, self._path)  # noqa: PTH105
        beside.synced(os.path.dirname(self._path))  # noqa: PTH120


def _state(stat: os.stat_result) -> tuple[int, ...]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _attributes(path: str, handle: int) -> None:
    """Access control lists and security labels, as far as the file system has them and this user may."""
    with suppress(OSError, AttributeError):
        for name in os.listxattr(path):
            with suppress(OSError):
                os.setxattr(handle, name, os.getxattr(path, name))


def _written_to(path: str) -> bool:
    """Whether a process is known to have it open for writing: then no read lease is to be had (fcntl(2))."""
    lease = getattr(fcntl, "F_SETLEASE", None)
    if lease is None:  # not Linux
        return False
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.fcntl(handle, lease, fcntl.F_RDLCK)
        fcntl.fcntl(handle, lease, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(handle)
    return False
