"""The transactional outbox: a notification is stored with what made it necessary, then sent.

Delivery is at least once, under a key that never changes; exactly once when nothing crashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bearerwatch.store.tables import insert
from bearerwatch.store.tables import outbox as table

__all__ = ["OutboxRow", "counts", "dead", "delivered", "due", "enqueue", "failed", "next_due", "prune"]

_MAX_ERROR = 500


class OutboxRow(msgspec.Struct, kw_only=True):
    """One notification for one channel. Instants are aware UTC."""

    key: str
    """Stable: ``<episode id>:<transition>``. Receivers tell repetitions by it."""
    channel: str
    episode_id: str
    transition: str
    """``opened`` or ``closed``."""
    payload: dict[str, Any]
    created_at: datetime
    next_try_at: datetime
    attempts: int = 0
    """Tries that failed."""
    delivered_at: datetime | None = None
    dead_at: datetime | None = None
    """When it was given up."""
    last_error: str | None = None


_NAMES = [column.name for column in table.columns]


def enqueue(tx: Connection, rows: Iterable[OutboxRow]) -> int:
    """Add *rows*; one whose key and channel are there already is left as it is.

    Returns:
        How many were new.
    """
    added = 0
    for row in rows:
        values = {name: getattr(row, name) for name in _NAMES}
        statement = insert(tx, table).values(values).on_conflict_do_nothing().returning(table.c.key)
        added += len(tx.execute(statement).all())
    return added


def _waiting() -> sa.ColumnElement[bool]:
    return sa.and_(table.c.delivered_at.is_(None), table.c.dead_at.is_(None))


def _mine(channel: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.channel == channel, _waiting())


def due(conn: Connection, channel: str, now: datetime, limit: int = 100) -> list[OutboxRow]:
    """What should be sent over *channel* now, oldest first.

    The word that an episode has closed waits until the word that it opened has been delivered there, or has been
    given up: nobody is told of an end before a beginning.
    """
    before = table.alias("before")
    opening = sa.exists().where(
        before.c.episode_id == table.c.episode_id,
        before.c.channel == table.c.channel,
        before.c.transition == "opened",
        before.c.delivered_at.is_(None),
        before.c.dead_at.is_(None),
    )
    query = (
        sa.select(table)
        .where(_mine(channel), table.c.next_try_at <= now, sa.or_(table.c.transition == "opened", ~opening))
        .order_by(table.c.created_at, table.c.transition.desc(), table.c.key)
        .limit(limit)
    )
    return [OutboxRow(**row._mapping) for row in conn.execute(query)]  # noqa: SLF001 - public in SQLAlchemy


def next_due(conn: Connection, channel: str) -> datetime | None:
    """When the next row that waits for *channel* wants to be tried; None when nothing does."""
    query = sa.select(sa.func.min(table.c.next_try_at)).where(_mine(channel))
    found: datetime | None = conn.execute(query).scalar_one()
    return found


def _clean(error: str) -> str:
    """Cut short, and without what a database cannot hold."""
    return error[:_MAX_ERROR].replace("\0", "").encode("utf-8", "replace").decode()


def _one(key: str, channel: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.key == key, table.c.channel == channel)


def delivered(tx: Connection, key: str, channel: str, at: datetime) -> None:
    """The channel has taken it."""
    tx.execute(sa.update(table).where(_one(key, channel), _waiting()).values(delivered_at=at, last_error=None))


def failed(tx: Connection, key: str, channel: str, retry_at: datetime, error: str) -> None:
    """This try failed; try again at *retry_at*. *error* must hold no secret; it is cut to 500 characters."""
    tx.execute(
        sa.update(table)
        .where(_one(key, channel), _waiting())
        .values(attempts=table.c.attempts + 1, next_try_at=retry_at, last_error=_clean(error))
    )


def dead(tx: Connection, key: str, channel: str, at: datetime, error: str) -> None:
    """This try failed and there will be no other."""
    tx.execute(
        sa.update(table)
        .where(_one(key, channel), _waiting())
        .values(attempts=table.c.attempts + 1, dead_at=at, last_error=_clean(error))
    )


def counts(conn: Connection) -> dict[str, int]:
    """How many rows are ``waiting``, ``delivered`` and ``dead``."""
    waiting, sent, lost = conn.execute(
        sa.select(
            sa.func.count().filter(_waiting()),
            sa.func.count(table.c.delivered_at),
            sa.func.count(table.c.dead_at),
        )
    ).one()
    return {"waiting": waiting, "delivered": sent, "dead": lost}


def prune(tx: Connection, before: datetime) -> int:
    """Forget what was delivered or given up before *before*; returns how many."""
    gone = sa.or_(table.c.delivered_at < before, table.c.dead_at < before)
    return tx.execute(sa.delete(table).where(gone)).rowcount
