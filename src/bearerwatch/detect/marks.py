"""Keys and values as 64-bit numbers, and the arrays they come in.

Text is hashed by Python's own SipHash (PEP 456), whose key is drawn anew for every process: nobody can choose
addresses, paths or tokens that meet in one number, neither to hide behind each other nor to make work. By chance two
of 25,000 texts meet once in 10¹⁰ ticks.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Bools", "Floats", "Ints", "Marks", "Texts", "hashed", "mixed"]

Marks = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]

# With PYTHONHASHSEED=0 the key of SipHash is known: then a beginning that is not makes up for it.
_SALT = "" if sys.flags.hash_randomization else secrets.token_hex(16)
_SEED = np.uint64(secrets.randbits(64))
_ODD = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


def hashed(texts: Sequence[Any] | Texts) -> Marks:
    """One number for each text; None has one, too."""
    some = texts.tolist() if isinstance(texts, np.ndarray) else list(texts)
    if _SALT:
        some = [None if text is None else _SALT + text for text in some]
    return np.fromiter(map(hash, some), np.int64, len(some)).view(np.uint64)


def mixed(columns: Sequence[Marks]) -> Marks:
    """One number for the columns of each row, all its bits alike: the finalizer of SplitMix64, column by column."""
    out = np.full(len(columns[0]), _SEED)
    for column in columns:
        out ^= column
        out = (out ^ (out >> _SHIFTS[0])) * _ODD[0]
        out = (out ^ (out >> _SHIFTS[1])) * _ODD[1]
        out ^= out >> _SHIFTS[2]
    return out
