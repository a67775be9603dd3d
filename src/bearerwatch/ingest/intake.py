"""Where the HTTP side hands its batches over to the collector, and waits for them to be durable.

A batch may say which segment it is from and where it begins there; then sending it again changes nothing,
for how far each segment has been taken is committed together with the events.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from sqlalchemy import Connection

from bearerwatch.ingest.lines import RawLine
from bearerwatch.store import offsets
from bearerwatch.store.state import State, StateBusy

__all__ = ["Answer", "Batch", "Conflict", "Intake", "IntakeBusy"]

_MAX_SEGMENTS = 20_000


class Answer(NamedTuple):
    """What became of a batch, now durable."""

    accepted: int
    rejected: int
    duplicates: int = 0
    """Lines that had been taken before."""
    reasons: tuple[str, ...] = ()
    """Why lines were rejected, each reason once."""


class Conflict(Exception):  # noqa: N818 - an answer, not a failure
    """The batch does not join on to what was taken of its segment; nothing of it was taken.

    Args:
        expected: offset at which the next batch has to begin.
    """

    def __init__(self, expected: int) -> None:
        super().__init__(f"the next batch of this segment begins at {expected}")
        self.expected = expected


class IntakeBusy(Exception):  # noqa: N818 - an answer, not a failure
    """There is no room just now.

    Args:
        detail: what to do.
        own: whether it is this very source that takes the room.
    """

    def __init__(self, detail: str, *, own: bool) -> None:
        super().__init__(detail)
        self.own = own


class Batch:
    """The lines of one request.

    Args:
        source: ``http:<key name>``.
        lines: its lines.
        size: bytes reserved for it.
        segment: the client's name for where they are from, or empty.
        start: offset of its first byte in the segment.
        end: offset behind its last byte.
    """

    __slots__ = ("answer", "done", "end", "lines", "segment", "size", "source", "start", "taken")

    def __init__(
        self, source: str, lines: list[RawLine], size: int, *, segment: str = "", start: int = 0, end: int = 0
    ) -> None:
        self.source = source
        self.lines = lines
        self.size = size
        self.segment = segment
        self.start = start
        self.end = end
        self.taken = 0
        """Lines left out because they had been taken before."""
        self.answer: Answer | None = None
        """Set by the collector once the lines are decoded."""
        self.done: Future[Answer] = Future()
        """Resolved once everything is durable."""


class Intake:
    """A bounded queue between the HTTP threads and the collector.

    HTTP threads: :meth:`reserve`, :meth:`put` (or :meth:`release`). The collector's thread: :meth:`poll`,
    then :meth:`save` inside a transaction, then :meth:`committed`.

    Args:
        state: where offsets are remembered.
        max_bytes: how much may wait, all sources together.
        wake: called when there is something to poll.
    """

    def __init__(self, state: State, *, max_bytes: int = 64 << 20, wake: Callable[[], object] = lambda: None) -> None:
        self._state = state
        self._max_bytes = max_bytes
        self._wake = wake
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._queue: deque[Batch] = deque()
        self._polled: list[Batch] = []
        self._saved: list[Batch] = []
        self._offsets: dict[tuple[str, str], int] = {}
        self._moved: dict[tuple[str, str], int] = {}
        self._used: set[tuple[str, str]] = set()
        self._closed = False
        self.blocked: str | None = None
        """Why nothing can be taken just now, or ``None``; set by the collector."""

    # -- HTTP side

    def reserve(self, source: str, size: int) -> None:
        """Make room for *size* bytes of *source*.

        Raises:
            IntakeBusy: there is none; nothing was reserved.
        """
        with self._lock:
            if self.blocked is not None:
                raise IntakeBusy(self.blocked, own=False)
            if self._held.total() + size <= self._max_bytes:
                self._held[source] += size
                return
            own = self._held[source] * 2 >= self._max_bytes
        if own:
            raise IntakeBusy("this key has too much under way: send one request after another", own=True)
        raise IntakeBusy("the collector is catching up: send it again later", own=False)

    def release(self, source: str, size: int) -> None:
        """Give the room for *size* bytes of *source* back."""
        with self._lock:
            self._held[source] -= size
            if self._held[source] <= 0:
                del self._held[source]

    def put(self, batch: Batch) -> None:
        """Hand *batch* over; its room is given back when it is done."""
        with self._lock:
            closed = self._closed
            if not closed:
                self._queue.append(batch)
        if closed:
            self._finish(batch, IntakeBusy(self.blocked or "the collector is stopping", own=False))
        else:
            self._wake()

    # -- collector's side

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._polled)

    @property
    def expecting(self) -> bool:
        """Whether a request is being read, or has been and waits to be polled."""
        with self._lock:
            return bool(self._held)

    def poll(self, limit_lines: int = 10_000) -> list[Batch]:
        """Batches to decode, about *limit_lines* lines of them, without what was taken before.

        Raises:
            StateBusy: it could not be found out what of the first was taken before; all are still in the queue.
        """
        batches: list[Batch] = []
        while limit_lines > 0 and self._queue:
            batch = self._queue[0]
            try:
                expected = self._expected(batch)
            except StateBusy:
                if not batches:
                    raise
                break  # those before it are taken already: were they not handed out, their events would be lost
            with self._lock:
                self._queue.popleft()
            limit_lines -= len(batch.lines) + 1
            if expected is not None and not _joins(batch, expected):
                self._finish(batch, Conflict(expected))
                continue
            if expected is not None:
                fresh = [raw for raw in batch.lines if raw.offset >= expected]
                batch.taken = len(batch.lines) - len(fresh)
                batch.lines = fresh
            key = batch.source, batch.segment
            if batch.segment and (expected is None or batch.end > expected):
                self._offsets[key] = self._moved[key] = batch.end
            self._used.add(key)
            batches.append(batch)
        self._polled += batches
        return batches

    def save(self, tx: Connection) -> None:
        """Write how far each segment was taken in transaction *tx*."""
        offsets.save(tx, self._moved)
        self._saved = list(self._polled)

    def committed(self) -> None:
        """What :meth:`save` wrote is durable: answer those who wait."""
        for batch in self._saved:
            self._finish(batch, batch.answer or Answer(0, 0))
        answered = {id(batch) for batch in self._saved}
        self._polled = [batch for batch in self._polled if id(batch) not in answered]
        self._saved = []
        self._moved = {}

    def prune(self, tx: Connection) -> int:
        """Forget segments nobody has sent since the last time, if there are very many; returns how many."""
        known = offsets.load(tx, "http:")
        idle = [key for key in known if key not in self._used] if len(known) > _MAX_SEGMENTS else []
        offsets.forget(tx, idle)
        self._used = set()
        self._offsets = {}  # read again from the state when needed
        return len(idle)

    def close(self, reason: str) -> None:
        """Turn away everybody who still waits, for *reason*."""
        with self._lock:
            self.blocked = reason
            self._closed = True
            left = [*self._polled, *self._queue]
            self._queue.clear()
        self._polled = []
        for batch in left:
            self._finish(batch, IntakeBusy(reason, own=False))

    def _expected(self, batch: Batch) -> int | None:
        """Offset at which *batch* should begin, or ``None`` if anything will do."""
        if not batch.segment:
            return None
        key = batch.source, batch.segment
        known = self._offsets.get(key)
        if known is None:
            with self._state.read() as conn:
                known = offsets.get(conn, *key)
            if known is not None:
                self._offsets[key] = known
        return known

    def _finish(self, batch: Batch, result: Answer | Exception) -> None:
        self.release(batch.source, batch.size)
        if not batch.done.set_running_or_notify_cancel():
            return  # the client has gone
        if isinstance(result, Exception):
            batch.done.set_exception(result)
        else:
            batch.done.set_result(result)


def _joins(batch: Batch, expected: int) -> bool:
    """Whether *batch* has no gap before it and does not begin in the middle of a line taken before."""
    # end - 1: the last line of a body may have come without its newline
    return batch.start <= expected and not any(raw.offset < expected < raw.end - 1 for raw in batch.lines)
