"""A stream as pieces of some 256 KB that end where a line does.

A line that is longer than a piece comes as overlapping windows: whatever begins before a window's *settled* place is
that window's business and stands there whole, with 32 KB of what surrounds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["MARGIN", "SIZE", "Piece", "pieces"]

SIZE = 256 << 10
"""Bytes read at a time, and looked at together. Looking at a line as it was meant takes a hundred times its size."""
MARGIN = 32 << 10
"""Bytes of a longer line seen before and behind what is decided: twice the longest token that is parsed."""


class Piece(NamedTuple):
    """Whole lines, or a window of a line that is longer."""

    data: bytes
    offset: int
    """Of the first byte, in the stream."""
    fresh: int
    """What begins here or later, in *data*, has not been decided by the window before."""
    settled: int
    """What begins before this is decided here. The end of *data*, unless the line goes on."""
    window: bool
    """Whether this is a part of a line, rather than whole lines."""

    @property
    def complete(self) -> bool:
        """Whether more can only be added behind it: the line goes on for long, or has ended."""
        return self.settled < len(self.data) or self.data.endswith(b"\n")


def pieces(fill: Callable[[memoryview], int], *, size: int = SIZE, margin: int = MARGIN) -> Iterator[Piece]:
    """What *fill* reads, in order. What came without a line end is held back until that comes, or the end.

    Args:
        fill: reads into a buffer and returns how many bytes, as ``readinto`` does; 0 at the end.
        size: bytes of a piece at most.
        margin: bytes seen on both sides of what is decided, in a line longer than *size*; at most a quarter of it.
    """
    buffer = bytearray(size)
    view = memoryview(buffer)
    held = offset = fresh = 0
    long = False
    while count := fill(view[held:]):
        end = held + count
        cut = (buffer.find(b"\n", held, end) if long else buffer.rfind(b"\n", held, end)) + 1
        if cut and long:  # the rest of a long line, and then whatever stands behind it
            yield Piece(bytes(view[:cut]), offset, fresh, cut, window=True)
            long, fresh = False, 0
            held, offset = _move(view, cut, end), offset + cut
            cut = buffer.rfind(b"\n", 0, held) + 1
            end = held
        if cut:
            yield Piece(bytes(view[:cut]), offset, 0, cut, window=False)
            held, offset = _move(view, cut, end), offset + cut
        elif end == size:
            settled, begin = _boundary(buffer, size - margin), _boundary(buffer, size - 2 * margin)
            yield Piece(bytes(view), offset, fresh, settled, window=True)
            held, offset, fresh, long = _move(view, begin, size), offset + begin, settled - begin, True
        else:
            held = end
    if held > fresh or (held and not long):
        yield Piece(bytes(view[:held]), offset, fresh, held, window=long)


def _move(view: memoryview, begin: int, end: int) -> int:
    """What is left over goes to the front of the buffer."""
    view[: end - begin] = bytes(view[begin:end])
    return end - begin


def _boundary(buffer: bytearray, at: int) -> int:
    """*at*, or a little before it where that would cut a UTF-8 character (RFC 3629 §3: at most three bytes follow)."""
    for place in range(at, at - 4, -1):
        if buffer[place] & 0xC0 != 0x80:
            return place
    return at
