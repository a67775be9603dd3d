"""What is remembered, in a file that the state database names: 30 days cannot be read anew at each start.

The file is written before the transaction that names it and publishes the events it is made of. So whichever of them
survives a crash, memory and lake agree: what came in after ``received`` is read from the lake again, nothing twice.
It holds hashes of keys and of values, no key and no value, but for the names of services.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bearerwatch.errors import ConfigurationError
from bearerwatch.store.folders import fsync, private_file, private_folder
from bearerwatch.store.tables import insert, meta

__all__ = ["Memory", "Snapshot", "Snapshots"]

_META = "detection_memory"
_EVERY = timedelta(minutes=5)


class Memory(msgspec.Struct, kw_only=True):
    """What one rule remembers."""

    identity: str
    newest: int
    """Its latest pane."""
    told: list[list[Any]]
    """Sightings whose events are in an episode, each with its ``n`` at the end."""
    state: Any


class Snapshot(msgspec.Struct, kw_only=True):
    """What all rules remember of the events that had come in by ``received`` (µs)."""

    received: int
    minds: dict[str, Memory]


class _Named(msgspec.Struct):
    file: str
    sha256: str


class Snapshots:
    """The files of one folder, of which one is in force."""

    def __init__(self, folder: Path) -> None:
        """Nothing is touched yet."""
        self._folder = folder
        self._saved: datetime | None = None
        self._current: str | None = None
        self._next: str | None = None

    def load(self, conn: Connection) -> Snapshot | None:
        """The snapshot in force; None if there is none that can be used."""
        text = conn.execute(sa.select(meta.c.value).where(meta.c.key == _META)).scalar_one_or_none()
        if text is None:
            return None
        try:
            named = msgspec.json.decode(text, type=_Named)
            raw = (self._folder / Path(named.file).name).read_bytes()
            if hashlib.sha256(raw).hexdigest() != named.sha256:
                return None
            found = msgspec.msgpack.decode(raw, type=Snapshot, strict=False)
        except (OSError, msgspec.MsgspecError):
            return None  # it is made again from the lake, as far as that is read
        self._current = named.file
        return found

    def due(self, now: datetime) -> bool:
        """Whether it is time for another."""
        return self._saved is None or not timedelta() <= now - self._saved < _EVERY

    def save(self, tx: Connection, snapshot: Snapshot, now: datetime) -> None:
        """Write *snapshot* to a file of its own, and name it in *tx*.

        Where it cannot be written (a full disk), events are committed all the same: the next start reads more of them
        again.
        """
        self._saved = now
        raw = msgspec.msgpack.encode(snapshot)
        name = f"{secrets.token_hex(8)}.msgpack"
        try:
            path = private_folder(self._folder) / name
            private_file(path)
            path.write_bytes(raw)
            fsync(path)
            fsync(self._folder)
        except (OSError, ConfigurationError):
            return
        value = msgspec.json.encode(_Named(name, hashlib.sha256(raw).hexdigest())).decode()
        statement = insert(tx, meta).values(key=_META, value=value)
        tx.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
        self._next = name

    def committed(self) -> None:
        """The snapshot of the transaction, if it had one, is in force: remove all others."""
        if self._next is None:
            return
        self._current, self._next = self._next, None
        with suppress(OSError):
            for path in self._folder.glob("*.msgpack"):
                if path.name != self._current:
                    path.unlink()
