"""The shop's rows in SQLite, for the Flask and the FastAPI sample (the Django one has its models).

The file is named by ``SHOP_DB`` and seeded when it is new. Several worker processes share it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from shop.seed import ORDERS, USERS

__all__ = ["Store"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, scope TEXT NOT NULL, password TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL, item TEXT NOT NULL, quantity INTEGER NOT NULL,
    status TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS api_keys (digest TEXT PRIMARY KEY, name TEXT NOT NULL, scope TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS revoked (reference TEXT PRIMARY KEY);
"""
_FIELDS = ("id", "owner", "item", "quantity", "status")


class Store:
    """Users, orders, and the ledger of keys and revocations (`shop.tokens.Ledger`)."""

    def __init__(self, path: str | None = None) -> None:
        self._path = path or os.environ.get("SHOP_DB", "shop.db")
        self._let_readers_and_writers_at_it()
        with self._open() as con:
            con.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        with self._open() as con:
            con.execute("BEGIN IMMEDIATE")
            if con.execute("SELECT count(*) FROM users").fetchone() == (0,):
                con.executemany(
                    "INSERT INTO users VALUES (?, ?, ?)",
                    [(u.name, u.scope, _password_hash(u.name, u.password)) for u in USERS],
                )
                con.executemany(
                    "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
                    [(o.id, o.owner, o.item, o.quantity, o.status) for o in ORDERS],
                )
            con.execute("COMMIT")

    def check_password(self, name: str, password: str) -> str | None:
        """The user's scope if the password is right."""
        row = self._one("SELECT scope, password FROM users WHERE name = ?", name)
        return row[0] if row and row[1] == _password_hash(name, password) else None

    def orders_of(self, owner: str) -> list[dict[str, object]]:
        """All of one user's orders, by id."""
        with self._open() as con:
            rows = con.execute("SELECT * FROM orders WHERE owner = ? ORDER BY id", (owner,)).fetchall()
        return [dict(zip(_FIELDS, row, strict=True)) for row in rows]

    def order(self, order_id: int) -> dict[str, object] | None:
        """One order, whoever owns it."""
        row = self._one("SELECT * FROM orders WHERE id = ?", order_id)
        return dict(zip(_FIELDS, row, strict=True)) if row else None

    def add_order(self, owner: str, item: str, quantity: int) -> dict[str, object]:
        """Place an order."""
        with self._open() as con:
            sql = "INSERT INTO orders (owner, item, quantity, status) VALUES (?, ?, ?, 'placed')"
            number = con.execute(sql, (owner, item, quantity)).lastrowid
        return {"id": number, "owner": owner, "item": item, "quantity": quantity, "status": "placed"}

    def totals(self) -> dict[str, int]:
        """How many orders there are in each state."""
        with self._open() as con:
            return dict(con.execute("SELECT status, count(*) FROM orders GROUP BY 1 ORDER BY 1").fetchall())

    def remember_key(self, digest: str, name: str, scope: str) -> None:
        with self._open() as con:
            con.execute("INSERT INTO api_keys VALUES (?, ?, ?)", (digest, name, scope))

    def find_key(self, digest: str) -> tuple[str, str] | None:
        return self._one("SELECT name, scope FROM api_keys WHERE digest = ?", digest)

    def revoke(self, reference: str) -> None:
        with self._open() as con:
            con.execute("INSERT OR IGNORE INTO revoked VALUES (?)", (reference,))

    def is_revoked(self, reference: str) -> bool:
        return self._one("SELECT 1 FROM revoked WHERE reference = ?", reference) is not None

    def _let_readers_and_writers_at_it(self) -> None:
        """Turn write-ahead logging on. Workers start together, and here SQLite does not wait for the other itself."""
        until = time.monotonic() + 10
        while True:
            try:
                with self._open() as con:
                    con.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return

    def _one(self, sql: str, value: object) -> tuple | None:
        with self._open() as con:
            return con.execute(sql, (value,)).fetchone()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as con:
            yield con


def _password_hash(name: str, password: str) -> str:
    return hashlib.scrypt(password.encode(), salt=name.encode(), n=2**12, r=8, p=1).hex()
