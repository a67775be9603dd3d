"""Events as columns of numbers, which is what can be made by the hundred thousand; text comes when they are written.

Everything that seems to have a memory (whose token is refreshed when, where a phone is now) is a function of who, when
and the seed instead: so any part of a day can be made by itself, in bounded memory, and comes out the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["NONE", "SECOND", "Array", "Events", "blank", "chance", "joined", "mix", "pick"]

Array: TypeAlias = NDArray[Any]
Events: TypeAlias = NDArray[Any]
"""Rows of the columns below."""

SECOND = 1_000_000
"""Microseconds."""
NONE = -1
"""In a column that is an index or an id: nothing."""

_COLUMNS: dict[str, tuple[str, int]] = {
    "ts": ("i8", 0),  # µs since 1970
    "arrive": ("i8", 0),  # µs since 1970: when the collector takes it
    "kind": ("i1", 0),  # index of vocabulary.KINDS, as are the following of the tables there
    "route": ("i2", NONE),
    "service": ("i1", 0),
    "object": ("i8", 0),  # number in the path
    "outcome": ("i1", NONE),
    "reason": ("i2", NONE),
    "status": ("i2", 200),
    "verified": ("?", 0),
    "duration": ("i4", 0),  # µs
    "token": ("i8", NONE),  # serial number of a token, see people.py
    "sent": ("i8", 0),  # 0: as issued; else which tampered copy of it
    "form": ("i1", NONE),  # index of FORMS: jwt, opaque, or too short to have an id
    "source": ("i1", NONE),
    "subject": ("i8", NONE),
    "client": ("i2", NONE),
    "expires": ("i8", NONE),  # seconds since 1970
    "address": ("i8", NONE),  # see geography.py
    "agent": ("i2", NONE),
    "request": ("u8", 0),  # two services that handle one request share it
    "number": ("u8", 0),  # an event's own
}
_TYPE = np.dtype([(name, kind) for name, (kind, _) in _COLUMNS.items()])
_BLANK = np.array([tuple(default for _, default in _COLUMNS.values())], dtype=_TYPE)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def blank(rows: int) -> Events:
    """So many events of which nothing is known yet."""
    return np.repeat(_BLANK, rows)


def joined(parts: Sequence[Events]) -> Events:
    """All of them, one behind the other."""
    return np.concatenate(parts) if parts else blank(0)


def mix(*values: Any) -> Array:
    """Numbers that look random and depend on *values* alone (SplitMix64's finaliser, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        state = np.zeros(1, np.uint64)
        for value in values:
            state = (np.asarray(value).astype(np.uint64) ^ state) + _GOLDEN
            state = (state ^ (state >> np.uint64(30))) * _FIRST
            state = (state ^ (state >> np.uint64(27))) * _SECOND
            state = state ^ (state >> np.uint64(31))
    return state


def chance(*values: Any) -> Array:
    """The same as fractions, 0 <= x < 1."""
    fractions: Array = (mix(*values) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return fractions


def pick(choices: int, *values: Any) -> Array:
    """The same as numbers below *choices*."""
    numbers: Array = (mix(*values) % np.uint64(choices)).astype(np.int64)
    return numbers
