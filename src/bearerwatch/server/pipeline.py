"""What has been read and is not yet durable, on its way through load, detection and commit.

Each step can be held up (a locked database, a full disk) and is then taken again, with the same data, at the
next tick. Nothing is read again and nothing is left out: what a commit covers is exactly what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from bearerwatch.alert.router import Router
from bearerwatch.detect.book import Change
from bearerwatch.detect.detector import Detector
from bearerwatch.ingest.decode import Decoded, Decoder, Rejection
from bearerwatch.ingest.intake import Answer, Intake
from bearerwatch.ingest.lines import RawLine
from bearerwatch.ingest.log_once import LogOnce
from bearerwatch.ingest.log_tail import LogTail
from bearerwatch.ingest.quarantine import Quarantine
from bearerwatch.ingest.tail import SpoolTail
from bearerwatch.store import outbox
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State

__all__ = ["Pipeline"]

_URGENT = frozenset(("opened", "closed", "merged"))
_MAX_REASONS = 10
_LEAST_BYTES = 4 << 20
_LINE_BYTES = 1_024
"""Bytes read for each line that is asked for: most events have fewer."""
_MOST_HELD_BACK = 20
"""Rounds that logs wait for spools with a backlog."""


class Pipeline:
    """The stages in their order.

    Args:
        state: where the commit happens.
        tails: spools.
        intake: HTTP.
        decoder: lines to events.
        quarantine: for what is no event.
        lake: where events go.
        detector: what looks at them.
        router: who is told.
        logs: access logs.
        log_decoder: their lines to events.
    """

    def __init__(
        self,
        state: State,
        *,
        tails: Sequence[SpoolTail],
        intake: Intake,
        decoder: Decoder,
        quarantine: Quarantine,
        lake: Lake,
        detector: Detector,
        router: Router,
        logs: Sequence[LogTail | LogOnce] = (),
        log_decoder: Callable[[list[RawLine], datetime], Decoded] | None = None,
    ) -> None:
        self._state = state
        self._tails = list(tails)
        self._logs = list(logs)
        self._log_decoder = log_decoder
        self._held_back = 0
        self._intake = intake
        self._decoder = decoder
        self._quarantine = quarantine
        self._lake = lake
        self._detector = detector
        self._router = router
        self._lines: list[bytes] = []
        self._rejected: list[Rejection] = []
        self._changes: list[Change] = []
        self._unseen = False
        self.lag = 0.0
        """Age in seconds, at the last look, of the newest event of the source furthest behind; 0 if none came in."""

    @property
    def pending(self) -> int:
        """Lines read and not yet durable, be they events or rejected."""
        return self._lake.pending_rows + len(self._lines) + len(self._rejected)

    @property
    def stuck(self) -> bool:
        """Whether what was read has not come as far as detection: nothing more should be read."""
        return bool(self._lines) or self._unseen

    @property
    def dirty(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self.pending or self._changes or self._intake.waiting or any(t.moved for t in self._all))

    @property
    def untidy(self) -> bool:
        """Whether a commit would leave the database tidier, though nothing depends on it."""
        return any(tail.untidy for tail in self._tails)

    @property
    def _all(self) -> list[SpoolTail | LogTail | LogOnce]:
        return [*self._tails, *self._logs]

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for the next commit."""
        return self._intake.waiting or any(change.transition in _URGENT for change in self._changes)

    def read(self, now: datetime, limit: int) -> bool:
        """Take in what has come, about *limit* lines of it; returns whether there may be more right now.

        Raises:
            StateBusy: offsets could not be looked up; what had been read before that is kept.
        """
        self.lag = 0.0
        more = False
        left = limit
        for log in self._logs:  # before the spools: the event of each line that is there now stands in one already
            log.look()
        self._tails = [*self._tails[1:], *self._tails[:1]]  # nobody is always served last
        for place, tail in enumerate(self._tails):
            share = max(1, left // (len(self._tails) - place))
            found = tail.slices(max(_LEAST_BYTES, share * _LINE_BYTES), share)
            count = sum(len(one.lines) for one in found)
            left -= count
            more |= count >= share
            if found:
                self._take(self._decoder.slices(found, now), now)
        for batch in self._intake.poll(limit):
            decoded = self._decoder(batch.lines, now)
            self._take(decoded, now)
            reasons = tuple(dict.fromkeys(rejection.reason for rejection in decoded.rejected))[:_MAX_REASONS]
            batch.answer = Answer(len(decoded.lines), len(decoded.rejected), decoded.duplicates + batch.taken, reasons)
        if self._logs and (not more or self._held_back >= _MOST_HELD_BACK):
            # A service tells of a request before its answer, a gateway after it: so all that services have told is
            # taken in first, for what they told of is not counted again.
            self._held_back = 0
            more |= self._read_logs(now, max(left, limit // 4))
        elif self._logs:
            self._held_back += 1
        return more

    def _read_logs(self, now: datetime, limit: int) -> bool:
        more = False
        self._logs = [*self._logs[1:], *self._logs[:1]]
        for place, log in enumerate(self._logs):
            share = max(1, limit // (len(self._logs) - place))
            raws = log.poll(limit_lines=share)
            limit -= len(raws)
            more |= len(raws) >= share
            if raws and self._log_decoder is not None:
                self._take(self._log_decoder(raws, now), now)
        return more

    def _take(self, decoded: Decoded, now: datetime) -> None:
        self._lines += decoded.lines
        self._rejected += decoded.rejected
        if decoded.newest is not None:
            self.lag = max(self.lag, (now - decoded.newest).total_seconds())

    def advance(self, now: datetime) -> None:
        """Load what was read and have it looked at.

        Raises:
            StateBusy: it cannot be done just now; call again.
        """
        if self._unseen:
            self._look(now)
        if self._lines:
            self._lake.append(self._lines)
            self._lines = []
            self._unseen = True
            self._rejected += [
                Rejection(RawLine("collector", "", 0, line), "unloadable", "the lake cannot hold this event")
                for line in self._lake.refused
            ]
        self._look(now)

    def _look(self, now: datetime) -> None:
        self._changes += self._detector.tick(now)
        self._unseen = False

    def commit(self, now: datetime) -> bool:
        """Make everything durable that came as far as detection; returns whether notices were put out.

        Raises:
            StateBusy: it cannot be done just now; call again.
            OSError: the quarantine's disk is full; call again.
        """
        self._quarantine.add(self._rejected, now)
        self._rejected = []
        rows = self._router.rows(self._changes, now)
        try:
            with self._state.begin() as tx:
                self._lake.publish(tx)
                for tail in self._all:
                    tail.save(tx)
                self._intake.save(tx)
                self._detector.save(tx)
                outbox.enqueue(tx, rows)
        except BaseException:
            self._detector.rolled_back()
            self._lake.rolled_back()
            raise
        self._changes = []
        self._lake.committed()
        self._detector.committed()
        for tail in self._all:
            tail.committed()
        self._intake.committed()
        return bool(rows)
