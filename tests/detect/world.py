"""A real lake, a real state database and a collector's loop around them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import msgspec

from bearerwatch.detect.book import Change
from bearerwatch.detect.detector import Detector
from bearerwatch.detect.ir import Rule
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.store import episodes, manifest
from bearerwatch.store.engine import connect
from bearerwatch.store.episodes import Episode
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State, default_url
from bearerwatch.store.tables import metadata

T0 = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


_numbers = itertools.count(1)


def event(ts: float | datetime, outcome: str | None = "invalid", **fields: Any) -> AuthEvent:
    """An event *ts* seconds after T0, with an id of its own."""
    at = ts if isinstance(ts, datetime) else T0 + timedelta(seconds=ts)
    given = None if outcome is None else Outcome(outcome)
    return AuthEvent(
        **{"kind": Kind.AUTH, "event_id": str(UUID(int=next(_numbers))), "ts": at, "outcome": given} | fields
    )


class Collector:
    """The collector's loop, one step at a time, that can be killed at any point."""

    def __init__(self, folder: Path, rules: Sequence[Rule], *, lateness: float = 60) -> None:
        self.folder = folder
        self.rules = rules
        self.lateness = timedelta(seconds=lateness)
        self.changes: list[Change] = []
        self.received = T0
        (folder / "lake").mkdir(mode=0o700, exist_ok=True)
        self._start(T0)

    def _start(self, now: datetime) -> None:
        self.state = State(default_url(self.folder))
        with self.state.begin() as tx:
            metadata.create_all(tx)
        self.con: duckdb.DuckDBPyConnection = connect(self.folder / "tmp")
        self.lake = Lake(self.folder / "lake", self.state, self.con, report=lambda _: None)
        self.detector = Detector(self.rules, self.con, self.lake, self.state, lateness=self.lateness)
        self.detector.restore(now)

    def close(self) -> None:
        self.con.close()
        self.state.close()

    def restart(self, now: datetime) -> None:
        """What kill -9 and a new start leave: what was not committed is gone."""
        self.close()
        self._start(now)

    def append(self, events: Sequence[AuthEvent]) -> None:
        self.received += timedelta(microseconds=1)
        extra = {"received_at": self.received, "source": "spool:test"}
        self.lake.append([msgspec.json.encode(msgspec.to_builtins(e) | extra) for e in events])
        assert not self.lake.refused

    def tick(self, events: Sequence[AuthEvent], now: datetime | float) -> list[Change]:
        self.append(events)
        return self.again(now)

    def again(self, now: datetime | float) -> list[Change]:
        at = now if isinstance(now, datetime) else T0 + timedelta(seconds=now)
        changes = self.detector.tick(at)
        self.changes += changes
        return changes

    def commit(self) -> None:
        with self.state.begin() as tx:
            self.lake.publish(tx)
            self.detector.save(tx)
        self.lake.committed()
        self.detector.committed()

    def fail_commit(self) -> None:
        with suppress(ZeroDivisionError), self.state.begin() as tx:
            self.lake.publish(tx)
            self.detector.save(tx)
            raise ZeroDivisionError
        self.lake.rolled_back()
        self.detector.rolled_back()

    def saved(self) -> list[Episode]:
        with self.state.read() as conn:
            return episodes.list_(conn, limit=None)

    def rows_in_lake(self) -> int:
        with self.state.read() as conn:
            return manifest.totals(conn)[1]

    def superseded(self) -> list[Episode]:
        with self.state.read() as conn:
            return [e for e in episodes.list_(conn, limit=None, superseded=True) if e.superseded_by is not None]
