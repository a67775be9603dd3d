"""Withdrawn tokens in the state database, and a version that changes whenever they do."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime

import sqlalchemy as sa
from msgspec import ValidationError, convert
from sqlalchemy.engine import Connection

from bearerwatch.store.state import State
from bearerwatch.store.tables import insert, meta
from bearerwatch.store.tables import revocations as table
from bearerwatch.verify.revocations._entry import Revocation, merge

__all__ = ["StateLedger", "add", "load", "remove", "version"]

_VERSION = "revocations"
_AT_ONCE = 500


def add(tx: Connection, entries: Sequence[Revocation]) -> int:
    """Write *entries* down; returns how many say something new. What is there is never shortened."""
    wanted: dict[str, Revocation] = {}
    for entry in entries:
        wanted[entry.token_id] = merge(wanted[entry.token_id], entry) if entry.token_id in wanted else entry
    known = {entry.token_id: entry for entry in _some(tx, list(wanted))}
    new = [merge(known[name], entry) if name in known else entry for name, entry in wanted.items()]
    new = [entry for entry in new if known.get(entry.token_id) != entry]
    if not new:
        return 0
    now = _utc(int(time.time()))
    tx.execute(sa.delete(table).where(table.c.until <= now))
    statement = insert(tx, table)
    changed = {name: statement.excluded[name] for name in ("revoked_at", "until", "revoked_by", "reason")}
    rows = [
        {
            "token_id": entry.token_id,
            "revoked_at": _utc(entry.at),
            "until": None if entry.until is None else _utc(entry.until),
            "revoked_by": entry.by,
            "reason": entry.reason,
        }
        for entry in new
    ]
    tx.execute(statement.on_conflict_do_update(index_elements=["token_id"], set_=changed), rows)
    _changed(tx)
    return len(new)


def remove(tx: Connection, token_ids: Iterable[str]) -> int:
    """Take back what was revoked; returns how many of *token_ids* had been."""
    gone = 0
    for some in _pieces(list(dict.fromkeys(token_ids))):
        gone += tx.execute(sa.delete(table).where(table.c.token_id.in_(some))).rowcount
    if gone:
        _changed(tx)
    return gone


def load(conn: Connection) -> list[Revocation]:
    """All that is in force, first revoked first."""
    now = _utc(int(time.time()))
    query = sa.select(table).where(sa.or_(table.c.until.is_(None), table.c.until > now))
    return _entries(conn.execute(query.order_by(table.c.revoked_at, table.c.token_id)))


def version(conn: Connection) -> str:
    """What stands for the list as it is: drawn anew with every change. Empty where nothing was ever revoked."""
    found: str | None = conn.execute(sa.select(meta.c.value).where(meta.c.key == _VERSION)).scalar_one_or_none()
    return found or ""


class StateLedger:
    """A collector's list, for who revokes on its own host; each call is one transaction.

    Args:
        url: the state database.

    Raises:
        ConfigurationError: its tables are not those of this version.
        StateBusy: it cannot be used just now. So do all calls.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        with closing(State(url)) as state:
            state.check()

    def add(self, entries: Sequence[Revocation]) -> int:
        """See :class:`~bearerwatch.verify.revocations.Ledger`."""
        with closing(State(self._url)) as state, state.begin() as tx:
            return add(tx, entries)

    def remove(self, token_ids: Sequence[str]) -> int:
        """See :class:`~bearerwatch.verify.revocations.Ledger`."""
        with closing(State(self._url)) as state, state.begin() as tx:
            return remove(tx, token_ids)

    def entries(self) -> list[Revocation]:
        """See :class:`~bearerwatch.verify.revocations.Ledger`."""
        with closing(State(self._url)) as state, state.read() as conn:
            return load(conn)


def _changed(tx: Connection) -> None:
    drawn = secrets.token_hex(8)
    statement = insert(tx, meta).values(key=_VERSION, value=drawn)
    tx.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": drawn}))


def _some(conn: Connection, token_ids: Sequence[str]) -> list[Revocation]:
    found: list[Revocation] = []
    for some in _pieces(token_ids):
        found += _entries(conn.execute(sa.select(table).where(table.c.token_id.in_(some))))
    return found


def _pieces(token_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    """As many at once as a database takes for parameters of one statement."""
    return (token_ids[at : at + _AT_ONCE] for at in range(0, len(token_ids), _AT_ONCE))


def _entries(rows: Iterable[sa.Row[tuple[object, ...]]]) -> list[Revocation]:
    found: list[Revocation] = []
    for row in rows:
        values = {
            "token_id": row.token_id,
            "at": int(row.revoked_at.timestamp()),
            "until": None if row.until is None else int(row.until.timestamp()),
            "by": row.revoked_by,
            "reason": row.reason,
        }
        with suppress(ValidationError):  # somebody else wrote this row
            found.append(convert(values, Revocation))
    return found


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
