"""The state database: one write transaction at a time, on SQLite by default or PostgreSQL by URL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from bearerwatch.errors import BearerwatchError, ConfigurationError
from bearerwatch.store.folders import private_file, private_folder
from bearerwatch.store.migrations import head

__all__ = ["State", "StateBusy", "default_url"]

_VERSION = sa.table("alembic_version", sa.column("version_num"))
_BUSY_SECONDS = 1.0
_PAUSE_SECONDS = 0.005
# A server that vanishes without a word (its host lost power, a cable is out) is noticed after some 20 s; TCP's own
# patience is a quarter of an hour. Names: https://www.postgresql.org/docs/current/libpq-connect.html
_POSTGRES = {
    "application_name": "bearerwatch",
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,  # ms
}
_WRITE = "bearerwatch_write"
_READ_ONLY = "25006"
# The second: a writer whose host has vanished must not keep the lock until the server's TCP notices, hours later.
_PATIENCE = (
    f"SELECT set_config('lock_timeout', '{int(_BUSY_SECONDS * 1000)}ms', true), "
    "set_config('idle_in_transaction_session_timeout', '60s', true)"
)
# Held until the transaction ends, by the server's own process for it: also while nobody is left to hear the answer.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('bearerwatch'), hashtext(current_schema()))"

# SQLite result codes (https://sqlite.org/rescode.html) that mean "not now": the low byte of the extended code.
_NOT_NOW = {
    sqlite3.SQLITE_BUSY: "another process holds its lock; if that lasts, find it with: fuser {where}",
    sqlite3.SQLITE_LOCKED: "another connection holds its lock",
    sqlite3.SQLITE_FULL: "its disk is full: free some space",
    sqlite3.SQLITE_IOERR: "its disk reports an error: see the kernel log (dmesg)",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check that its folder exists and this user owns it",
    sqlite3.SQLITE_READONLY: "it is read-only for this user: check the owner of the file and the mount",
}


class StateBusy(BearerwatchError):  # noqa: N818 - a state of affairs to wait out, not a mistake
    """The state database cannot be used just now. Nothing was changed: try the same again later."""


def default_url(state_dir: Path) -> str:
    """The URL of the SQLite database in *state_dir*, whatever characters the folder's name has."""
    url = URL.create("sqlite", database=str(state_dir.absolute() / "state.db"))
    return url.render_as_string(hide_password=False)


