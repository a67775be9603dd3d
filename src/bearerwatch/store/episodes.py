"""Episodes: one alert's life, from its first hit to its closing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from bearerwatch.store.tables import episodes as table
from bearerwatch.store.tables import insert

__all__ = ["Episode", "get", "list_", "load_open", "save"]

_FROZEN = frozenset({"id", "opened_at"})


class Episode(msgspec.Struct, kw_only=True):
    """One alert's life. Instants are aware UTC."""

    id: str
    """Frozen at opening: 32 hex characters of SHA-256 over rule, version, key and first hit."""
    rule: str
    rule_version: int
    title: str
    level: str
    """``informational``, ``low``, ``medium``, ``high`` or ``critical``, as in Sigma."""
    key: dict[str, str]
    """Group-by field to value."""
    first_hit: datetime
    """Event time of the earliest hit known; a late event may move it back, the id stays."""
    last_hit: datetime
    """Event time of the latest hit."""
    opened_at: datetime
    """When the collector opened it."""
    closed_at: datetime | None = None
    peak: int = 0
    """Largest count any window reached."""
    hits: int = 0
    """Events at which the condition held."""
    superseded_by: str | None = None
    """Id of the older episode this one turned out to be part of."""
    evidence: dict[str, Any] = msgspec.field(default_factory=dict)
    """Small: services, routes, addresses, token ids, outcomes, sample event ids, counts."""


_NAMES = [column.name for column in table.columns]


def _episode(row: Row[Any]) -> Episode:
    return Episode(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def save(tx: Connection, episodes: Iterable[Episode]) -> None:
    """Insert or update *episodes* by id. ``opened_at`` keeps the value it was first saved with.

    Args:
        tx: a write transaction (:meth:`State.begin`).
        episodes: what they are now, whole.
    """
    rows = [{name: getattr(episode, name) for name in _NAMES} for episode in episodes]
    if not rows:
        return
    statement = insert(tx, table)
    changed = {name: statement.excluded[name] for name in _NAMES if name not in _FROZEN}
    tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed), rows)


def load_open(conn: Connection) -> list[Episode]:
    """Episodes neither closed nor superseded, oldest first."""
    query = sa.select(table).where(table.c.closed_at.is_(None), table.c.superseded_by.is_(None))
    return [_episode(row) for row in conn.execute(query.order_by(table.c.opened_at, table.c.id))]


def get(conn: Connection, episode_id: str) -> Episode | None:
    """The episode of that id, or None."""
    row = conn.execute(sa.select(table).where(table.c.id == episode_id)).one_or_none()
    return None if row is None else _episode(row)


def list_(
    conn: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    rules: Sequence[str] = (),
    levels: Sequence[str] = (),
    open_only: bool = False,
    superseded: bool = False,
    limit: int | None = 100,
) -> list[Episode]:
    """Episodes by filter, newest first.

    Args:
        conn: any connection (:meth:`State.read`).
        since: only those with a hit at or after this instant (event time).
        until: only those with a hit before this instant (event time).
        rules: only of these rules; empty means all.
        levels: only of these levels; empty means all.
        open_only: leave out those closed.
        superseded: also those that turned out to be part of another.
        limit: at most so many; None for all.
    """
    query = sa.select(table).order_by(table.c.opened_at.desc(), table.c.id.desc()).limit(limit)
    if since is not None:
        query = query.where(table.c.last_hit >= since)
    if until is not None:
        query = query.where(table.c.first_hit < until)
    if rules:
        query = query.where(table.c.rule.in_(rules))
    if levels:
        query = query.where(table.c.level.in_(levels))
    if open_only:
        query = query.where(table.c.closed_at.is_(None))
    if not superseded:
        query = query.where(table.c.superseded_by.is_(None))
    return [_episode(row) for row in conn.execute(query)]
