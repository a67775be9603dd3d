"""The files that lie beside one while it is rewritten: its journal, which is its lock too, and the draft of it.

Both have names that are made of its own, so that the next run finds what was left behind, and mode 0600.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from types import TracebackType
from typing import Self

from bearerwatch.leaks.refused import Refused

__all__ = ["Claim", "Taken", "draft", "is_ours", "journal", "left_in", "synced"]

_OURS = re.compile(r"(\.bearerwatch-[0-9a-f]{16})\.(?:draft|journal)\Z")


class Taken(Refused):
    """Another process is rewriting the file."""


def _name(path: str, what: str) -> str:
    folder, name = os.path.split(path)
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]  # whatever its length, that fits
    return os.path.join(folder, f".bearerwatch-{digest}.{what}")  # noqa: PTH118 - a name need not be Unicode


def draft(path: str) -> str:
    """Where the new text of *path* is gathered."""
    return _name(path, "draft")


def journal(path: str) -> str:
    """Where it is noted what is about to be written into *path*."""
    return _name(path, "journal")


def is_ours(name: str) -> bool:
    """Whether a file of this *name* was made here."""
    return _OURS.match(name) is not None


def left_in(folder: str) -> list[tuple[str, str]]:
    """Journal and draft, whichever is there, of each file in *folder* that is being rewritten or was."""
    with os.scandir(folder or ".") as entries:
        found = {match[1] for entry in entries if (match := _OURS.match(entry.name)) is not None}
    stems = [os.path.join(folder, stem) for stem in sorted(found)]  # noqa: PTH118
    return [(f"{stem}.journal", f"{stem}.draft") for stem in stems]


def synced(folder: str) -> None:
    """What was created, renamed or removed in *folder* is on the disk."""
    handle = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Claim:
    """The journal at *path*, open and locked: nobody else rewrites its file meanwhile. A context manager.

    On leaving, an empty journal is removed; one with something in it stays for the next run.

    Raises:
        Refused: it belongs to somebody else.
        Taken: another process has it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.handle = -1

    def __enter__(self) -> Self:
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = os.fstat(handle)
                try:
                    there = os.lstat(self.path)
                except FileNotFoundError:  # who had it before has just removed it
                    os.close(handle)
                    continue
            except BlockingIOError:
                os.close(handle)
                raise Taken("another process is rewriting it: wait until that is done") from None
            except BaseException:
                os.close(handle)
                raise
            if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
                os.close(handle)
                continue
            if mine.st_uid != os.geteuid() or mine.st_nlink != 1 or mine.st_mode & 0o077:
                os.close(handle)
                raise Refused(f"{self.path} was not made by this user: remove it if nobody else's run made it")
            self.handle = handle
            return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if os.fstat(self.handle).st_size == 0:
                os.unlink(self.path)  # noqa: PTH108 - a name need not be Unicode
        finally:
            os.close(self.handle)
