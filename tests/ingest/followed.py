"""A spool with its writers, and a collector reduced to its tail."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from bearerwatch.ingest.tail import SpoolTail
from bearerwatch.store.state import State

__all__ = ["Spool"]


class Spool:
    """The writing side, and a collector reduced to its tail."""

    def __init__(self, folder: Path, state: State, said: object) -> None:
        self.folder = folder
        self.state = state
        self._said = said
        self.tail = SpoolTail(folder, state, complain=said)
        self._handles: list[int] = []

    def service(self, name: str = "shop") -> Path:
        path = self.folder / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def segment(self, name: str, data: bytes = b"", *, service: str = "shop") -> Path:
        """A segment whose writer is gone."""
        path = self.service(service) / f"{name}.jsonl"
        with path.open("ab") as file:
            file.write(data)
        path.chmod(0o600)
        return path

    def writer(self, name: str, data: bytes = b"", *, service: str = "shop") -> int:
        """A segment whose writer is alive; the writer's descriptor."""
        handle = os.open(self.service(service) / f"{name}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        self._handles.append(handle)
        os.write(handle, data)
        return handle

    def seal(self, handle: int) -> None:
        os.close(handle)
        self._handles.remove(handle)

    def commit(self) -> None:
        with self.state.begin() as tx:
            self.tail.save(tx)
        self.tail.committed()

    def round(self, **limits: int) -> list[bytes]:
        lines = [raw.line for raw in self.tail.poll(**limits)]
        self.commit()
        return lines

    def until_gone(self, path: Path) -> list[bytes]:
        got: list[bytes] = []
        deadline = time.monotonic() + 5
        while path.exists():
            assert time.monotonic() < deadline, "the segment is not deleted"
            got += self.round()
        return got

    def restart(self) -> None:
        self.tail.close()
        self.tail = SpoolTail(self.folder, self.state, complain=self._said)

    def close(self) -> None:
        self.tail.close()
        for handle in self._handles:
            os.close(handle)
