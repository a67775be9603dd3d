"""The last list that was read, on disk, for a process that starts while its source is lost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from math import ceil, isinf
from pathlib import Path

from bearerwatch import _guard
from bearerwatch._draft import drafted
from bearerwatch.verify.revocations._entry import Revocation, dump
from bearerwatch.verify.revocations._source import SourceLost
from bearerwatch.verify.revocations.file import File

__all__ = ["Snapshot"]


class Snapshot:
    """One file, which all processes of a service share. What it cannot keep it does without.

    Args:
        path: where; made with mode 0600, its folder with 0700.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said = False

    def load(self) -> dict[str, float]:
        """The list, without what may be forgotten by now; empty if there is none that can be read."""
        with suppress(SourceLost):
            found = File(self._path).poll()
            if found is not None:
                return found.entries
        return {}

    def save(self, entries: Mapping[str, float]) -> None:
        """Keep *entries*, unless another process has."""
        lines = (
            dump(Revocation(token_id=token_id, at=0, until=None if isinf(until) else ceil(until)))
            for token_id, until in entries.items()
        )
        text = b"".join(line + b"\n" for line in lines)
        try:
            self._write(text)
        except OSError as error:
            if not self._said:
                self._said = True
                _guard.say(
                    f"revocations: {self._path} cannot be written ({error.strerror}), so no list outlives a start"
                )

    def _write(self, text: bytes) -> None:
        with suppress(FileNotFoundError):
            if self._path.stat().st_size == len(text) and self._path.read_bytes() == text:
                return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with drafted(self._path) as handle:
            with os.fdopen(handle, "wb", closefd=False) as file:
                file.write(text)
            os.fsync(handle)
