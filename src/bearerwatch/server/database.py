"""Whether the state database is sound, and what to do when it is not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from bearerwatch.errors import ConfigurationError
from bearerwatch.store.state import State

__all__ = ["check", "explained"]

_DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


def check(state: State, folder: Path) -> None:
    """Look through an SQLite database for damage; PostgreSQL looks after itself.

    Raises:
        ConfigurationError: it is damaged; the message says what to do.
        StateBusy: it cannot be looked at just now.
        sqlalchemy.exc.DatabaseError: it cannot even be opened, see :func:`explained`.
    """
    if state.dialect != "sqlite":
        return
    with state.read() as conn:
        found = [row[0] for row in conn.exec_driver_sql("PRAGMA quick_check(1)")]
    if found != ["ok"]:
        raise _damage(folder)


def explained(error: DatabaseError, folder: Path) -> Exception:
    """What to raise for *error*: advice if it says that the database is damaged, else the error itself."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return _damage(folder) if code is not None and code & 0xFF in _DAMAGED else error


def _damage(folder: Path) -> ConfigurationError:
    return ConfigurationError(
        f"the state database in {folder} is damaged: restore state.db from a backup; or, without one, move state.db, "
        "state.db-wal, state.db-shm and the folder lake aside and start anew. Events in the lake remain: any Parquet "
        "reader reads its files"
    )
