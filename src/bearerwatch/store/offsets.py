"""How far each source has been read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bearerwatch.store.tables import insert
from bearerwatch.store.tables import offsets as table

__all__ = ["forget", "get", "load", "save"]


def load(conn: Connection, prefix: str = "") -> dict[tuple[str, str], int]:
    """``(source, segment)`` to bytes committed, for sources beginning with *prefix*."""
    query = sa.select(table).where(table.c.source.startswith(prefix, autoescape=True))
    return {(row.source, row.segment): row.offset for row in conn.execute(query)}


def get(conn: Connection, source: str, segment: str) -> int | None:
    """Bytes committed of one segment; None if it was never seen."""
    query = sa.select(table.c.offset).where(table.c.source == source, table.c.segment == segment)
    return conn.execute(query).scalar_one_or_none()


def save(tx: Connection, offsets: Mapping[tuple[str, str], int]) -> None:
    """Set the offset of each ``(source, segment)``."""
    rows = [{"source": s, "segment": g, "offset": o} for (s, g), o in offsets.items()]
    if not rows:
        return
    statement = insert(tx, table)
    changed = {"offset": statement.excluded.offset}
    tx.execute(statement.on_conflict_do_update(index_elements=["source", "segment"], set_=changed), rows)


def forget(tx: Connection, gone: Iterable[tuple[str, str]]) -> None:
    """Drop the offsets of segments that exist no longer."""
    rows = [{"s": source, "g": segment} for source, segment in gone]
    if rows:
        statement = sa.delete(table).where(table.c.source == sa.bindparam("s"), table.c.segment == sa.bindparam("g"))
        tx.execute(statement, rows)
