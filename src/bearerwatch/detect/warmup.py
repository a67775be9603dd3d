# ruff: noqa: S608 - made of names and numbers of ours and the dialect's text
"""After a start: fill sketches and recent events from the lake, as if the collector had never stopped."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import duckdb
import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir import ValueCount
from bearerwatch.detect.islands import SECOND, instant
from bearerwatch.detect.marks import hashed, mixed
from bearerwatch.detect.recent import Recent
from bearerwatch.detect.sketch import CountSketch, DistinctSketch
from bearerwatch.detect.watch import Stage, Watch, Watches
from bearerwatch.store.lake import Lake
from bearerwatch.store.tables import LIVE, segments

__all__ = ["newest_event", "warm_up"]

_SLICES = 24
_SHORTEST = 60 * SECOND


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
            _fill(con, lake, watch, stage, clock)
        watch.forget(clock - watch.horizon)


def _fill(con: duckdb.DuckDBPyConnection, lake: Lake, watch: Watch, stage: Stage, clock: int) -> None:
    sketch, group_by, before = stage.sketch, watch.rule.group_by, clock - watch.horizon
    if sketch is None:
        return
    match stage.step, sketch:
        case ValueCount(field=field), _:
            start = before
            what = f"max(epoch_us(ts)) AS at, 1 AS weight, CAST({sql.column(field)} AS VARCHAR) AS value"
        case _, DistinctSketch():
            start = before
            what = "max(epoch_us(ts)) AS at, 1 AS weight, NULL AS value"
        case _, CountSketch(width=width):
            start = before // width * width  # a pane is known whole or not at all
            what = f"epoch_us(ts) // {width} * {width} AS at, sum({sql.WEIGHT}) AS weight, NULL AS value"
        case _:
            raise TypeError(f"no way to fill a {type(sketch).__name__}")
    names = [f"k{i}" for i in range(len(group_by))]

    def feed(events: str, bounds: str) -> None:
        found = con.execute(
            f"SELECT {what}, {sql.key_columns(group_by)} FROM {events} "
            f"WHERE {bounds} AND {sql.step_where(stage.step, group_by)} GROUP BY ALL"
        ).fetchnumpy()
        keys = mixed([hashed(found[name]) for name in names])
        values = hashed(found["value"]) if isinstance(stage.step, ValueCount) else None
        sketch.add(keys, found["at"].astype(np.int64), found["weight"].astype(np.float64), values)

    # Slice by slice, for a day at once would be more than there is room for. The last one has no end.
    slices = max(1, min(_SLICES, (clock - start) // _SHORTEST))
    ends = [start + (clock - start) * i // slices for i in range(slices)]
    for low, high in zip(ends, [*ends[1:], None], strict=True):
        bounds = f"ts >= make_timestamp({low})" + ("" if high is None else f" AND ts < make_timestamp({high})")
        lake.reading(instant(low), None if high is None else instant(high), partial(feed, bounds=bounds))
