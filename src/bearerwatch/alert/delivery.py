"""Draining the outbox: every notice at least once, under a key that never changes, in order per episode.

Each channel has a thread of its own, so a slow or dead one holds up nobody else. A row is marked in the
database right after the receiver has taken it; only a crash between the two sends it again, under the same
key. A mark that cannot be written (the database is busy) is kept in memory and written before anything else
is sent, so a busy database repeats nothing.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from bearerwatch import _guard
from bearerwatch.alert.channel import Channel, DeliveryError
from bearerwatch.alert.notice import Notice
from bearerwatch.store import outbox
from bearerwatch.store.outbox import OutboxRow
from bearerwatch.store.state import State, StateBusy
from bearerwatch.store.tables import outbox as table

__all__ = ["Delivery", "backoff"]

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 900.0
_LONGEST_PAUSE = 60.0
_IDLE = 30.0
_BUSY_WAIT = 0.25
_BATCH = 50
_KEPT = timedelta(days=30)
_TIDY_EVERY = 3600.0

_Mark = Callable[[Connection], None]


def backoff(tries: int, *, chance: Callable[[], float] = random.random) -> float:
    """Seconds to wait after *tries* failures: doubling from 1 s to 15 min, each shortened by up to a half.

    The spread keeps rows that failed together from coming back together.
    """
    longest = min(_FIRST_WAIT * 2.0 ** min(max(tries - 1, 0), 30), _LONGEST_WAIT)
    return longest * (1.0 - chance() / 2.0)


def _now() -> datetime:
    return datetime.now(UTC)


class Delivery:
    """Sends what the outbox holds.

    Args:
        state: the state database.
        channels: one sender each; names must be those the rows carry.
        give_up_after: age at which a notice that still fails is put aside for good.
        clock: what time it is.

    Use: :meth:`start`, :meth:`notify` after each commit that enqueued rows, :meth:`stop`.
    """

    def __init__(
        self,
        state: State,
        channels: Iterable[Channel],
        *,
        give_up_after: timedelta = timedelta(hours=24),
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._state = state
        self._clock = clock
        self._give_up_after = give_up_after
        self._lanes = [_Lane(state, channel, give_up_after, clock) for channel in channels]
        for lane in self._lanes[:1]:
            lane.chore = self._tidy

    def start(self) -> None:
        """Begin to send, beginning with what an earlier process left."""
        for lane in self._lanes:
            lane.start()

    def notify(self) -> None:
        """There are new rows. Returns at once."""
        for lane in self._lanes:
            lane.wake()

    def stop(self, timeout: float = 5.0) -> None:
        """Finish the notice each channel is at, or cut it off after half of *timeout* seconds.

        What was cut off or has not begun stays in the outbox for the next start.
        """
        for lane in self._lanes:
            lane.ask_to_stop()
        self._join(timeout / 2)
        for lane in self._lanes:
            lane.channel.close()
        self._join(timeout / 2)

    def _tidy(self, tx: Connection) -> None:
        """Forget what was settled 30 days ago, and give up what no channel has taken for too long.

        Rows of a channel that is no longer configured wait as long as any other: the next start may have it.
        """
        now = self._clock()
        outbox.prune(tx, now - _KEPT)
        orphaned = sa.and_(
            table.c.delivered_at.is_(None),
            table.c.dead_at.is_(None),
            table.c.channel.not_in([lane.channel.name for lane in self._lanes]),
            table.c.created_at < now - self._give_up_after,
        )
        tx.execute(sa.update(table).where(orphaned).values(dead_at=now, last_error="its channel is not configured"))

    def _join(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        for lane in self._lanes:
            if lane.is_alive():
                lane.join(max(end - time.monotonic(), 0.0))


class _Lane(threading.Thread):
    """One channel's sender."""

    def __init__(self, state: State, channel: Channel, give_up_after: timedelta, clock: Callable[[], datetime]) -> None:
        # A daemon: a receiver that hangs past every timeout must not keep the process from ending.
        super().__init__(name=f"bearerwatch-alert-{channel.name}", daemon=True)
        self.channel = channel
        self._state = state
        self._give_up_after = give_up_after
        self._clock = clock
        self._wakened = threading.Event()
        self._stopping = threading.Event()
        self._unwritten: _Mark | None = None
        self._failures = 0
        self._paused_until = 0.0
        self._last_said = -_LONGEST_PAUSE
        self.chore: _Mark | None = None
        self._next_chore = 0.0

    def wake(self) -> None:
        self._wakened.set()

    def ask_to_stop(self) -> None:
        self._stopping.set()
        self._wakened.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            self._wakened.clear()  # before looking, so that what arrives meanwhile is looked for again
            try:
                self._housekeep()
                wait = self._round()
            except StateBusy:
                wait = _BUSY_WAIT
            except SQLAlchemyError as error:
                self._say(f"the outbox cannot be read ({type(error).__name__}); it is tried again")
                wait = _LONGEST_PAUSE / 12
            except Exception as error:  # noqa: BLE001 - this thread must outlive any surprise
                _guard.swallowed(f"alert.delivery ({self.channel.name})", error)
                wait = _LONGEST_PAUSE / 12
            self._wakened.wait(wait)
            if self._paused_until > time.monotonic():
                self._stopping.wait(self._paused_until - time.monotonic())
        with suppress(StateBusy, SQLAlchemyError):  # else it is sent again at the next start, with its key
            self._write()

    def _housekeep(self) -> None:
        if self.chore is not None and time.monotonic() >= self._next_chore:
            with self._state.begin() as tx:
                self.chore(tx)
            self._next_chore = time.monotonic() + _TIDY_EVERY

    def _round(self) -> float:
        """Send what is due; returns seconds until there may be more."""
        self._write()
        while not self._stopping.is_set():
            with self._state.read() as conn:
                rows = outbox.due(conn, self.channel.name, self._clock(), _BATCH)
                if not rows:
                    return self._idle_for(conn)
            for row in rows:
                if self._stopping.is_set():
                    break
                self._unwritten = self._send(row)
                self._write()
                if self._paused_until > time.monotonic():
                    return 0.0
        return 0.0

    def _write(self) -> None:
        mark = self._unwritten
        while mark is not None:
            try:
                with self._state.begin() as tx:
                    mark(tx)
            except StateBusy:
                if self._stopping.is_set():
                    raise
                self._stopping.wait(_BUSY_WAIT)
            else:
                mark = self._unwritten = None

    def _send(self, row: OutboxRow) -> _Mark | None:
        """Try *row*; what is then to be written about it, if anything."""
        name, now = self.channel.name, self._clock()
        try:
            self.channel.deliver(Notice.load(row.payload))
        except DeliveryError as error:
            if self._stopping.is_set() and error.retry:
                return None  # cut off by us: no failure of the receiver's
            return self._failed(row, error, now)
        except msgspec.ValidationError:
            said = "it was written by a bearerwatch that this one does not understand"
            return lambda tx: outbox.dead(tx, row.key, name, now, said)
        except Exception as error:  # noqa: BLE001 - channels are other people's libraries
            said = f"{type(error).__name__} in the channel's library"  # its text may hold the address
            return self._failed(row, DeliveryError(said, retry=True), now)
        self._failures = 0
        sent = self._clock()
        return lambda tx: outbox.delivered(tx, row.key, name, sent)

    def _failed(self, row: OutboxRow, error: DeliveryError, now: datetime) -> _Mark:
        name, said = self.channel.name, str(error)
        if not error.retry or now - row.created_at >= self._give_up_after:
            self._say(f"{said}; notice {row.key} is given up", force=True)
            return lambda tx: outbox.dead(tx, row.key, name, now, said)
        # The receiver is down rather than the notice bad: leave it alone for a while with the others too.
        self._failures += 1
        self._paused_until = time.monotonic() + min(backoff(self._failures), _LONGEST_PAUSE)
        wait = max(backoff(row.attempts + 1), error.retry_after or 0.0)
        self._say(f"{said}; it is tried again, {row.attempts + 1} so far")
        return lambda tx: outbox.failed(tx, row.key, name, now + timedelta(seconds=wait), said)

    def _idle_for(self, conn: Connection) -> float:
        soonest = outbox.next_due(conn, self.channel.name)
        if soonest is None:
            return _IDLE
        # What is due and yet not sent is a closing behind its opening, whose own time decides.
        return float(min(max((soonest - self._clock()).total_seconds(), _BUSY_WAIT), _IDLE))

    def _say(self, message: str, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._last_said >= _LONGEST_PAUSE:
            self._last_said = now
            _guard.say(f"alert channel {self.channel.name}: {message}")
