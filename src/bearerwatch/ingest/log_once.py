"""One log that is finished, read from where it was left to its end."""

from __future__ import annotations

from typing import BinaryIO

from sqlalchemy import Connection

from bearerwatch.ingest.lines import RawLine
from bearerwatch.ingest.log_file import read_head
from bearerwatch.ingest.log_offsets import LogOffsets
from bearerwatch.ingest.log_stream import StreamLog
from bearerwatch.ingest.marks import Marks
from bearerwatch.ingest.tail import TailFigures

__all__ = ["LogOnce"]


class LogOnce:
    """Reads one log, once: what was read of it before, under whatever name, is passed over.

    The same protocol as :class:`~bearerwatch.ingest.tail.SpoolTail`'s: :meth:`poll`, then :meth:`save` inside a
    transaction, then :meth:`committed`.

    Args:
        stream: what is in it, unpacked; closed by :meth:`close`.
        name: what it is called.
        marks: how far logs were read.
        damage: what reading it raises where it is damaged or cut off.
        whole: whether nobody writes to it any more, so that what stands behind its last newline is a line, too.

    Raises:
        StateBusy: it could not be found out how far it was read.
    """

    def __init__(
        self, stream: BinaryIO, name: str, marks: Marks, *, damage: tuple[type[Exception], ...], whole: bool
    ) -> None:
        damaged = False
        try:
            head = read_head(stream)
        except damage:
            head, damaged = b"", True
        segment, offset = (marks.find(head) if head else None) or (None, 0)
        self.log = StreamLog(
            stream,
            head,
            offset,
            segment,
            source=marks.source,
            name=name,
            damage=damage,
            whole=whole,
            numbered=True,
        )
        self.log.damaged = damaged
        self.before = offset
        """Bytes that were read at an earlier time."""
        self._offsets = LogOffsets(marks)

    def look(self) -> None:
        """Nothing: it does not grow."""

    def poll(self, limit_lines: int = 5_000) -> list[RawLine]:
        """More lines, at most *limit_lines*."""
        self.log.numbers.clear()
        lines: list[RawLine] = []
        while len(lines) < limit_lines and not self.log.done:
            lines += self.log.read(limit_lines - len(lines))
        return lines

    def number(self, raw: RawLine) -> int | None:
        """The number of a line of the latest :meth:`poll`, from 1."""
        return self.log.numbers.get(raw.end)

    def save(self, tx: Connection) -> None:
        """Write how far it was read in transaction *tx*."""
        self._offsets.save(tx, [self.log])

    def committed(self) -> None:
        """What :meth:`save` wrote is durable."""
        self._offsets.committed([self.log])

    @property
    def moved(self) -> bool:
        """Whether :meth:`save` has anything to write that would be missed."""
        return self.log.offset != self.log.committed

    @property
    def untidy(self) -> bool:
        """Never: there is nothing to tidy."""
        return False

    def figures(self) -> TailFigures:
        """How it stands."""
        return TailFigures(1, 0, 0, 0)

    def close(self) -> None:
        """Let go of it."""
        self.log.close()
