"""One log that can be read once, from its beginning to its end: packed, or standard input."""

from __future__ import annotations

from typing import BinaryIO

from bearerwatch.ingest.lines import HEAD, MAX_LINE, RawLine
from bearerwatch.ingest.log_file import GZIP_DAMAGE, LogFile

__all__ = ["StreamLog"]

_FILLS = 128
"""How often more is read, 64 kB each, before what was found is handed out."""


class StreamLog(LogFile):
    """What can be read once, from its beginning to its end: a packed file, or standard input.

    Args:
        stream: what is read; it is closed here.
        head: what was read of it already.
        offset: where to begin, in bytes of what is unpacked.
        segment: what it is remembered as, if it is.
        source: the ``access:<service>`` its lines come from.
        name: what it is called.
        damage: what reading raises where it is damaged or cut off.
        whole: whether nobody writes to it any more, so that what stands behind its last newline is a line, too.
        numbered: whether lines are counted.
    """

    def __init__(
        self,
        stream: BinaryIO,
        head: bytes,
        offset: int,
        segment: str | None,
        *,
        source: str,
        name: str,
        damage: tuple[type[Exception], ...] = GZIP_DAMAGE,
        whole: bool = True,
        numbered: bool = False,
    ) -> None:
        super().__init__(source, name, offset, segment)
        self.head = head
        self._stream = stream
        self._buffer = head
        self._at = 0
        """Where the buffer begins."""
        self._skip = offset
        self._offset = offset
        self._ended = False
        self._damage = damage
        self._whole = whole
        self._numbered = numbered
        self._number = 0
        self.damaged = False
        """Whether reading it ended before its end."""
        self.left = 0
        """Bytes behind its last newline that were left for the next time."""
        self.numbers: dict[int, int] = {}
        """Where lines end that were handed out, and their numbers, if they are counted; whoever reads on empties it."""

    @property
    def offset(self) -> int:
        """Behind the last line handed out."""
        return self._offset

    @property
    def waiting(self) -> bool:
        """Whether there is more."""
        return not self.done

    @property
    def done(self) -> bool:
        """Whether it has been read to its end."""
        return self._ended and not self._buffer

    def read(self, max_lines: int) -> list[RawLine]:
        """Up to *max_lines* more lines; none does not mean that there are no more, for work is bounded as well."""
        found: list[RawLine] = []
        fills = _FILLS
        while len(found) < max_lines and fills and not self.done:
            cut = self._buffer.rfind(b"\n")
            if cut < 0 and not self._ended:
                if len(self._buffer) <= MAX_LINE:
                    self._fill()
                    fills -= 1
                else:
                    found += self._overlong()
                continue
            if cut < 0 and not self._whole:
                self.left, self._buffer = len(self._buffer), b""
                break
            text = self._buffer[:cut] if cut >= 0 else self._buffer  # behind the last newline stands a line as well
            used = 0
            for part in text.split(b"\n"):
                if len(found) >= max_lines:
                    break
                used += len(part) + 1
                found += self._taken(part, ended=cut >= 0)
            self._buffer = self._buffer[used:]
        return found

    def _taken(self, part: bytes, *, ended: bool) -> list[RawLine]:
        """One line, *ended* by a newline; none if it is empty or was read before."""
        self._at += len(part) + ended
        self._number += 1
        if self._at <= self._skip:
            return []
        self._offset = self._at
        if not part:
            return []
        end = self._at + (not ended)  # as if the newline were there: offsets stay comparable
        if self._numbered:
            self.numbers[end] = self._number
        if len(part) > MAX_LINE:
            return [RawLine(self.source, self.name, end, part[:HEAD], len(part))]
        return [RawLine(self.source, self.name, end, part)]

    def ended(self) -> None:
        """There is nothing in it that was not read."""
        self._ended, self._buffer = True, b""

    def _overlong(self) -> list[RawLine]:
        """Pass over a line longer than any that is taken, a piece at a time; its head alone is kept."""
        head, length = self._buffer[:HEAD], 0
        newline = -1
        while newline < 0 and not (self._ended and not self._buffer):
            newline = self._buffer.find(b"\n")
            piece = len(self._buffer) if newline < 0 else newline
            length += piece
            self._at += piece
            self._buffer = self._buffer[piece:]
            if newline < 0 and not self._ended:
                self._fill()
        if newline >= 0:
            self._buffer = self._buffer[1:]
            self._at += 1
        self._number += 1
        if self._at <= self._skip:
            return []
        self._offset = self._at
        end = self._at + (newline < 0)
        if self._numbered:
            self.numbers[end] = self._number
        return [RawLine(self.source, self.name, end, head, length)]

    def _fill(self) -> None:
        try:
            more = self._stream.read(MAX_LINE)
        except self._damage:
            more, self.damaged, self._whole = b"", True, False  # the last line was cut off as well
        self._buffer += more
        self._ended = not more

    def close(self) -> None:
        """Let go of it."""
        self._stream.close()
