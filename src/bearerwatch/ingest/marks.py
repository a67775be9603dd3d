"""Which log a file is, told by how it begins: so it is known again when it was renamed, copied or compressed.

How far a log was read is remembered under a hash of its first 4,096 bytes, or of all that was read if that is less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b

from sqlalchemy import Connection

from bearerwatch.store import offsets
from bearerwatch.store.state import State

__all__ = ["HEAD_BYTES", "Marks", "same_beginning"]

HEAD_BYTES = 4_096
"""How much of a file's beginning is looked at, in bytes."""
_MOST = 4_000
_DAY = len("2026-01-01.")
_END = _DAY + 32


def _hash(head: bytes) -> str:
    return blake2b(head, digest_size=16, person=b"bearerwatch log").hexdigest()


def _name(path: str) -> str:
    return blake2b(path.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()


def same_beginning(head: bytes, other: bytes, offset: int) -> bool:
    """Whether *head* is that of the log which begins with *other*, and of which *offset* bytes were read."""
    length = min(HEAD_BYTES, offset) or len(other)
    return length > 0 and len(head) >= length and head[:length] == other[:length]


class Marks:
    """How far the logs of one source were read.

    Args:
        source: whose.
        state: where it is remembered.

    Raises:
        StateBusy: it cannot be read just now.
    """

    def __init__(self, source: str, state: State) -> None:
        self.source = source
        with state.read() as conn:
            known = offsets.load(conn, source)
        self._offsets = {segment: offset for (of, segment), offset in known.items() if of == source}
        self._by_hash = {segment[_DAY:_END]: segment for segment in self._offsets}

    def __bool__(self) -> bool:
        return bool(self._offsets)

    def knows(self, path: str) -> bool:
        """Whether a log of that name was read."""
        return any(segment[_END + 1 :] == _name(path) for segment in self._offsets)

    def find(self, head: bytes) -> tuple[str, int] | None:
        """The segment and the offset of the log that begins with *head*, if it was read before."""
        lengths = {min(HEAD_BYTES, offset) for offset in self._offsets.values()}
        for length in sorted((length for length in lengths if 0 < length <= len(head)), reverse=True):
            segment = self._by_hash.get(_hash(head[:length]))
            if segment is not None and min(HEAD_BYTES, self._offsets[segment]) == length:
                return segment, self._offsets[segment]
        return None

    def segment(self, head: bytes, offset: int, before: str | None, path: str) -> str | None:
        """What the log is remembered as at *offset*; ``None`` if *head* is not all that takes.

        Args:
            head: how it begins.
            offset: how far it was read, in bytes.
            before: what it was remembered as until now.
            path: what it is called.
        """
        length = min(HEAD_BYTES, offset)
        if len(head) < length:
            return None
        day = datetime.now(UTC).strftime("%Y-%m-%d.") if before is None else before[:_DAY]
        return f"{day}{_hash(head[:length])}.{_name(path)}"

    def save(self, tx: Connection, moved: Mapping[str, int], forget: Iterable[str]) -> None:
        """Write offsets by segment in transaction *tx*, and forget segments, and the oldest if there are very many."""
        gone = set(forget)
        spare = len(self._offsets) + len(moved) - _MOST
        if spare > 0:
            gone |= set(sorted(self._offsets.keys() - moved.keys())[: spare + _MOST // 10])
        offsets.forget(tx, [(self.source, segment) for segment in gone - moved.keys()])
        offsets.save(tx, {(self.source, segment): offset for segment, offset in moved.items()})

    def saved(self, moved: Mapping[str, int], forget: Iterable[str]) -> None:
        """What :meth:`save` wrote is durable."""
        for segment in set(forget) - moved.keys():
            self._offsets.pop(segment, None)
            self._by_hash.pop(segment[_DAY:_END], None)
        self._offsets.update(moved)
        self._by_hash.update((segment[_DAY:_END], segment) for segment in moved)
