"""A bounded memory of lines seen, to tell exact repeats."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

__all__ = ["Recent"]


class Recent:
    """Remembers at least the last *capacity* things, and at most twice as many and what came at once.

    Only 64-bit keyed hashes are kept (Python's own, seeded anew in each process), so nobody outside can
    make two lines collide. Chance makes one pair in 10**13 lines or so.

    Args:
        capacity: how many things to remember for certain.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._young: set[int] = set()
        self._old: set[int] = set()

    def seen(self, source: str, line: bytes) -> bool:
        """Whether this very line came from *source* before; it is remembered from now on."""
        key = hash((source, line))
        if key in self._young:
            return True
        again = key in self._old
        self._young.add(key)
        self._turn()
        return again

    def all_new(self, keys: Sequence[int]) -> bool:
        """Whether none of *keys*, see :meth:`keys`, came before or is there twice: only then all are remembered."""
        new = set(keys)
        if len(new) < len(keys) or not self._young.isdisjoint(new) or not self._old.isdisjoint(new):
            return False
        self._young |= new
        self._turn()
        return True

    def _turn(self) -> None:
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, set()

    @staticmethod
    def keys(source: str, lines: Iterable[bytes]) -> list[int]:
        """What *lines* of *source* are remembered as."""
        return list(map(hash, zip(itertools.repeat(source), lines, strict=False)))
