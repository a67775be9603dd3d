"""The manifest: which files are the lake. Every function here works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from bearerwatch.store.engine import FORMAT
from bearerwatch.store.tables import DROPPED, LIVE
from bearerwatch.store.tables import segments as table

__all__ = [
    "COMPACTED",
    "EXPIRED",
    "Segment",
    "add",
    "crowded",
    "drop",
    "dropped",
    "forget",
    "known",
    "live",
    "revive",
    "totals",
]

COMPACTED = "compacted"
"""Reason for dropping: its rows are in another segment now."""
EXPIRED = "expired"
"""Reason for dropping: past retention."""


class Segment(msgspec.Struct, kw_only=True, frozen=True):
    """One immutable Parquet file of events that arrived in one hour (by event time)."""

    path: str
    """Relative to the lake's folder: ``events/date=YYYY-MM-DD/hour=HH/<name>.parquet``."""
    date: str
    hour: int
    rows: int
    bytes: int
    sha256: str
    """Of the whole file."""
    footer: str
    """SHA-256 of the Parquet footer: what says where and how to read."""
    format: int = FORMAT
    min_ts: datetime
    """Earliest event in it; usually within the hour, but see ``Lake.publish`` on stragglers."""
    max_ts: datetime
    state: str = LIVE
    created_at: datetime
    dropped_at: datetime | None = None
    reason: str | None = None

    @property
    def ends(self) -> datetime:
        """When the hour it is filed under is over."""
        return datetime.fromisoformat(self.date).replace(tzinfo=UTC) + timedelta(hours=self.hour + 1)


def _segment(row: Row[Any]) -> Segment:
    return Segment(**row._mapping)  # noqa: SLF001 - public in SQLAlchemy


def add(tx: Connection, segments: Iterable[Segment]) -> None:
    """Publish *segments*: from the commit on, readers see them."""
    rows = [msgspec.structs.asdict(segment) for segment in segments]
    if rows:
        tx.execute(sa.insert(table), rows)


def live(conn: Connection, since: datetime | None = None, until: datetime | None = None) -> list[Segment]:
    """Segments that may hold events with ``since <= ts < until``, oldest first."""
    query = sa.select(table).where(table.c.state == LIVE).order_by(table.c.min_ts, table.c.path)
    if since is not None:
        query = query.where(table.c.max_ts >= since)
    if until is not None:
        query = query.where(table.c.min_ts < until)
    return [_segment(row) for row in conn.execute(query)]


def crowded(conn: Connection) -> list[list[Segment]]:
    """The live segments of every hour that has more than one, each hour's oldest first."""
    hours = sa.select(table.c.date, table.c.hour).where(table.c.state == LIVE)
    hours = hours.group_by(table.c.date, table.c.hour).having(sa.func.count() > 1)
    found = []
    for date, hour in conn.execute(hours.order_by(table.c.date, table.c.hour)).all():
        query = sa.select(table).where(table.c.state == LIVE, table.c.date == date, table.c.hour == hour)
        found.append([_segment(row) for row in conn.execute(query.order_by(table.c.created_at, table.c.path))])
    return found


def dropped(conn: Connection) -> list[Segment]:
    """Segments readers no longer use, whether or not their file is still there."""
    return [_segment(row) for row in conn.execute(sa.select(table).where(table.c.state == DROPPED))]


def known(conn: Connection, paths: Collection[str]) -> set[str]:
    """Which of *paths* the manifest has, live or dropped."""
    return set(conn.execute(sa.select(table.c.path).where(table.c.path.in_(paths))).scalars())


def drop(tx: Connection, paths: Collection[str], at: datetime, reason: str) -> int:
    """Take live segments out of use; returns how many were still live."""
    statement = sa.update(table).where(table.c.path.in_(paths), table.c.state == LIVE)
    return tx.execute(statement.values(state=DROPPED, dropped_at=at, reason=reason)).rowcount


def revive(tx: Connection, path: str) -> None:
    """Put a dropped segment back into use."""
    statement = sa.update(table).where(table.c.path == path)
    tx.execute(statement.values(state=LIVE, dropped_at=None, reason=None))


def forget(tx: Connection, paths: Collection[str]) -> None:
    """Remove dropped segments from the manifest: their files are gone."""
    tx.execute(sa.delete(table).where(table.c.path.in_(paths), table.c.state == DROPPED))


def totals(conn: Connection) -> tuple[int, int, int]:
    """Live files, rows and bytes."""
    columns = sa.func.count(), sa.func.sum(table.c.rows), sa.func.sum(table.c.bytes)
    files, rows, size = conn.execute(sa.select(*columns).where(table.c.state == LIVE)).one()
    return int(files), int(rows or 0), int(size or 0)
