"""One spool segment: an append-only file of lines, read by slices, deleted when it is done with."""

from __future__ import annotations

import fcntl
import os
import stat
import time

from bearerwatch.ingest.lines import HEAD, MAX_LINE, RawLine, Slice

__all__ = ["SLICE", "Segment", "SegmentRefused"]

SLICE = 2 * MAX_LINE
"""Bytes read at once: holds at least one line of the greatest length."""

_SKIP = 1 << 20
_PROBE_EVERY = 1.0
_TS = b'"ts":"'
_TS_LENGTH = 26


class SegmentRefused(Exception):  # noqa: N818 - caught a frame up, never a failure
    """The file is not a segment one may read; the message says why and what to do.

    Args:
        message: for the operator.
        status: what the file is.
    """

    def __init__(self, message: str, status: os.stat_result) -> None:
        super().__init__(message)
        self.status = status


class Segment:
    """Reads the lines of one segment from where the last commit left off.

    Three offsets, in bytes: ``offset`` is behind the last line handed out, ``saved`` what the running
    transaction holds of it, ``committed`` what is durable.

    Args:
        source: the ``spool:<service>`` its lines come from.
        name: file name inside the service's folder.
        offset: where to begin.
    """

    __slots__ = (
        "_probed_at",
        "_scanned",
        "committed",
        "fd",
        "identity",
        "kept",
        "key",
        "mtime",
        "name",
        "offset",
        "saved",
        "sealed",
        "shrunk",
        "size",
        "source",
    )

    def __init__(self, source: str, name: str, offset: int) -> None:
        self.source = source
        self.name = name
        self.offset = self.saved = self.committed = offset
        self.size = 0
        self.mtime = 0
        self.fd = -1
        self.identity = (0, 0)
        self.sealed = False
        self.shrunk = False
        self.kept = False
        """Whether it was done with once and could not be deleted: there is no hurry to look at it again."""
        self.key = b""
        """Time stamp of the last line handed out, as written: who is furthest behind is read first."""
        self._scanned = 0  # how far an over-long line has been searched for its end
        self._probed_at = -_PROBE_EVERY

    def open(self, folder: int, owners: frozenset[int]) -> None:
        """Open the file inside the folder with descriptor *folder*, following no symlink.

        Raises:
            FileNotFoundError: it is gone.
            SegmentRefused: it is no regular file, or belongs to a stranger.
            OSError: it cannot be opened.
        """
        # O_NONBLOCK: opening a FIFO without a writer would wait for one
        fd = os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        status = os.fstat(fd)
        wrong = None
        if not stat.S_ISREG(status.st_mode):
            wrong = "it is not a regular file; remove it"
        elif status.st_uid not in owners:
            wrong = f"it belongs to user {status.st_uid}, not to its folder's owner; remove it or chown it"
        if wrong is not None:
            os.close(fd)
            raise SegmentRefused(wrong, status)
        self.fd = fd
        self.identity = (status.st_dev, status.st_ino)
        self._measured(status)

    def close(self) -> None:
        """Give the descriptor back; the segment can be opened again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self.sealed = False  # the lock went with the descriptor

    def measure(self) -> None:
        """Look at the open file's size."""
        self._measured(os.fstat(self.fd))

    def _measured(self, status: os.stat_result) -> None:
        self.size = status.st_size
        self.mtime = status.st_mtime_ns
        if self.size < self.offset:
            # After a power cut the file may be shorter than what was read of it; all of it was counted.
            self.offset = self.size
            self._scanned = 0
            self.shrunk = True

    @property
    def unread(self) -> int:
        """Bytes not handed out yet."""
        return self.size - self.offset

    @property
    def waiting(self) -> bool:
        """Whether there is something to read that was not looked at before."""
        return (self.offset if self.sealed else max(self.offset, self._scanned)) < self.size

    @property
    def done(self) -> bool:
        """Whether its writer is gone and all of it is durably committed."""
        return self.sealed and self.committed == self.offset == self.size

    def probe_due(self, now: float) -> bool:
        """Whether to ask again if the writer is gone: once a second, at *now* on the monotonic clock."""
        return not self.sealed and now - self._probed_at >= _PROBE_EVERY

    def probe(self) -> bool:
        """Try to take the writer's lock: whether the segment will not grow any more."""
        if self.sealed:
            return True
        now = time.monotonic()
        if not self.probe_due(now):
            return False
        self._probed_at = now
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        self.sealed = True
        self.measure()  # the writer may have appended between our last look and its end
        return True

    def read(self, max_lines: int, *, measured: bool = False) -> tuple[list[RawLine], int]:
        """Up to *max_lines* of the complete lines of the next slice, and how many bytes were read.

        The last line of a sealed segment counts as complete without a newline. With *measured* nothing is read that was
        written after the latest :meth:`measure`, but for the end of an over-long line.

        Raises:
            OSError: the file cannot be read.
        """
        found, count = self.slice(max_lines, measured=measured)
        return ([] if found is None else found.raws), count

    def slice(self, max_lines: int, *, measured: bool = False) -> tuple[Slice | None, int]:
        """The same lines, not yet taken apart; None if there are none."""
        if self._scanned > self.offset:
            return _sliced(*self._find_end())
        data = os.pread(self.fd, min(SLICE, self.size - self.offset) if measured else SLICE, self.offset)
        cut = data.rfind(b"\n")
        if cut < 0:
            return _sliced(*self._unterminated(data))
        parts = data[:cut].split(b"\n")
        if b"" in parts or max(map(len, parts)) > MAX_LINE:
            return _sliced(self._picked(parts, max_lines), len(data))
        start = self.offset
        if len(parts) > max_lines:
            del parts[max_lines:]
            self.offset += sum(map(len, parts)) + len(parts)
        else:
            self.offset += cut + 1
        if parts:
            self._note_time(parts[-1])
        return (Slice(self.source, self.name, start, parts) if parts else None), len(data)

    def _picked(self, parts: list[bytes], max_lines: int) -> list[RawLine]:
        """Of *parts* those that are lines; of the too long ones the heads."""
        lines: list[RawLine] = []
        end = self.offset
        source, name = self.source, self.name
        for part in parts:
            if len(lines) >= max_lines:
                break
            end += len(part) + 1
            if len(part) > MAX_LINE:
                lines.append(RawLine(source, name, end, part[:HEAD], len(part)))
            elif part:
                lines.append(RawLine(source, name, end, part))
        self.offset = end
        if lines:
            self._note_time(lines[-1].line)
        return lines

    def _unterminated(self, data: bytes) -> tuple[list[RawLine], int]:
        if len(data) > MAX_LINE:
            self._scanned = self.offset + len(data)
            return self._find_end()
        if data and self.sealed and self.offset + len(data) == self.size:
            self.offset = self.size
            # "end" is one byte past the file, as if the newline were there: offsets stay comparable
            return [RawLine(self.source, self.name, self.size + 1, data)], len(data)
        self._scanned = 0
        return [], 0

    def _find_end(self) -> tuple[list[RawLine], int]:
        """Look for the end of an over-long line, a bounded piece at a time; only its head is ever held.

        The committed offset stays at the line's beginning, so a restart finds the same line again.
        """
        data = os.pread(self.fd, _SKIP, self._scanned)
        at = data.find(b"\n")
        end = self._scanned + (len(data) if at < 0 else at)
        if at < 0 and not (self.sealed and end == self.size):
            self._scanned = end
            return [], len(data)
        head = os.pread(self.fd, HEAD, self.offset)
        line = RawLine(self.source, self.name, end + 1, head, end - self.offset)
        self.offset = end if at < 0 else end + 1
        self._scanned = 0
        return [line], len(data)

    def _note_time(self, line: bytes) -> None:
        at = line.find(_TS)
        if at >= 0:
            self.key = line[at + len(_TS) : at + len(_TS) + _TS_LENGTH]


def _sliced(lines: list[RawLine], count: int) -> tuple[Slice | None, int]:
    return (Slice.of(lines) if lines else None), count
