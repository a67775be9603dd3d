"""The state database's tables, for SQLite and PostgreSQL alike.

Instants are stored as naive UTC with microseconds and handed out as aware UTC (:class:`Utc`).
Structures are stored as JSON text. Changing a table needs a migration in ``store/migrations/versions``;
a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect

__all__ = [
    "DROPPED",
    "LIVE",
    "Json",
    "Utc",
    "episodes",
    "insert",
    "meta",
    "metadata",
    "offsets",
    "outbox",
    "revocations",
    "segments",
]

LIVE = "live"
"""``segments.state``: readers use this file."""
DROPPED = "dropped"
"""``segments.state``: readers must not use this file; it is or will be deleted."""


class Utc(sa.types.TypeDecorator[datetime]):
    """An instant: aware :class:`datetime` in Python, naive UTC in the database."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Turn any aware instant into naive UTC.

        Raises:
            ValueError: the instant has no time zone, so what it means is a guess.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone: pass datetime(..., tzinfo=timezone.utc)")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Hand the instant out as aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Json(sa.types.TypeDecorator[Any]):
    """A JSON value kept as text: the same bytes in every database, and no driver's own opinion."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Encode anything msgspec can encode."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Decode to dicts, lists, strings, numbers, booleans and None."""
        return None if value is None else msgspec.json.decode(value)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

segments = sa.Table(
    "segments",
    metadata,
    sa.Column("path", sa.Text, primary_key=True),  # relative to the lake's folder
    sa.Column("date", sa.String(10), nullable=False),
    sa.Column("hour", sa.SmallInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),  # of the file as published
    sa.Column("footer", sa.String(64), nullable=False),  # SHA-256 of its Parquet footer
    sa.Column("format", sa.SmallInteger, nullable=False),  # set of columns, see engine.FORMAT
    sa.Column("min_ts", Utc, nullable=False),
    sa.Column("max_ts", Utc, nullable=False),
    sa.Column("state", sa.String(8), nullable=False, server_default=LIVE),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("dropped_at", Utc),
    sa.Column("reason", sa.Text),  # why it was dropped: compacted, retention, or what is wrong with it
    sa.Index("ix_segments_state_max_ts", "state", "max_ts"),
)
"""The manifest: which lake files hold the events. Readers go by this and nothing else."""

offsets = sa.Table(
    "offsets",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),  # spool:<service> or http:<key name>
    sa.Column("segment", sa.Text, primary_key=True),
    sa.Column("offset", sa.BigInteger, nullable=False),  # bytes durably committed
)
"""How far each source has been read, committed together with what was read."""

episodes = sa.Table(
    "episodes",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("rule_version", sa.BigInteger, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("level", sa.String(16), nullable=False),
    sa.Column("key", Json, nullable=False),
    sa.Column("first_hit", Utc, nullable=False),
    sa.Column("last_hit", Utc, nullable=False),
    sa.Column("opened_at", Utc, nullable=False),
    sa.Column("closed_at", Utc),
    sa.Column("peak", sa.BigInteger, nullable=False),
    sa.Column("hits", sa.BigInteger, nullable=False),
    sa.Column("superseded_by", sa.String(64)),
    sa.Column("evidence", Json, nullable=False),
    sa.Index("ix_episodes_closed_at", "closed_at"),
    sa.Index("ix_episodes_opened_at", "opened_at"),
)
"""Alerts, each with its life from first hit to closing."""

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),  # stable: episode id and transition
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("episode_id", sa.String(64), nullable=False),
    sa.Column("transition", sa.String(16), nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_try_at", Utc, nullable=False),
    sa.Column("delivered_at", Utc),
    sa.Column("dead_at", Utc),
    sa.Column("last_error", sa.Text),
    sa.Index("ix_outbox_delivered_at_dead_at_next_try_at", "delivered_at", "dead_at", "next_try_at"),
    sa.Index("ix_outbox_episode_id", "episode_id"),
)
"""Notifications to send, written in the transaction that made them necessary."""

revocations = sa.Table(
    "revocations",
    metadata,
    sa.Column("token_id", sa.String(48), primary_key=True),
    sa.Column("revoked_at", Utc, nullable=False),
    sa.Column("until", Utc),  # when it may be forgotten
    sa.Column("revoked_by", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Index("ix_revocations_until", "until"),
)
"""Tokens that are withdrawn, by fingerprint."""

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""Single facts, such as which lake this database describes."""


def insert(conn: Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ``on_conflict_do_update`` and ``on_conflict_do_nothing`` in *conn*'s dialect."""
    return postgresql.insert(table) if conn.dialect.name == "postgresql" else sqlite.insert(table)
