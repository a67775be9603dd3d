"""A file that goes on being written and tailed, without its tokens: inode, size and every offset stay."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Self

from bearerwatch.leaks import beside, journal
from bearerwatch.leaks.gate import Gate
from bearerwatch.leaks.journal import Patch
from bearerwatch.leaks.marks import same_length
from bearerwatch.leaks.opened import Opened
from bearerwatch.leaks.pieces import Piece
from bearerwatch.leaks.refused import Refused
from bearerwatch.leaks.scan import Hit, Leak, Scanner

__all__ = ["rewrite"]

_BATCH = 4 << 20
"""Bytes of patches that are journalled together."""
_AROUND = 4096
"""Bytes on each side by which a place in its line is told."""


def rewrite(
    path: str,
    gate: Gate,
    *,
    binary: bool,
    advance: Callable[[int], object],
    remark: Callable[[str], object],
) -> Iterator[Leak]:
    """Write marks of the same length over the tokens in *path*. Yields each token that was found.

    Looked at is what the file holds when this begins; lines that come later, and a last one that has not ended, are
    left alone.

    Args:
        path: no symbolic link.
        gate: says which lines to look at.
        binary: whether what is no text is rewritten too.
        advance: is told how many bytes have been read.
        remark: is told what the user should know, though nothing is wrong.

    Raises:
        Refused: it may not or cannot be rewritten. All its tokens have been yielded before.
        OSError: the same.
    """
    with ExitStack() as stack:
        source = stack.enter_context(Opened.at(path))
        scanner = Scanner(gate, clean=same_length)
        over: _Over | None = None
        refused: Exception | None = None
        late, allowed = 0, False
        limit = source.stat().st_size if source.packing is None else None
        for piece in source.pieces(limit):
            for hit in scanner(piece):
                try:
                    if not allowed:
                        _allow(source, binary=binary)
                        allowed = True
                    if not piece.complete:
                        late += len(hit.leaks)
                    elif refused is None:
                        over = over or stack.enter_context(_Over(path, source.stat()))
                        over.add(piece, hit)
                except (Refused, OSError) as error:  # what else is in it is said all the same
                    refused = refused or error
                yield from hit.leaks
            advance(source.read)
        if refused is not None:
            raise refused
        if over is not None:
            over.flush()
            if over.missed:
                raise Refused("it was truncated or rewritten by others meanwhile: run again")
        if late:
            remark("its last line has not ended yet and is left alone: run again once it has")


def _allow(source: Opened, *, binary: bool) -> None:
    if source.packing is not None:
        raise Refused("it is compressed, and cannot be rewritten in place: leave --in-place out for it")
    source.allow(binary=binary)


class _Over:
    """Gathers patches, notes a batch of them in the journal, and writes them over what was there."""

    def __init__(self, path: str, stat: os.stat_result) -> None:
        self._path = path
        self._stat = stat
        self._claim = beside.Claim(beside.journal(path))
        self._handle = -1
        self._patches: list[Patch] = []
        self._weight = 0
        self._last = 0
        self.missed = 0
        """Places that were not what they had been any more."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._claim)
            self._handle = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            stack.callback(os.close, self._handle)
            there = os.fstat(self._handle)
            if (there.st_dev, there.st_ino) != (self._stat.st_dev, self._stat.st_ino):
                raise Refused("it was exchanged while it was read: run again")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, piece: Piece, hit: Hit) -> None:
        """What of *hit* changes is a patch, told by what stands around it in its line."""
        begin, end = hit.start - piece.offset, hit.end - piece.offset
        old, new = piece.data[begin:end], hit.new or b""
        first, last = hit.leaks[0].offset - hit.start, hit.leaks[-1].offset + hit.leaks[-1].length - hit.start
        if old[:first] != new[:first] or old[last:] != new[last:]:  # more had to go than what was found at first
            first, last = 0, len(old)
        start, stop = begin + first, begin + last
        if piece.window:  # what follows, and what stood before, may be patched as well
            before, after = min(_AROUND, max(piece.offset + start - self._last, 0), start), 0
            self._last = piece.offset + stop
        else:
            line = piece.data.rfind(b"\n", 0, start) + 1
            before, after = min(_AROUND, start - line), min(_AROUND, len(piece.data) - stop)
            after = min(after, max(piece.data.find(b"\n", stop), stop) - stop)
        told = journal.frame(piece.data[start - before : start], stop - start, piece.data[stop : stop + after])
        self._patches.append(Patch(piece.offset + start, new[first:last], before, after, told))
        self._weight += last - first
        if self._weight >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Note what was gathered, then do it."""
        patches, self._patches, self._weight = self._patches, [], 0
        if patches:
            journal.note(self._claim, self._stat, patches)
            try:
                self.missed += journal.apply(self._claim, self._handle, patches)
            except KeyboardInterrupt:  # nothing is left half done for being in a hurry
                journal.apply(self._claim, self._handle, patches)
                raise
