"""What took long to compile, kept for the next process: as byte code is, in a folder that nobody else may write to.

The file is read as native code reads it, so it has to be this user's own, and so has the folder; else it is not looked
at. Nothing depends on it: where it cannot be read or written, all is compiled again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

from bearerwatch._draft import drafted
from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import state_dir

__all__ = ["Kept"]

_FOLDER = "compiled"
_DIGEST = hashlib.sha256().digest_size
_MOST = 64 << 20
"""Bytes; what is longer is none of ours."""


class Kept:
    """Bytes that are kept under a name, as long as nothing they were made from changes.

    Args:
        name: of what is kept; one is kept at a time.
        made_with: what else it was made with: versions of libraries.
    """

    def __init__(self, name: str, made_with: str) -> None:
        self._name = name
        digest = hashlib.sha256(f"{made_with}\0{sys.platform}\0{sys.byteorder}".encode())
        with suppress(OSError):  # where there are none to be read, the versions have to tell
            for source in sorted(Path(__file__).parent.glob("*.py")):
                digest.update(source.read_bytes())
        self._made_from = digest.digest()

    def load(self) -> bytes | None:
        """What was kept; ``None`` if there is nothing, or it cannot be trusted."""
        with suppress(OSError, ConfigurationError):
            path = self._path()
            if not _ours(os.stat(path.parent)):  # noqa: PTH116 - links are followed: it is the folder that counts
                return None
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:
                held = os.fstat(file.fileno())
                if not stat.S_ISREG(held.st_mode) or not _ours(held) or held.st_size > _MOST:
                    return None
                whole = file.read()
            head, data = whole[: 2 * _DIGEST], whole[2 * _DIGEST :]
            if head == self._made_from + hashlib.sha256(data).digest():
                return data
        return None

    def save(self, data: bytes) -> None:
        """Keep *data* instead of what was kept, if that can be done: all of it or nothing."""
        with suppress(OSError, ConfigurationError):
            path = self._path()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _ours(os.stat(path.parent)):  # noqa: PTH116 - as above
                return
            with drafted(path) as handle, os.fdopen(handle, "wb", closefd=False) as file:
                file.write(self._made_from + hashlib.sha256(data).digest() + data)

    def _path(self) -> Path:
        return state_dir() / _FOLDER / self._name


def _ours(found: os.stat_result) -> bool:
    """Whether nobody but this user may have written it."""
    return hasattr(os, "geteuid") and found.st_uid == os.geteuid() and not found.st_mode & 0o022
