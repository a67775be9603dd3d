"""The collector: one process, one loop. Reads, decodes, detects, commits, four times a second."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import duckdb
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from bearerwatch._version import __version__
from bearerwatch.alert.config import load_routes
from bearerwatch.alert.delivery import Delivery
from bearerwatch.alert.router import Router
from bearerwatch.detect.detector import Detector
from bearerwatch.detect.exceptions import expired
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.rulebook import load_rules
from bearerwatch.fingerprint import load_ring, use
from bearerwatch.ingest.complaints import Complaints
from bearerwatch.ingest.decode import Decoder
from bearerwatch.ingest.geo import Geo
from bearerwatch.ingest.http import make_app
from bearerwatch.ingest.intake import Intake
from bearerwatch.ingest.keys import IngestKeys
from bearerwatch.ingest.listener import Listener
from bearerwatch.ingest.quarantine import Quarantine
from bearerwatch.ingest.revoked import RevokedList
from bearerwatch.ingest.tail import SpoolTail
from bearerwatch.server import database
from bearerwatch.server.lock import StateLock
from bearerwatch.server.logs import follow
from bearerwatch.server.pipeline import Pipeline
from bearerwatch.server.settings import CollectorSettings
from bearerwatch.server.signals import Waker, stopping_by_signal
from bearerwatch.server.status import Status, write_status
from bearerwatch.server.upkeep import Upkeep
from bearerwatch.store.engine import connect
from bearerwatch.store.folders import state_folder
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State, StateBusy, default_url

__all__ = ["Collector"]

_LINES = 2_500, 20_000
"""Lines a round reads at most: a quarter of what may be pending, within these bounds.

