"""Follows logs that servers write: reads what is appended, remembers how far, and touches nothing.

A log is followed through rotation, by renaming or by copying and cutting, and what was rotated while nobody read is
found beside it, packed or not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from bearerwatch.ingest.complaints import Complaints, remedy, shown
from bearerwatch.ingest.lines import RawLine
from bearerwatch.ingest.log_file import LogFile, LogRefused, PlainLog, open_log, unpacked_size
from bearerwatch.ingest.log_offsets import LogOffsets
from bearerwatch.ingest.log_stream import StreamLog
from bearerwatch.ingest.marks import Marks, same_beginning
from bearerwatch.ingest.tail import TailFigures
from bearerwatch.store.state import State

__all__ = ["LogTail"]

_TURN_LINES = 250
_QUIET = 3_600.0
"""Seconds after which nobody is taken to write to a log any more that was renamed: until then it is kept open, for a
server may still have requests that it logs there when they end."""
_ROTATING = 30.0
"""Seconds for which a log may be missing while it is rotated."""
_MOST_BESIDE = 200
_ROTATED = re.compile(r"[._-](?:\d[\dT:._-]*|old|prev)(?:\.gz)?\Z")
"""What rotation puts behind a log's name: ``.1``, ``.2.gz``, ``-20261122``, ``.old``."""


