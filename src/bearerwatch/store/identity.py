"""Which lake a state database describes: each remembers the same random id.

What is in no manifest is removed from the lake, and what is in it and not in the lake counts as lost. Both would be
a disaster with the wrong pair: a mistyped URL, a disk that is not mounted, another user's folder.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bearerwatch.errors import ConfigurationError
from bearerwatch.store import manifest
from bearerwatch.store.folders import fsync
from bearerwatch.store.tables import insert
from bearerwatch.store.tables import meta as table

__all__ = ["check", "claim", "mismatch"]

_KEY = "lake"
_MARKER = "ID"


def mismatch(conn: Connection, lake: Path) -> str | None:
    """What is wrong with this pair of database and folder, and what to do; None if they belong together."""
    known, here = _known(conn), _here(lake)
    if known == here:
        return None
    if known is None:
        return f"the lake {lake} belongs to another state database than the one named: name that one"
    if here is None:
        return (
            f"the lake {lake} is not there: see that its disk is mounted. If it is lost for good, go on without the "
            f"events in it: write the line {known} to {lake / _MARKER}"
        )
    return (
        f"the lake {lake} is not the one this state database describes: name the state folder and URL that go together"
    )


def check(conn: Connection, lake: Path) -> None:
    """Make sure that they belong together.

    Raises:
        ConfigurationError: they do not; the message says what to do.
    """
    if wrong := mismatch(conn, lake):
        raise ConfigurationError(wrong)


def claim(tx: Connection, lake: Path, *, empty: bool) -> None:
    """Give a new lake and a new database the same id, or make sure that they have it.

    Args:
        tx: a write transaction.
        lake: the lake's folder; exists.
        empty: whether it has no segment.

    Raises:
        ConfigurationError: they do not belong together; nothing was changed.
    """
    wrong = mismatch(tx, lake)
    if wrong is None and _known(tx) is not None:
        return
    files, _, _ = manifest.totals(tx)
    if files or not empty:
        raise ConfigurationError(
            wrong or f"the lake {lake} has files and no id: move it away, or name its own database"
        )
    # Both are empty. Should we die between the two writes, the next start comes here again.
    known = secrets.token_hex(16)
    statement = insert(tx, table).values(key=_KEY, value=known)
    tx.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": known}))
    handle = os.open(lake / _MARKER, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, f"{known}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    fsync(lake)


def _known(conn: Connection) -> str | None:
    known: str | None = conn.execute(sa.select(table.c.value).where(table.c.key == _KEY)).scalar_one_or_none()
    return known


def _here(lake: Path) -> str | None:
    try:
        handle = os.open(lake / _MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError:
        raise ConfigurationError(f"the lake {lake} belongs to another user: run this as that user") from None
    except OSError:
        return None
    try:
        return os.read(handle, 200).decode("ascii", "replace").strip() or None
    finally:
        os.close(handle)