Many at once take less time each; and what is fresh does not wait for more than that in a backlog.
"""
_STATUS_EVERY = 2.0
_RETRY = 1.0
_COALESCE = 0.05
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_PRUNE_EVERY = 3_600.0
_TIDY_EVERY = 60.0
_LATE = timedelta(hours=1)


def _now() -> datetime:
    return datetime.now(UTC)


class Collector:
    """Everything between spool and alert, in one process.

    Args:
        settings: what it was told.
        complain: takes what the operator should know; standard error by default.

    Use: :meth:`run` in the main thread, which ends after :meth:`stop`, SIGTERM or SIGINT; or in any other
    thread, which ends after :meth:`stop`.
    """

    def __init__(self, settings: CollectorSettings, *, complain: Complaints | None = None) -> None:
        self.settings = settings
        self.address: tuple[str, int] | None = None
        """Where HTTP ingest listens, once :meth:`run` has begun."""
        self._complain = Complaints() if complain is None else complain
        self._waker = Waker()
        self._stopping = False
        self._blocked: str | None = None
        self._retry_at = 0.0
        self._committed_at = 0.0
        self._full = False
        self._round = min(max(settings.max_pending // 4, _LINES[0]), _LINES[1])
        self._started = _now()
        self._rates: deque[tuple[float, int]] = deque(maxlen=6)
        self.status = Status(pid=os.getpid(), version=__version__, started_at=self._started, at=self._started)
        """How it is doing, renewed every two seconds."""

    def stop(self) -> None:
        """Commit what has been read, then end :meth:`run`. May be called from any thread or signal handler."""
        self._stopping = True
        self._waker.wake()

    def run(self, on_ready: Callable[[Collector], None] | None = None) -> None:
        """Collect until stopped. Can be called once.

        Args:
            on_ready: called once everything is open and before the first event is read.

        Raises:
            ConfigurationError: it cannot start, or the state database is damaged; the message says what to do.
            StateBusy: the state database stayed locked or out of reach for 30 s at the start.
        """
        with ExitStack() as stack, stopping_by_signal(self.stop):
            stack.callback(self._waker.close)
            try:
                self._open(stack)
                if on_ready is not None:
                    on_ready(self)
                self._loop()
                self._finish()
            except DatabaseError as error:
                raise database.explained(error, self.settings.state_dir) from error

    # -- opening

    def _rules(self) -> tuple[Rule, ...]:
        """The rules in force; of exceptions that have expired the operator is told."""
        rules = load_rules(self.settings.rules)
        for said in expired(rules, _now()):
            self._complain(said, said)
        return rules

    def _open(self, stack: ExitStack) -> None:
        settings, complain = self.settings, self._complain
        folder = state_folder(settings.state_dir)
        stack.callback(StateLock(folder).release)
        if threading.current_thread() is threading.main_thread():  # else the process is somebody else's
            use(load_ring(folder=folder))
        state = State(settings.database or default_url(folder))
        stack.callback(state.close)
        self._patiently(lambda: database.check(state, folder))
        self._patiently(state.migrate)

        con = connect(folder / "tmp")
        stack.callback(con.close)
        self._lake = Lake(folder / "lake", state, con, report=lambda said: complain(said, said))
        self._patiently(self._lake.sweep_orphans)
        rules = self._rules()
        self._detector = Detector(rules, con, self._lake, state)
        self._patiently(lambda: self._detector.restore(_now()))

        self._geo = Geo(settings.mmdb, scratch=folder / "tmp", complain=complain) if settings.mmdb else None
        if self._geo is not None:
            stack.callback(self._geo.close)
        oldest = None if settings.retain is None else settings.retain + _LATE
        self._decoder = Decoder(self._geo, oldest=oldest)
        self._quarantine = Quarantine(folder / "quarantine", complain=complain)
        count = len(settings.spools)
        self._tails = [SpoolTail(spool, state, complain=complain, spools=count) for spool in settings.spools]
        for tail in self._tails:
            stack.callback(tail.close)
            tail.claim()
        self._intake = Intake(state, wake=self._waker.wake)
        logs = follow(settings, state, self._lake, con, self._decoder, complain=complain)
        self._logs = [] if logs is None else logs.tails
        for log in self._logs:
            stack.callback(log.close)

        routes = load_routes(settings.config, storage=folder)
        router = Router(routes, advice={rule.name: rule.advice for rule in rules})
        self._pipeline = Pipeline(
            state,
            tails=self._tails,
            intake=self._intake,
            decoder=self._decoder,
            quarantine=self._quarantine,
            lake=self._lake,
            detector=self._detector,
            router=router,
            logs=self._logs,
            log_decoder=None if logs is None else logs.decoder,
        )
        self._state = state
        self._prune_at = time.monotonic() + _PRUNE_EVERY
        self._status_at = 0.0
        self._delivery = Delivery(state, router.channels)
        stack.callback(self._delivery.stop)
        self._listener = None
        if settings.port:
            app = make_app(
                settings.ingest_keys or IngestKeys({}),
                self._intake,
                lambda: self._intake.blocked or self._blocked,
                RevokedList(state),
            )
            self._listener = Listener(app, settings.host, settings.port)
            stack.callback(self._listener.stop)
            # before the listener: else it would wait for requests that wait for a commit
            stack.callback(self._intake.close, "the collector is stopping: send it again later")
            self.address = self._listener.address
            self._listener.start()
        self._delivery.start()
        upkeep = Upkeep(self._lake, settings.retain, _now, complain)
        stack.callback(upkeep.stop)
        upkeep.start()

    def _patiently(self, work: Callable[[], object]) -> None:
        """Do *work*, waiting for a busy database for a while."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                work()
            except StateBusy as busy:
                if self._stopping or time.monotonic() > deadline:
                    raise
                self._complain("start", f"waiting to start: {busy}")
                self._waker.sleep(0.2)
            else:
                return

    # -- the loop

    def _loop(self) -> None:
        tick = self.settings.tick
        while not self._stopping:
            began = time.monotonic()
            behind = self._tick(_now())
            spent = time.monotonic() - began
            # behind: go on at once, but never without letting others have the processor
            pause = 0.001 if behind else max(0.001, tick - spent)
            if self._waker.sleep(pause) and not self._stopping:
                rest = _COALESCE - (time.monotonic() - began)  # several requests share one commit
                if rest > 0:
                    time.sleep(rest)

    def _tick(self, now: datetime, *, last: bool = False) -> bool:
        """One round; returns whether there is more to read right now."""
        more = False
        pipeline = self._pipeline
        try:
            if not last and self._may_read():
                more = pipeline.read(now, self._round)
                self._detector.read_up_to(now, behind=pipeline.lag if more else 0.0)
            if self._blocked is None or last or time.monotonic() >= self._retry_at or pipeline.stuck:
                pipeline.advance(now)
                self._commit_if_due(now, last=last)
        except (StateBusy, OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
            self._held_up(error)
        self._look_around(now)
        return more

    def _may_read(self) -> bool:
        pipeline, settings = self._pipeline, self.settings
        return not pipeline.stuck and not self._full and pipeline.pending < settings.max_pending

    def _commit_if_due(self, now: datetime, *, last: bool) -> None:
        pipeline = self._pipeline
        held = self._blocked is not None
        if held and not last and time.monotonic() < self._retry_at:
            return
        since = time.monotonic() - self._committed_at
        much = 2 * pipeline.pending >= self.settings.max_pending  # a backlog is not to wait for the clock
        due = since >= self.settings.commit_every or pipeline.urgent or much or last
        tidy = pipeline.untidy and (last or since >= _TIDY_EVERY)
        if not held and not tidy and not (pipeline.dirty and due):
            return
        if pipeline.commit(now):
            self._delivery.notify()
        self._committed_at = time.monotonic()
        self.status.committed_at = now
        self._recovered()

    def _held_up(self, error: Exception) -> None:
        """Nothing can be made durable just now: keep it, stop reading when there is much of it, say so."""
        said = str(error) if isinstance(error, StateBusy) else _words(error)
        self._blocked = f"nothing can be made durable: {said}"
        self._retry_at = time.monotonic() + _RETRY
        self._complain("held up", f"{self._blocked}. Nothing is lost: it is tried again every second")
        if self._pipeline.pending >= self.settings.max_pending or self._pipeline.stuck:
            self._intake.blocked = self._blocked

    def _recovered(self) -> None:
        if self._blocked is not None:
            self._complain("recovered", "events are made durable again")
        self._blocked = None
        if not self._full:
            self._intake.blocked = None

    def _look_around(self, now: datetime) -> None:
        """What is done now and then: free disk, changed geo files, forgotten offsets, the status file."""
        at = time.monotonic()
        if at < self._status_at:
            return
        self._status_at = at + _STATUS_EVERY
        free = self._watch_disk()
        if self._geo is not None:
            self._geo.refresh()
        if at >= self._prune_at and self._blocked is None:
            self._prune_at = at + _PRUNE_EVERY
            self._try_write(self._intake.prune)
        self._write_status(now, at, free)

    def _watch_disk(self) -> int:
        """Free bytes on the state folder's disk; below the least nothing is read."""
        try:
            found = os.statvfs(self.settings.state_dir)
        except OSError as error:
            self._complain("state folder", f"{self.settings.state_dir} is out of reach: {error.strerror}; put it back")
            return 0
        free = found.f_bavail * found.f_frsize
        self._full = free < self.settings.min_free
        if self._full:
            said = (
                f"the disk of {self.settings.state_dir} is full ({free >> 20} MB free, {self.settings.min_free >> 20} "
                "MB needed): nothing is read until there is space. Free some, or keep less with --retain"
            )
            self._complain("disk full", f"{said}. Spools keep what applications write")
            self._intake.blocked = said
        elif self._blocked is None:
            self._intake.blocked = None
        return free

    def _try_write(self, work: Callable[[Connection], object]) -> None:
        try:
            with self._state.begin() as tx:
                work(tx)
        except StateBusy:
            pass  # next time

    def _write_status(self, now: datetime, at: float, free: int) -> None:
        status, counts = self.status, self._decoder.counts
        self._rates.append((at, counts["accepted"]))
        (first_at, first), (last_at, last) = self._rates[0], self._rates[-1]
        status.at = now
        status.address = "{}:{}".format(*self.address) if self.address else None
        status.blocked = self._intake.blocked or self._blocked
        status.events_per_second = round((last - first) / (last_at - first_at), 1) if last_at > first_at else 0.0
        status.suppressed = self._quarantine.suppressed
        status.lag_seconds = round(self._pipeline.lag, 3)
        status.pending = self._pipeline.pending
        status.open_episodes = self._detector.open_episodes
        status.degraded = self._detector.degraded
        status.free_bytes = free
        status.count_lines(counts)
        status.count_files([*(tail.figures() for tail in self._tails), *(log.figures() for log in self._logs)])
        write_status(self.settings.state_dir, status)

    # -- the end

    def _finish(self) -> None:
        """Take in what is there, answer who waits, and commit, as long as that takes a few seconds at most."""
        if self._listener is not None:
            self._listener.ask_to_stop()
        deadline = time.monotonic() + _STOP_SECONDS
        self._retry_at = 0.0
        self._tick(_now())
        while self._pipeline.dirty or self._pipeline.untidy or self._intake.expecting:
            self._tick(_now(), last=not self._intake.expecting)
            if time.monotonic() > deadline:
                if self._pipeline.dirty:
                    self._complain(
                        "end",
                        "stopped before everything was durable; the rest is in the spools, for the next start to read",
                    )
                break
            self._waker.sleep(0.01)
        self._status_at = 0.0
        self._look_around(_now())


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        name = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or type(error).__name__}{name}: see that the disk has space and the folder is ours"
    return f"{type(error).__name__}: see that the scratch folder's disk has space"
