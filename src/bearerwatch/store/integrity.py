"""Whether a segment's file is still what was published.

Parquet readers believe what a file says: a flipped bit may go unnoticed, and a garbled footer can make DuckDB allocate
gigabytes or give up its whole database. So the footer is compared before a file is first read, and the whole file
before it is merged and whenever a query fails.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from bearerwatch.errors import ConfigurationError
from bearerwatch.store.manifest import Segment
from bearerwatch.store.state import StateBusy

__all__ = ["Damage", "Inspector", "digests"]

Damage = Literal["missing", "damaged"]

_CHUNK = 1 << 20
_TRAILER = 8  # length of the footer in four bytes, little endian, and "PAR1" (Parquet format, "File Format")
_GONE = {errno.ENOENT, errno.ENOTDIR}
_BROKEN = {errno.ELOOP, errno.EIO, errno.EISDIR, errno.EINVAL}
_MOST = 50_000


def digests(path: Path) -> tuple[str, str]:
    """SHA-256 in hex of the file and of its Parquet footer. No link is followed.

    Raises:
        OSError: it cannot be read.
    """
    with _opened(path) as handle:
        sha = hashlib.sha256()
        while block := os.read(handle, _CHUNK):
            sha.update(block)
        return sha.hexdigest(), _footer(handle)


class Inspector:
    """Looks at segment files, and remembers which footers it has seen to be right."""

    def __init__(self, lake: Path) -> None:
        """Nothing is touched yet.

        Args:
            lake: the lake's folder.
        """
        self._lake = lake
        self._seen: dict[str, tuple[int, int]] = {}

    def glance(self, segment: Segment) -> Damage | None:
        """Compare size and footer; costs one ``lstat`` once a file is known.

        Raises:
            ConfigurationError: the file belongs to another user.
            StateBusy: the file cannot be looked at just now; that says nothing about it.
        """
        path = self._lake / segment.path
        with _explained(path):
            try:
                found = path.lstat()
                if not stat.S_ISREG(found.st_mode) or found.st_size != segment.bytes:
                    return "damaged"
                mark = (found.st_ino, found.st_mtime_ns)
                if self._seen.get(segment.path) == mark:
                    return None
                with _opened(path) as handle:
                    if _footer(handle) != segment.footer:
                        return "damaged"
            except OSError as error:
                return _damage(error)
        if len(self._seen) >= _MOST:
            self._seen.clear()
        self._seen[segment.path] = mark
        return None

    def examine(self, segment: Segment) -> Damage | None:
        """Compare the whole file. Raises as :meth:`glance`."""
        path = self._lake / segment.path
        with _explained(path):
            try:
                return None if digests(path)[0] == segment.sha256 else "damaged"
            except OSError as error:
                return _damage(error)


def _damage(error: OSError) -> Damage:
    if error.errno in _GONE:
        return "missing"
    if error.errno in _BROKEN:
        return "damaged"
    raise error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise ConfigurationError(f"the lake file {path} belongs to another user: run this as that user") from error
    except OSError as error:
        raise StateBusy(f"the lake file {path} cannot be read just now ({error.strerror})") from error


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _footer(handle: int) -> str:
    size = os.fstat(handle).st_size
    trailer = os.pread(handle, _TRAILER, max(size - _TRAILER, 0))
    length = min(int.from_bytes(trailer[:4], "little"), size)
    return hashlib.sha256(os.pread(handle, length + _TRAILER, max(size - length - _TRAILER, 0))).hexdigest()
