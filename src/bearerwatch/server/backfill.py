"""Logs that are finished, taken into the lake once: the same stages as the collector's, without anybody being told.

It holds the collector's lock while it works: who has read how far, the events and the episodes are one commit of one
process. Episodes are kept as they would have been, and no channel hears of what is long over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

import msgspec

from bearerwatch.alert.router import Router
from bearerwatch.detect.detector import Detector
from bearerwatch.detect.rulebook import load_rules
from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import load_ring, use
from bearerwatch.ingest.access import ReadLine
from bearerwatch.ingest.access._decoder import AccessDecoder
from bearerwatch.ingest.access._events import AccessEvents
from bearerwatch.ingest.complaints import Complaints
from bearerwatch.ingest.decode import Decoded, Decoder
from bearerwatch.ingest.geo import Geo
from bearerwatch.ingest.intake import Intake
from bearerwatch.ingest.lines import RawLine
from bearerwatch.ingest.log_once import LogOnce
from bearerwatch.ingest.marks import Marks
from bearerwatch.ingest.quarantine import Quarantine
from bearerwatch.server import database
from bearerwatch.server.lock import StateLock
from bearerwatch.server.logs import told_around
from bearerwatch.server.pipeline import Pipeline
from bearerwatch.settings import Settings
from bearerwatch.store import episodes
from bearerwatch.store.engine import connect
from bearerwatch.store.folders import state_folder
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State, StateBusy, default_url

__all__ = ["Backfill", "Taken"]

T = TypeVar("T")
_LINES = 5_000
_COMMIT_ROWS = 20_000
_PATIENCE = 30.0
_MOST_SHOWN = 5


class Taken(msgspec.Struct, kw_only=True):
    """What became of one log. Every line that was read is accepted, refused or passed over."""

    name: str
    lines: int = 0
    """Lines read."""
    events: int = 0
    """Events made of them: one a request, and those that tell of tokens in the log."""
    refused: int = 0
    passed_over: int = 0
    """Lines that are about no request."""
    before: int = 0
    """Bytes that had been read at an earlier time."""
    left: int = 0
    """Bytes behind the last newline, left for the next time: somebody may be writing there."""
    damaged: bool = False
    """Whether it ends before its end."""
    first_refused: list[tuple[int | None, str]] = []
    """Line numbers and reasons of the first few."""
    error: str | None = None
    """Why it could not be read."""


class Backfill:
    """Takes in logs, one after the other. A context manager.

    Args:
        folder: the state folder.
        read: reads the logs' format.
        service: whose logs they are.
        url: the state database; by default the one in the folder.
        rules: folder of the user's own rules.
        mmdb: MaxMind DB files for country and network.
        complain: takes what the operator should know.

    Raises:
        ConfigurationError: a collector works on the folder, or a setting cannot be used.
        StateBusy: the state database stayed locked or out of reach.
    """

    def __init__(
        self,
        folder: Path,
        read: ReadLine,
        service: str,
        *,
        url: str | None = None,
        rules: Path | None = None,
        mmdb: tuple[Path, ...] = (),
        complain: Complaints | None = None,
    ) -> None:
        complain = Complaints() if complain is None else complain
        with ExitStack() as stack:
            folder = state_folder(folder)
            stack.callback(_locked(folder).release)
            use(load_ring(folder=folder))
            self._state = State(url or default_url(folder))
            stack.callback(self._state.close)
            _patiently(lambda: database.check(self._state, folder))
            _patiently(self._state.migrate)
            con = connect(folder / "tmp")
            stack.callback(con.close)
            self._lake = Lake(folder / "lake", self._state, con, report=lambda said: complain(said, said))
            _patiently(self._lake.sweep_orphans)
            self._detector = Detector(load_rules(rules), con, self._lake, self._state)
            _patiently(lambda: self._detector.restore(datetime.now(UTC)))
            geo = Geo(mmdb, scratch=folder / "tmp", complain=complain) if mmdb else None
            if geo is not None:
                stack.callback(geo.close)
            self._decoder = Decoder(geo)
            events = AccessEvents(read, service, Settings.from_env(state_dir=folder), live=False)
            self._events = AccessDecoder(
                self._decoder,
                lambda _: events,
                lookup=lambda ids, first, last: _patiently(lambda: told_around(self._lake, con, ids, first, last)),
            )
            self._quarantine = Quarantine(folder / "quarantine", complain=complain)
            self._source = f"access:{service}"
            self._began = datetime.now(UTC)
            self._closing = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._closing:
            self._close_episodes()

    def __call__(
        self,
        stream: BinaryIO,
        name: str,
        *,
        whole: bool,
        damage: tuple[type[Exception], ...],
        progress: Callable[[Taken], object] = lambda _: None,
    ) -> Taken:
        """Take in one log.

        Args:
            stream: what is in it, unpacked; closed at the end.
            name: what it is called.
            whole: whether nobody writes to it any more, so that what stands behind its last newline is a line, too.
            damage: what reading *stream* raises where it is damaged or cut off.
            progress: told now and then how far it is.

        Raises:
            StateBusy: the state database stayed locked, or the disk is full. What was committed stays; do it again.
            OSError: the quarantine's disk is full.
        """
        marks = _patiently(lambda: Marks(self._source, self._state))
        log = LogOnce(stream, name, marks, damage=damage, whole=whole)
        taken = Taken(name=name, before=log.before)
        pipeline = Pipeline(
            self._state,
            tails=(),
            intake=Intake(self._state),
            decoder=self._decoder,
            quarantine=self._quarantine,
            lake=self._lake,
            detector=self._detector,
            router=Router(()),
            logs=(log,),
            log_decoder=lambda raws, now: self._counted(raws, now, log, taken),
        )
        try:
            while not log.log.done:
                pipeline.read(datetime.now(UTC), _LINES)
                _patiently(lambda: pipeline.advance(datetime.now(UTC)))
                if pipeline.pending >= _COMMIT_ROWS:
                    _patiently(lambda: pipeline.commit(datetime.now(UTC)))
                progress(taken)
            if pipeline.dirty:
                _patiently(lambda: pipeline.commit(datetime.now(UTC)))
        finally:
            log.close()
        taken.left, taken.damaged = log.log.left, log.log.damaged
        return taken

    def tidy(self) -> None:
        """Merge what many commits have left as many small files."""
        _patiently(lambda: self._lake.compact(datetime.now(UTC)))

    def _close_episodes(self) -> None:
        """The logs are at their end, and so is what was found in them: else the next collector would tell of its end.

        Episodes that were open before stay so: that collector goes on with them.
        """
        with suppress(StateBusy), self._state.begin() as tx:
            found = [episode for episode in episodes.load_open(tx) if episode.opened_at >= self._began]
            for episode in found:
                episode.closed_at = datetime.now(UTC)
            episodes.save(tx, found)

    def _counted(self, raws: list[RawLine], now: datetime, log: LogOnce, taken: Taken) -> Decoded:
        over = self._events.passed_over
        decoded = self._events(raws, now)
        taken.lines += len(raws)
        taken.events += len(decoded.lines)
        taken.refused += len(decoded.rejected)
        taken.passed_over += self._events.passed_over - over
        for rejection in decoded.rejected[: _MOST_SHOWN - len(taken.first_refused)]:
            taken.first_refused.append((log.number(rejection.raw), rejection.reason))
        return decoded


def _locked(folder: Path) -> StateLock:
    try:
        return StateLock(folder)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}. Or have that collector read the log itself: start it with --tail FORMAT@SERVICE:PATH"
        ) from None


def _patiently(work: Callable[[], T]) -> T:
    """Do *work*, waiting for a busy database for a while."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return work()
        except StateBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
