"""All events that fit, a batch at a time and in order: memory stays bounded however many they are.

The lake's files are sorted by token, so that sorting all of them by time would take as much disk as they do. Instead
the range is cut into slices of minutes that hold about as many events each; a slice is sorted in DuckDB's memory, or
its scratch folder, and handed out in batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from bearerwatch.event import AuthEvent
from bearerwatch.store.catalog import Catalog
from bearerwatch.store.engine import COLUMNS, quoted

__all__ = ["Batch", "Batches", "Mark"]

_SLICE = 100_000
_BATCH = 1000
_ROW_GROUP = 30_720
_MINUTE = timedelta(minutes=1)
_FIELDS = tuple(name for name in COLUMNS if name not in ("schema_version", "received_at", "source"))
_COLUMNS = ", ".join(f'"{name}"' for name in (*_FIELDS, "received_at", "source"))
_TIMES = frozenset(name for name, kind in COLUMNS.items() if kind == "TIMESTAMP")
_LATER = (
    "(received_at > $mark_at OR (received_at = $mark_at AND "
    "(event_id > $mark_id OR (event_id = $mark_id AND source > $mark_source))))"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far events have been read, in the order in which the collector took them.

    Nothing is taken in later than what it follows, as long as the collector's clock does not go back.
    """

    received_at: datetime
    """Aware UTC."""
    event_id: str
    source: str


class Batch(NamedTuple):
    """Events, and the mark of the last of them."""

    events: list[AuthEvent]
    mark: Mark


class Batches:
    """The events that fit some conditions. Iterate once, or write them to a Parquet file.

    Args:
        con: what to query with; used by nothing else meanwhile.
        catalog: the lake's files.
        where: SQL conditions over the columns of an event.
        values: their parameters.
        since: of ``ts``, which spares files; among the conditions already.
        until: as *since*.
        after: leave out what did not arrive after this.
        by_arrival: order by ``received_at`` rather than by ``ts``.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        catalog: Catalog,
        where: Sequence[str],
        values: dict[str, Any],
        *,
        since: datetime | None,
        until: datetime | None,
        after: Mark | None,
        by_arrival: bool,
    ) -> None:
        self._con = con
        self._catalog = catalog
        self._where = [*where]
        self._values = dict(values)
        self._span = since, until
        self._key = "received_at" if by_arrival else "ts"
        if after is not None:
            self._where += ["received_at >= $mark_at", _LATER]
            at = after.received_at.astimezone(UTC).replace(tzinfo=None)
            self._values |= {"mark_at": at, "mark_id": after.event_id, "mark_source": after.source}
        self._slices = self._cut()
        self.total = sum(count for _, _, count in self._slices)
        """How many events there were when this was made."""

    def __iter__(self) -> Iterator[Batch]:
        """Batches of at most a thousand events, oldest first."""
        for first, last, _ in self._slices:
            rows = self._sorted(first, last + _MINUTE)
            for start in range(0, rows, _BATCH):
                page = f"SELECT * FROM slice WHERE rowid >= {start} AND rowid < {start + _BATCH}"  # noqa: S608
                found = self._con.execute(page).fetchall()  # rows come in the order they were put in
                *_, at, source = found[-1]
                yield Batch([_event(row) for row in found], Mark(at.replace(tzinfo=UTC), found[-1][1], source))

    def to_parquet(self, path: Path) -> tuple[int, Mark | None]:
        """Write all of them, with all columns of the lake, into one Parquet file, in no certain order.

        Returns:
            How many they are, and the mark of the last one that arrived.

        Raises:
            duckdb.Error: it cannot be written, say because the disk is full.
        """
        latest = self._catalog.reading(*self._span, self._latest)
        where, values = " AND ".join([*self._where, "received_at <= $last_at"]), dict(self._values)
        values["last_at"] = latest[0] if latest else datetime.min  # noqa: DTZ901 - as the columns are
        shown = ", ".join(f'"{name}"::TIMESTAMPTZ AS "{name}"' if name in _TIMES else f'"{name}"' for name in COLUMNS)
        options = f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP}, USE_TMP_FILE false)"

        def copy(events: str) -> list[Any]:
            sql = f"COPY (SELECT {shown} FROM {events} WHERE {where}) TO {quoted(path)} {options}"  # noqa: S608
            return self._query(sql, values)

        # What arrives while this is written is the next one's: it lies behind the mark.
        ((rows,),) = self._catalog.reading(*self._span, copy)
        return int(rows), Mark(latest[0].replace(tzinfo=UTC), *latest[1:]) if latest else None

    def _latest(self, events: str) -> tuple[Any, ...] | None:
        where = " AND ".join(self._where)
        sql = f"SELECT received_at, event_id, source FROM {events} WHERE {where} ORDER BY ALL DESC LIMIT 1"  # noqa: S608
        found = self._query(sql, self._values)
        return found[0] if found else None

    def _cut(self) -> list[tuple[datetime, datetime, int]]:
        """Slices: the first and the last minute in each, and how many events there are in it."""
        where = " AND ".join(self._where)

        def cut(events: str) -> list[Any]:
            minutes = f"SELECT date_trunc('minute', {self._key}) AS minute, count(*) AS n FROM {events} WHERE {where}"  # noqa: S608
            before = "sum(n) OVER (ORDER BY minute) - n"
            placed = f"SELECT minute, n, ({before}) // {_SLICE} AS place FROM ({minutes} GROUP BY 1)"  # noqa: S608
            return self._query(
                f"SELECT min(minute), max(minute), sum(n)::BIGINT FROM ({placed}) GROUP BY place ORDER BY 1",  # noqa: S608
                self._values,
            )

        return self._catalog.reading(*self._span, cut)

    def _sorted(self, start: datetime, end: datetime) -> int:
        """Put what lies between two instants into the table ``slice``, in order; returns how many they are."""
        where = " AND ".join([*self._where, f"{self._key} >= $start", f"{self._key} < $end"])
        order = f"ORDER BY {self._key}, event_id, source"
        values = self._values | {"start": start, "end": end}
        since, until = self._span
        if self._key == "ts":
            since, until = start.replace(tzinfo=UTC), end.replace(tzinfo=UTC)

        def sort(events: str) -> list[Any]:
            sql = f"CREATE OR REPLACE TEMP TABLE slice AS SELECT {_COLUMNS} FROM {events} WHERE {where} {order}"  # noqa: S608
            return self._query(sql, values)

        self._catalog.reading(since, until, sort)
        ((rows,),) = self._query("SELECT count(*) FROM slice", {})
        return int(rows)

    def _query(self, sql: str, values: dict[str, Any]) -> list[Any]:
        return self._con.execute(sql, values or None).fetchall()


def _event(row: tuple[Any, ...]) -> AuthEvent:
    kind, event_id, ts, *rest = row[:-2]
    return AuthEvent(kind, event_id, ts.replace(tzinfo=UTC), *rest)