class LogTail:
    """Reads one log.

    Use from one thread, as :class:`~bearerwatch.ingest.tail.SpoolTail`: :meth:`poll`, then :meth:`save` inside a
    transaction, then :meth:`committed` once that is durable; :meth:`look` before, where others are read in between.

    Args:
        path: the log; it may appear later. What was rotated has a name that begins with the log's own.
        source: ``access:<service>``.
        state: where offsets are remembered.
        complain: takes what the operator should know.
    """

    def __init__(self, path: Path, source: str, state: State, *, complain: Complaints | None = None) -> None:
        self.path = path.absolute()
        self.source = source
        self._state = state
        self._complain = Complaints() if complain is None else complain
        self._marks: Marks | None = None
        self._current: PlainLog | None = None
        self._rotated: list[LogFile] = []
        self._begun = False
        self._looked = False
        self._trouble: str | None = None
        self._offsets: LogOffsets | None = None
        self._lost = 0

    def look(self) -> None:
        """See what there is: the next :meth:`poll` reads that, and nothing written since.

        Raises:
            StateBusy: the offsets could not be read (first call only).
        """
        if self._marks is None:
            self._marks = Marks(self.source, self._state)
            self._offsets = LogOffsets(self._marks)
        self._look(self._marks)
        self._looked = True

    def poll(self, limit_lines: int = 5_000) -> list[RawLine]:
        """New complete lines, at most *limit_lines*; those of what was rotated first.

        Raises:
            StateBusy: the offsets could not be read (first call only).
        """
        if not self._looked:
            self.look()
        self._looked = False
        lines: list[RawLine] = []
        for log in self._logs():
            try:
                while log.waiting and len(lines) < limit_lines:
                    found = log.read(min(_TURN_LINES, limit_lines - len(lines)))
                    if not found:  # half a line, or so much to pass over that it takes another round
                        break
                    lines += found
            except OSError as error:
                self._say("unreadable", f"cannot be read: {remedy(error)}. It is tried again")
                break
            if len(lines) >= limit_lines:
                break
        self._end_rotated()
        return lines

    def save(self, tx: Connection) -> None:
        """Write the offsets behind everything polled so far in transaction *tx*."""
        if self._offsets is not None:
            self._offsets.save(tx, self._logs())

    def committed(self) -> None:
        """What :meth:`save` wrote is durable."""
        if self._offsets is not None:
            self._offsets.committed(self._logs())
        for log in [log for log in self._rotated if log.done and log.committed == log.offset]:
            log.close()
            self._rotated.remove(log)

    @property
    def moved(self) -> bool:
        """Whether :meth:`save` has anything to write that would be missed."""
        return any(log.offset != log.committed for log in self._logs())

    @property
    def untidy(self) -> bool:
        """Never: there is nothing to tidy."""
        return False

    def figures(self) -> TailFigures:
        """How the log stood at the last :meth:`poll`."""
        logs = self._logs()
        return TailFigures(len(logs), sum(log.unread for log in logs), self._lost, int(self._trouble is not None))

    def close(self) -> None:
        """Let go of every file."""
        for log in self._logs():
            log.close()
        self._rotated, self._current, self._begun = [], None, False
        self._marks = self._offsets = None

    # -- finding

    def _logs(self) -> list[LogFile]:
        return [*self._rotated, *([] if self._current is None else [self._current])]

    def _look(self, marks: Marks) -> None:
        """See whether the log was rotated, cut, or has appeared."""
        current = self._current
        try:
            if current is not None and current.cut():
                self._was_cut(marks, current)
            status = self.path.stat()
        except OSError as error:
            if not self._begun:
                self._resume(marks, None)  # it may have been rotated, and be written anew only at the next request
            if current is None or current.quiet > _ROTATING:  # else it is being rotated
                self._say("missing", f"{_why(error)}; it is followed as soon as it can be read")
            return
        if current is not None and (status.st_dev, status.st_ino) == current.identity:
            return
        try:
            fd, stream, head = open_log(self.path)
        except LogRefused as refusal:
            self._say("refused", str(refusal))
            return
        except OSError as error:
            self._say("missing", f"{_why(error)}; it is followed as soon as it can be read")
            return
        if stream is not None:
            stream.close()
            os.close(fd)
            self._say("packed", "it is packed, and does not grow: read it with 'bearerwatch ingest'")
            return
        self._trouble = None
        if current is not None and same_beginning(head, current.head, current.offset):
            log = PlainLog(self.path, fd, current.offset, current.segment, source=self.source)  # rewritten, not rotated
            log.committed = current.committed
            current.close()
        else:
            if current is not None:
                self._rotated.append(current)
                here = status.st_dev, status.st_ino
                self._rotated += self._between(marks, current.mtime, {current.identity, here})
            segment, offset = marks.find(head) or (None, 0)
            log = PlainLog(self.path, fd, offset, segment, source=self.source)
        if not self._begun:
            self._resume(marks, log)
        self._current = log

    def _was_cut(self, marks: Marks, log: PlainLog) -> None:
        """The log was copied and cut: what had not been read of it stands in its copy."""
        known = log.segment, log.offset
        for path in reversed(self._beside()):
            copy = self._opened(path, lambda head: known if self._is(head, log) else None)
            if copy is None:
                continue
            copy.committed = log.committed
            log.restart()
            self._rotated.append(copy)
            self._rotated += self._between(marks, copy.mtime, {copy.identity, log.identity})
            return
        self._lost += 1
        self._complain(
            f"cut {self.path}",
            f"{shown(self.path)} was cut and no copy of it is beside it; what was written to it just before may be "
            "lost. Nothing is counted twice",
        )
        log.restart()

    def _is(self, head: bytes, log: LogFile) -> bool:
        return same_beginning(head, log.head, log.offset)

    def _resume(self, marks: Marks, current: PlainLog | None) -> None:
        """Find what was rotated while nobody read: the log last read, if it is not this one, and all since."""
        self._begun = True
        if not marks:
            return
        found = [(path, self._opened(path, marks.find, unknown=True)) for path in self._beside()]
        known = [place for place, (_, log) in enumerate(found) if log is not None and log.segment is not None]
        if not known and current is not None and current.segment is None and marks.knows(str(self.path)):
            self._lost += 1
            self._complain(
                f"gap {self.path}",
                f"{shown(self.path)} is not the log that was read last, nor is that beside it: what was written "
                "between is not read. Give the files that hold it to 'bearerwatch ingest'",
            )
        for place, (_, log) in enumerate(found):
            if log is None:
                continue
            same = current is not None and same_beginning(log.head, current.head, current.offset)
            if known and place >= known[-1] and not same:
                self._rotated.append(log)
            else:
                log.close()

    def _between(self, marks: Marks, since: int, known: set[tuple[int, int]]) -> list[LogFile]:
        """Logs last written to after *since*, begun and rotated before anybody looked; *known* ones aside."""
        found: list[LogFile] = []
        for path in self._beside():
            try:
                status = path.stat()
            except OSError:
                continue
            if status.st_mtime_ns < since or (status.st_dev, status.st_ino) in known:
                continue

            def unseen(head: bytes) -> tuple[None, int] | None:
                seen = marks.find(head) or any(same_beginning(head, log.head, log.offset) for log in self._logs())
                return None if seen else (None, 0)

            log = self._opened(path, unseen)
            if log is not None:
                found.append(log)
        return found

    def _beside(self) -> list[Path]:
        """Files beside the log whose names begin as its own, the latest last."""
        found: list[tuple[int, str]] = []
        name = self.path.name
        try:
            with os.scandir(self.path.parent) as entries:
                found.extend(
                    (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
                    for entry in entries
                    if entry.name.startswith(name)
                    and _ROTATED.match(entry.name, len(name))
                    and entry.is_file(follow_symlinks=False)
                )
        except OSError:
            return []
        return [self.path.parent / name for _, name in sorted(found)[-_MOST_BESIDE:]]

    def _opened(
        self, path: Path, find: Callable[[bytes], tuple[str | None, int] | None], *, unknown: bool = False
    ) -> LogFile | None:
        """The file at *path* from where *find* says; from its beginning if that does not know it and *unknown*."""
        try:
            fd, stream, head = open_log(path)
        except (LogRefused, OSError) as error:
            why = _why(error) if isinstance(error, OSError) else str(error)
            self._complain(f"beside {path}", f"{shown(path)} is passed over: {why}")
            return None
        place = find(head) if head else None
        if place is None and not (unknown and head):
            _shut(fd, stream)
            return None
        segment, offset = place or (None, 0)
        if stream is None:
            plain = PlainLog(path, fd, offset, segment, source=self.source, name=str(self.path))
            plain.finish()
            return plain
        whole, status = unpacked_size(fd), os.fstat(fd)
        os.close(fd)
        log = StreamLog(stream, head, offset, segment, source=self.source, name=str(self.path))
        log.mtime, log.identity = status.st_mtime_ns, (status.st_dev, status.st_ino)
        if segment is not None and whole == offset % (1 << 32):
            log.ended()  # read before it was packed: it need not be unpacked to know
        return log

    def _end_rotated(self) -> None:
        """Logs that were renamed are read to their end, once nobody writes to them any more."""
        for log in self._rotated:
            if isinstance(log, PlainLog) and not log.done:
                log.cut()
                if log.quiet >= _QUIET:
                    log.finish()

    def _say(self, trouble: str, message: str) -> None:
        """Complain of the log once, until there is something else or nothing to complain of."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._complain(f"{trouble} {self.path}", f"{shown(self.path)}: {message}")


def _shut(fd: int, stream: BinaryIO | None) -> None:
    if stream is not None:
        stream.close()
    os.close(fd)


def _why(error: OSError) -> str:
    return "it is not there" if isinstance(error, FileNotFoundError) else f"it cannot be read: {remedy(error)}"