class State:
    """The state database. Safe to share between threads; each transaction has a connection of its own."""

    def __init__(self, url: str) -> None:
        """Prepare the connection pool; nothing is opened yet.

        Args:
            url: an SQLAlchemy URL. ``sqlite:///path`` (made with mode 0600), or ``postgresql://…``.

        Raises:
            ConfigurationError: the URL is of no kind we can use, or its driver is not installed. It is not repeated,
                for it may hold a password.
        """
        self._url = _checked(url)
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = self._open()

    def __repr__(self) -> str:
        return f"State({self._url.render_as_string(hide_password=True)!r})"

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    def migrate(self) -> None:
        """Bring the tables to this version of bearerwatch; does nothing when they are.

        Raises:
            ConfigurationError: a newer bearerwatch has written this database.
            StateBusy: the database cannot be used just now.
        """
        if self.revision() == head():
            return
        from bearerwatch.store.migrations.run import upgrade  # noqa: PLC0415 - Alembic is large and seldom needed

        with self.begin() as tx:
            upgrade(tx)

    def check(self) -> None:
        """Make sure the tables are those of this version, without changing any.

        Raises:
            ConfigurationError: they are not; the message says what to do.
            StateBusy: the database cannot be used just now.
        """
        if self.revision() != head():
            raise ConfigurationError(
                "the state database is empty or of an older bearerwatch: start the collector (`bearerwatch serve`), "
                "which brings it up to date"
            )

    def revision(self) -> str | None:
        """The migration the tables are at; None for an empty database.

        Raises:
            ConfigurationError: a newer bearerwatch has written this database.
            StateBusy: the database cannot be used just now.
        """
        with self.read() as conn:
            if not sa.inspect(conn).has_table(_VERSION.name):
                return None
            current: str | None = conn.execute(sa.select(_VERSION.c.version_num)).scalar_one_or_none()
        if current is not None and current > head():
            raise ConfigurationError(
                f"the state database has revision {current}, which a newer bearerwatch has written: "
                "install that version again, or name another state database"
            )
        return current

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One write transaction: committed at the end of the block, rolled back if the block raises.

        There is one at a time. So whatever an earlier one has committed can be seen, even if whoever sent that commit
        did not live to hear of it, and was still being waited for a moment ago.

        Raises:
            StateBusy: the database is locked, full or out of reach; nothing was changed.
        """
        options = {_WRITE: True} if self._sqlite else {"isolation_level": "READ COMMITTED"}
        with (
            self._translated(writing=True),
            self._engine.connect().execution_options(**options) as tx,
            tx.begin(),
        ):
            if not self._sqlite:
                tx.exec_driver_sql(_PATIENCE)
                tx.exec_driver_sql(_LOCK)
            yield tx

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read transaction: everything read in the block is of one moment.

        Raises:
            StateBusy: the database is out of reach just now.
        """
        with self._translated(), self._engine.connect() as conn:
            if not self._sqlite:
                conn = conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)  # noqa: PLW2901
            with conn.begin():
                yield conn

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _open(self) -> Engine:
        if not self._sqlite:
            try:
                return sa.create_engine(
                    self._url,
                    pool_pre_ping=True,
                    pool_size=4,
                    hide_parameters=True,
                    connect_args={name: value for name, value in _POSTGRES.items() if name not in self._url.query},
                )
            except ImportError:
                raise ConfigurationError(
                    "a state database on PostgreSQL needs psycopg: pip install 'bearerwatch[postgres]'"
                ) from None
        path = Path(str(self._url.database)).absolute()
        if not path.parent.exists():  # an existing one may be anybody's: what is ours is the file
            private_folder(path.parent)
        private_file(path)
        engine = sa.create_engine(
            self._url.set(database=str(path)),
            hide_parameters=True,
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
        )
        sa.event.listen(engine, "connect", _sqlite_connected)
        sa.event.listen(engine, "begin", _sqlite_begin)
        return engine

    @contextmanager
    def _translated(self, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            advice = self._not_now(error)
            if advice is None and writing and _sqlstate(error) == _READ_ONLY:
                # After a failover: the connections are to what was the primary. New ones may find the new one.
                self._engine.dispose()
                advice = (
                    f"PostgreSQL at {self._where} takes no writes: it is a standby, or was made read-only;"
                    " point the URL at the primary"
                )
            if advice is None:
                raise
            raise StateBusy(f"the state database cannot be used just now: {advice}") from error

    def _not_now(self, error: DBAPIError) -> str | None:
        """What to do about an error that may pass; None for one that will not."""
        if self._sqlite:
            code = getattr(error.orig, "sqlite_errorcode", None)
            if code is None:
                return None
            advice = _NOT_NOW.get(code & 0xFF)
            return None if advice is None else advice.format(where=self._url.database)
        where = self._where
        if error.connection_invalidated or (isinstance(error, OperationalError) and not _sqlstate(error)):
            return f"PostgreSQL does not answer at {where}: check that it runs and that the password is right"
        # 40: rolled back for concurrency, 53: out of disk, memory or connections, 55: locked, 57: shutting down.
        if _sqlstate(error)[:2] in {"08", "40", "53", "55", "57"}:
            return f"PostgreSQL at {where} is busy, full or shutting down (SQLSTATE {_sqlstate(error)})"
        if _sqlstate(error)[:2] == "58":
            return f"PostgreSQL at {where} reports an error of its disk (SQLSTATE {_sqlstate(error)}): see its log"
        return None

    @property
    def _where(self) -> str:
        return f"{self._url.host or 'the local socket'}, database {self._url.database}"


def _sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "the state database's URL cannot be read: write sqlite:////path/state.db or postgresql://user@host/name"
        ) from None
    backend = parsed.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ConfigurationError(
            f"the state database's URL begins with {parsed.drivername}: use sqlite:////path/state.db or postgresql://"
        )
    return parsed.set(drivername="sqlite+pysqlite")


def _sqlite_connected(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, and which kind
    cursor = connection.cursor()
    try:
        # WAL: readers never wait for the writer. FULL: a commit is on the disk when it returns.
        _patiently(lambda: cursor.execute("PRAGMA journal_mode=WAL"))
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def _patiently(ask: Callable[[], object]) -> None:
    """Ask again while SQLite is busy, for as long as it would have waited itself.

    It does not wait where two connections turn a new database to WAL at once: each has a lock the other needs, and
    the one that is told so has to let go (https://sqlite.org/c3ref/busy_handler.html, on deadlocks).
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            ask()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _sqlite_begin(conn: Connection) -> None:
    # IMMEDIATE takes the write lock at once: no half-done transaction ever has to be given up for it.
    conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get(_WRITE) else "BEGIN")
