"""Which requests have been told of, so that one which a gateway and a service both saw is counted once."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Told", "of_log"]

_MAX_SOURCES = 64
_PREFIX = "access:"


def of_log(source: str) -> bool:
    """Whether *source* is an access log."""
    return source.startswith(_PREFIX)


class Told:
    """Remembers request ids by source, the last *capacity* for certain and at most twice as many.

    The n-th line that a source has with some id repeats what is known if another source has told of that id n times.
    So a caller who sends an id that was seen before hides at most what was really told of: ids can be made up.

    Only 64-bit keyed hashes are kept (Python's own, seeded anew in each process).

    Args:
        before: pairs of source and request id that were told of already.
        capacity: how many to remember.
    """

    def __init__(self, before: Iterable[tuple[str, str]] = (), *, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._young: dict[int, int] = {}
        self._old: dict[int, int] = {}
        self._sources: list[str] = []
        for source, request_id in before:
            self(source, request_id)

    def __call__(self, source: str, request_id: str) -> bool:
        """Note that *source* tells of *request_id*; whether another has told of it as often, this time included."""
        if source not in self._sources and len(self._sources) < _MAX_SOURCES:
            self._sources.append(source)
        key = hash((source, request_id))
        count = self._count(key) + 1
        self._young[key] = count
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        if not of_log(source):
            return False
        return any(self._count(hash((other, request_id))) >= count for other in self._sources if other != source)

    def _count(self, key: int) -> int:
        found = self._young.get(key)
        return self._old.get(key, 0) if found is None else found
