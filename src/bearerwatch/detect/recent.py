# ruff: noqa: S608 - made of names and numbers of ours
"""The last minutes of events in DuckDB's memory: a short way to what would else be read from disk.

Events that were let in are many and kept for a short time; refused ones are few and kept for longer. Both are bounded
by number of rows, and each knows from when on it is complete. Where so many come that the bounds would hold no more
than seconds of them, they are not copied at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from bearerwatch.detect.evidence import COLUMNS as EVIDENCE
from bearerwatch.detect.ir import fields_of
from bearerwatch.detect.rows import Batch
from bearerwatch.detect.selecting import COMMON, LET_IN
from bearerwatch.detect.watch import Watch, Watches
from bearerwatch.store.engine import COLUMNS
from bearerwatch.store.lake import INCOMING, Lake

__all__ = ["MOST_COMMON", "MOST_RARE", "TABLE", "Recent", "columns"]

TABLE = "detect_recent"
MOST_COMMON = 80_000
"""Rows of let-in events kept at most (some 500 bytes each)."""
MOST_RARE = 40_000
"""Rows of other events kept at most."""

_PART = 16
"""The part of a bound that one batch may bring."""
_MINUTE = 60_000_000
_EVER = -(2**62)


def columns(watches: Sequence[Watch]) -> tuple[str, ...]:
    """The columns of an event that the rules and their evidence need, and no other."""
    wanted = {"ts", "count", *EVIDENCE}
    for watch in watches:
        wanted |= fields_of(watch.rule.correlation)
    return tuple(name for name in COLUMNS if name in wanted)


class Recent:
    """The table, and from when on it is complete. Times in µs; None means that nothing was ever left out."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Lake, watches: Watches) -> None:
        """Make the table, empty."""
        self._con = con
        self._lake = lake
        self.columns = columns(watches.all)
        self._names = ", ".join(f'"{name}"' for name in self.columns)
        typed = ", ".join(f'"{name}" {COLUMNS[name]}' for name in self.columns)
        lake.run.define(f"CREATE OR REPLACE TABLE {TABLE} (tick BIGINT, {typed})")
        self._select = watches.selecting
        self._copy = (
            f"INSERT INTO {TABLE} SELECT $1::BIGINT, {self._names} FROM {INCOMING} WHERE rowid >= $2::BIGINT "
            f"AND epoch_us(ts) > CASE WHEN {COMMON} THEN $3::BIGINT ELSE $4::BIGINT END"
        )
        self._from: dict[bool, int | None] = {True: None, False: None}
        self._rows = {True: 0, False: 0}
        self._given_back = False
        """Whether rows of the tick to come are there already."""
        self._batch = 0
        """Number of the batch that was taken last."""

    def take(self, tick: int, clock: int) -> Batch | None:
        """Take in the lake's batch and return it; None if it was taken before, or is empty.

        Args:
            tick: its number from now on.
            clock: the collector's (µs).
        """
        lake = self._lake
        if lake.batches == self._batch:
            return None
        if self._given_back:
            self._con.execute(f"DELETE FROM {TABLE} WHERE tick = {tick}")
            self._given_back = False
        batch = self._select(lake.run, lake.batch_from)
        if len(batch):
            came = {True: batch.let_in, False: len(batch) - batch.let_in}
            left_out = {}
            for kind, most in ((True, MOST_COMMON), (False, MOST_RARE)):
                left_out[kind] = clock if came[kind] > most // _PART else _EVER
            lake.run(self._copy, tick, lake.batch_from, left_out[True], left_out[False])
            for kind, until in left_out.items():
                if until == _EVER:
                    self._rows[kind] += came[kind]
                else:
                    self._from[kind] = max(self._from[kind] or 0, min(int(batch.ts.max()), clock) + 1)
        self._batch = lake.batches
        return batch if len(batch) else None

    def give_back(self) -> None:
        """The rows of the latest :meth:`take` could not be used: the next call returns them again."""
        # They are deleted then: just now there may be no room even for that.
        self._given_back, self._batch = True, 0

    def load(self, events: str, since: int) -> None:
        """Fill the table anew from *events* (an SQL table expression), from *since* on as far as the bounds allow."""
        self._con.execute(f"TRUNCATE {TABLE}")
        where = f"ts >= make_timestamp({since})"
        minutes = self._con.execute(
            f"SELECT {COMMON}, epoch_us(date_trunc('minute', ts)) AS minute, count(*) FROM {events} WHERE {where} "
            "GROUP BY ALL ORDER BY minute DESC"
        ).fetchall()
        wheres = []
        for kind, most in ((True, MOST_COMMON), (False, MOST_RARE)):
            start, total = since, 0
            for is_common, minute, number in minutes:
                if is_common == kind:
                    total += number
                    if total > most:
                        start = max(start, minute + _MINUTE)
                        break
            self._from[kind] = start
            wheres.append(f"({COMMON} = {kind} AND ts >= make_timestamp({start}))")
        self._con.execute(
            f"INSERT INTO {TABLE} SELECT 0, {self._names} FROM {events} WHERE {where} AND ({' OR '.join(wheres)})"
        )
        self._recount()

    def complete(self, watch: Watch, since: int | None) -> bool:
        """Whether it has every event *watch* can want from *since* on."""
        kinds = [False] if watch.outcomes is not None and watch.outcomes.isdisjoint(LET_IN) else [False, True]
        starts = [self._from[kind] for kind in kinds]
        return all(start is None or (since is not None and start <= since) for start in starts)

    def prune(self, before: int) -> None:
        """Drop what is older than *before*, and the oldest of what is over the bounds."""
        wheres = []
        for kind, most in ((True, MOST_COMMON), (False, MOST_RARE)):
            start = max(before, self._from[kind] or before)
            if self._rows[kind] > most:
                # Down to three quarters, so that this is not needed at every tick.
                newest = f"SELECT ts FROM {TABLE} WHERE {COMMON} = {kind} ORDER BY ts DESC LIMIT {most * 3 // 4}"
                ((found,),) = self._con.execute(f"SELECT epoch_us(min(ts)) FROM ({newest})").fetchall()
                start = max(start, found + 1)
            self._from[kind] = start
            wheres.append(f"({COMMON} = {kind} AND ts >= make_timestamp({start}))")
        self._lake.run.define(f"CREATE OR REPLACE TABLE {TABLE} AS FROM {TABLE} WHERE {' OR '.join(wheres)}")
        self._recount()

    @property
    def crowded(self) -> bool:
        """Whether it is well over its bounds."""
        return self._rows[True] > MOST_COMMON * 5 // 4 or self._rows[False] > MOST_RARE * 5 // 4

    def _recount(self) -> None:
        ((common, total),) = self._con.execute(f"SELECT count(*) FILTER ({COMMON}), count(*) FROM {TABLE}").fetchall()
        self._rows = {True: common, False: total - common}
