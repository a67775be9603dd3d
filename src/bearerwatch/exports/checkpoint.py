"""How far an export has come, in a file: a job that runs every minute exports each event once.

The file is replaced as a whole, and only once what it says was delivered: a run that is cut off repeats the events of
one batch at most, with the same ids.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from bearerwatch.errors import ConfigurationError
from bearerwatch.exports import ExportError
from bearerwatch.store.folders import fsync
from bearerwatch.store.stream import Mark

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Checkpoint"]

_LONGEST = 1 << 16


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="version", tag=1):
    of: str
    received_at: datetime
    event_id: str
    source: str


class Checkpoint:
    """The mark of the last event delivered.

    Args:
        path: the file; made by the first run. ``<path>.lock`` beside it keeps two runs apart.
        of: what is exported, in words: a file is of one export alone.

    Raises:
        ConfigurationError: the file is damaged or of another export, or its folder cannot be used.
        ExportError: another run is at it.
    """

    def __init__(self, path: Path, of: str) -> None:
        self._path = path
        self._of = of
        self._lock = -1
        try:
            self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.mark = self._read()
        except BlockingIOError:
            self.close()
            raise ExportError(f"another export with the checkpoint {path} is running: wait for its end") from None
        except OSError as error:
            self.close()
            raise ConfigurationError(
                f"the checkpoint {path} cannot be used ({error.strerror}): name a file in a folder of this user"
            ) from None
        except BaseException:
            self.close()
            raise

    def _read(self) -> Mark | None:
        try:
            with self._path.open("rb") as file:
                raw = file.read(_LONGEST)
        except FileNotFoundError:
            return None
        try:
            kept = msgspec.json.decode(raw, type=_Kept)
        except (msgspec.DecodeError, UnicodeDecodeError):
            kept = None
        if kept is None or kept.received_at.tzinfo is None:
            raise ConfigurationError(
                f"the checkpoint {self._path} is damaged: restore it, or remove it to export everything anew"
            )
        if kept.of != self._of:
            raise ConfigurationError(
                f"the checkpoint {self._path} is of another export: give each export, with its format, filters and "
                "receiver, a file of its own"
            )
        return Mark(kept.received_at, kept.event_id, kept.source)

    def reached(self, mark: Mark) -> None:
        """Keep that everything up to *mark* was delivered.

        Raises:
            ExportError: the file cannot be written.
        """
        draft = self._path.with_name(f".{self._path.name}.tmp")
        kept = _Kept(of=self._of, received_at=mark.received_at, event_id=mark.event_id, source=mark.source)
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.write(handle, msgspec.json.encode(kept) + b"\n")
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(draft, self._path)  # noqa: PTH105 - rename(2), meant literally
            fsync(self._path.parent)
        except OSError as error:
            raise ExportError(
                f"the checkpoint {self._path} cannot be written ({error.strerror}): the next run repeats what this one "
                "delivered since"
            ) from None
        self.mark = mark

    def close(self) -> None:
        """Let another run have it."""
        if self._lock >= 0:
            with suppress(OSError):
                os.close(self._lock)
            self._lock = -1
