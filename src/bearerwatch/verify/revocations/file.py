"""Revocations in a file: one JSON object a line, replaced as a whole by whoever writes it.

``bearerwatch revoke --to file:/path`` writes it; so may anything else: a mounted ConfigMap, a
configuration management, an editor. A symbolic link is followed.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import unquote

from bearerwatch._draft import drafted
from bearerwatch.errors import ConfigurationError
from bearerwatch.verify.revocations._entry import Revocation, collect, dump, in_force, lines, merge, parse
from bearerwatch.verify.revocations._lock import alone
from bearerwatch.verify.revocations._source import Found, SourceLost

__all__ = ["File", "open_ledger", "open_source"]

MAX_BYTES = 512 << 20
"""Bytes of a file that is read: a thousand tokens take some 200 kB."""
_PIECE = 1 << 18
_EVERY = 0.5
_SETTLED = 1.0
_LOCK_SECONDS = 10.0


def open_source(url: str) -> File:
    """The file that ``file:/path`` names.

    Raises:
        ConfigurationError: it names none.
    """
    scheme, _, path = url.partition(":")
    path = unquote(path.removeprefix("//localhost").removeprefix("//"))
    if scheme.lower() != "file" or not path.startswith("/") or "\0" in path:
        raise ConfigurationError("revocations in a file are named file:/path, with the whole path")
    return File(Path(path))


open_ledger = open_source


class File:
    """One file, read and written.

    Args:
        path: where it is; need not be there yet.
    """

    every = _EVERY

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._entries: dict[str, float] = {}
        self._settling = False

    def poll(self) -> Found | None:
        """The list if the file changed.

        What is new is in force at once. What is missing is let go of only once the file has stood still for a second:
        somebody may be amid writing it.

        Raises:
            SourceLost: it is not there, cannot be read, or anybody may write it.
        """
        try:
            with self._open() as handle:
                status = os.fstat(handle)
                seen = (status.st_ino, status.st_mtime_ns, status.st_size)
                if seen == self._seen and not self._settling:
                    return None
                _check(status)
                entries, refused = collect(lines(_pieces(handle)), time.time())
        except OSError as error:
            raise SourceLost(_advice(error)) from None
        now = time.time()
        missing = {token_id: until for token_id, until in self._entries.items() if token_id not in entries}
        missing = {token_id: until for token_id, until in missing.items() if until > now}
        still = seen == self._seen and self._settling  # seen so the last time, half a second ago
        self._settling = bool(missing) and not (still and abs(now - status.st_mtime) >= _SETTLED)
        if self._settling:
            entries |= missing
        self._seen, self._entries = seen, entries
        return Found(entries, refused)

    def add(self, entries: Sequence[Revocation]) -> int:
        """See :class:`~bearerwatch.verify.revocations.Ledger`.

        Raises:
            BearerwatchError: somebody else has been writing it for ten seconds.
            OSError: it cannot be written.
        """
        with self._locked():
            others, known = self._parsed()
            changed = 0
            for entry in entries:
                before = known.get(entry.token_id)
                known[entry.token_id] = entry if before is None else merge(before, entry)
                changed += known[entry.token_id] != before
            if changed:
                self._write(others, known)
        return changed

    def remove(self, token_ids: Sequence[str]) -> int:
        """See :class:`~bearerwatch.verify.revocations.Ledger`; raises as :meth:`add` does."""
        with self._locked():
            others, known = self._parsed()
            gone = [token_id for token_id in dict.fromkeys(token_ids) if known.pop(token_id, None) is not None]
            if gone:
                self._write(others, known)
        return len(gone)

    def entries(self) -> list[Revocation]:
        """See :class:`~bearerwatch.verify.revocations.Ledger`; an absent file is an empty list."""
        _, known = self._parsed()
        return in_force(known.values())

    @contextmanager
    def _open(self) -> Iterator[int]:
        # not blocking: it may turn out to be a pipe, which would wait for a writer
        handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            yield handle
        finally:
            os.close(handle)

    def _parsed(self) -> tuple[list[bytes], dict[str, Revocation]]:
        """Lines that are none of ours, which are kept as they are, and the entries."""
        others: list[bytes] = []
        known: dict[str, Revocation] = {}
        try:
            with self._open() as handle:
                _check(os.fstat(handle))
                data = b"".join(_pieces(handle))
        except FileNotFoundError:
            return others, known
        for line in data.removesuffix(b"\n").split(b"\n") if data else ():
            try:
                entry = parse(line.strip())
            except ValueError:
                others.append(line)
            else:
                before = known.get(entry.token_id)
                known[entry.token_id] = entry if before is None else merge(before, entry)
        return others, known

    def _locked(self) -> AbstractContextManager[None]:
        """One writer at a time. The lock is a file beside it, for the file itself is replaced."""
        return alone(self._path.with_name(f".{self._path.name}.lock"), _LOCK_SECONDS, str(self._path))

    def _write(self, others: Sequence[bytes], known: dict[str, Revocation]) -> None:
        text = b"".join(line + b"\n" for line in (*others, *map(dump, in_force(known.values()))))
        target = self._path.resolve()  # a link stays one
        # Fingerprints are keyed: who reads them learns no token. The application may be of another user than whoever
        # revokes, so a new file is readable; an existing one keeps its owner and mode.
        with drafted(target, 0o644) as handle:
            view = memoryview(text)
            while view:
                view = view[os.write(handle, view) :]
            _alike(handle, target)
            os.fsync(handle)
        folder = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _alike(handle: int, target: Path) -> None:
    """Give what is written the mode and, where we may, the owner of what it replaces."""
    try:
        status = target.stat()
    except FileNotFoundError:
        return
    os.fchmod(handle, stat.S_IMODE(status.st_mode))
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.fchown(handle, status.st_uid, status.st_gid)
        except PermissionError:
            return


def _check(status: os.stat_result) -> None:
    """Refuse what is no list.

    Raises:
        SourceLost: it is no ordinary file, is too large, or is for anybody to write.
    """
    if not stat.S_ISREG(status.st_mode):
        raise SourceLost("it is no ordinary file: name one")
    if status.st_size > MAX_BYTES:
        raise SourceLost(f"it has more than {MAX_BYTES >> 20} MB: 'bearerwatch revoke --list' says what is in it")
    if status.st_mode & stat.S_IWOTH:
        raise SourceLost("every user may write it, and so undo a revocation: chmod o-w it")


def _pieces(handle: int) -> Iterator[bytes]:
    left = MAX_BYTES  # it may grow while it is read
    while left > 0 and (piece := os.read(handle, min(left, _PIECE))):
        yield piece
        left -= len(piece)


def _advice(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; 'bearerwatch revoke' makes it"
    return f"{error.strerror}: mend its path, owner or mode"
