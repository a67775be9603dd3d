# ruff: noqa: S608 - made of names and numbers of ours and the dialect's text
"""After a start: fill sketches and recent events from the lake, as if the collector had never stopped."""

from __future__ import annotations

from datetime import datetime

import duckdb
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir import ValueCount
from bearerwatch.detect.islands import instant
from bearerwatch.detect.recent import Recent
from bearerwatch.detect.sketch import CountSketch
from bearerwatch.detect.watch import Stage, Watch, Watches
from bearerwatch.store.lake import Lake
from bearerwatch.store.tables import LIVE, segments

__all__ = ["newest_event", "warm_up"]

_CHUNK = 20_000


def newest_event(conn: Connection) -> datetime | None:
    """Time of the newest event in the lake, by the manifest."""
    query = sa.select(sa.func.max(segments.c.max_ts)).where(segments.c.state == LIVE)
    newest: datetime | None = conn.execute(query).scalar_one()
    return newest


def warm_up(
    con: duckdb.DuckDBPyConnection, lake: Lake, watches: Watches, recent: Recent, *, clock: int, longest: int
) -> None:
    """Read the last *longest* µs before *clock* (µs) into *recent*, and what each sketch needs into it.

    Raises:
        StateBusy: the manifest cannot be read just now.
    """
    since = clock - longest
    lake.reading(instant(since), None, lambda events: recent.load(events, since))
    for watch in watches.all:
        for stage in watch.stages:
            _fill(con, lake, watch, stage, clock - watch.horizon)
        watch.forget(clock - watch.horizon)


def _fill(con: duckdb.DuckDBPyConnection, lake: Lake, watch: Watch, stage: Stage, before: int) -> None:
    sketch, group_by = stage.sketch, watch.rule.group_by
    if sketch is None:
        return
    match stage.step, sketch:
        case ValueCount(field=field), _:
            start = before
            what = f"max(epoch_us(ts)) AS at, 1 AS weight, {sql.column(field)} AS value"
        case _, CountSketch(width=width):
            start = before // width * width  # a pane is known whole or not at all
            what = f"epoch_us(ts) // {width} * {width} AS at, sum({sql.WEIGHT}) AS weight, NULL AS value"
        case _:
            raise TypeError(f"no way to fill a {type(sketch).__name__}")
    where = f"ts >= make_timestamp({start}) AND {sql.step_where(stage.step, group_by)}"

    def feed(events: str) -> None:
        # A connection of its own: the shared one must not be left with rows to fetch.
        cursor = con.cursor()
        try:
            cursor.execute(f"SELECT {what}, {sql.key_columns(group_by)} FROM {events} WHERE {where} GROUP BY ALL")
            while rows := cursor.fetchmany(_CHUNK):
                for at, weight, value, *key in rows:
                    sketch.add(tuple(key), at, int(weight), value)
        finally:
            cursor.close()

    lake.reading(instant(start), None, feed)
