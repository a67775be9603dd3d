"""How far several logs of one source have been read, committed together with what was read of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from bearerwatch.ingest.log_file import LogFile
from bearerwatch.ingest.marks import Marks

__all__ = ["LogOffsets"]


class LogOffsets:
    """Writes what is known of logs, in the same two steps as everything else that is committed.

    Args:
        marks: where it is remembered.
    """

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._moved: dict[str, int] = {}
        self._forget: set[str] = set()

    def save(self, tx: Connection, logs: Sequence[LogFile]) -> None:
        """Write how far *logs* were read in transaction *tx*."""
        moved, forget = dict[str, int](), set[str]()
        for log in logs:
            log.saved, log.saving = log.offset, None
            if log.offset == log.committed:
                continue
            log.saving = self._marks.segment(log.head, log.offset, log.segment, log.name)
            if log.saving is not None:
                moved[log.saving] = log.offset
                if log.segment is not None and log.segment != log.saving:
                    forget.add(log.segment)
        forget -= {log.segment for log in logs if log.segment is not None and log.saving is None}
        self._moved, self._forget = moved, forget
        self._marks.save(tx, moved, forget)

    def committed(self, logs: Sequence[LogFile]) -> None:
        """What :meth:`save` wrote is durable."""
        self._marks.saved(self._moved, self._forget)
        self._moved, self._forget = {}, set()
        for log in logs:
            log.committed = log.saved
            log.segment, log.saving = log.saving or log.segment, None
