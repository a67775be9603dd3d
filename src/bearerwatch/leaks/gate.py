"""The gate: which lines of a chunk are worth the exact stage.

It may let through too much, never too little: with or without it the same is found, which a property test holds.
Everything that looks for tokens in files goes through here, so a faster gate is a change of this file alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from bearerwatch.context import live
from bearerwatch.redact._accel import anchor_scanner
from bearerwatch.redact.exact import ANCHORS
from bearerwatch.redact.patterns import LONG
from bearerwatch.redact.views import undone

__all__ = ["Gate"]

_SEVEN_BIT = bytes(range(128)) + bytes(128)
"""Bytes past ASCII, which no anchor has, as NUL."""


def _kind(byte: int) -> int:
    if byte >= 128 or chr(byte) in "%\\&\x00\x1b":
        return ord("!")
    if chr(byte).isalnum() or chr(byte) in "_-":
        return ord("x")
    return ord("y") if chr(byte) in "+/" else ord(" ")


# Every byte as what it is to redact.gate and redact.views: a character of base64url, one that standard base64 has
# besides, what may stand for something else, or another.
_KINDS = bytes(map(_kind, range(256)))
_NOISE = (b"#0", b"^[")
"""What may stand for something else as well, though none of its bytes does alone."""
_ENCODED = b"x" * 32
"""A run that may be base64 or hex of another text."""
_MARKED = b"x" * 20
"""No token that is told by its issuer's mark alone is shorter."""
_KEY = "kty"
"""In every JSON Web Key (RFC 7517 §4.1), whose private members have names of one or two letters."""


class Gate:
    """Lines that may hold a token: in which an anchor of any form occurs, or what may turn out to hold one.

    Anchors are looked for by Hyperscan where that is installed, else by substring searches. One gate serves one
    thread.
    """

    def __init__(self) -> None:
        every = (*ANCHORS, _KEY)
        # An anchor that holds another one adds nothing.
        anchors = [one for one in every if not any(other != one and other in one for other in every)]
        self._scan = anchor_scanner(anchors)
        self._words = [anchor.encode() for anchor in anchors if anchor not in LONG]
        self._marks = [anchor.encode() for anchor in anchors if anchor in LONG]

    def __call__(self, chunk: bytes, encoding: str = "utf-8") -> Iterator[tuple[int, int]]:
        """Start and end of each line of *chunk* that may hold a token, in order; the end is before the line feed.

        Args:
            chunk: whole lines.
            encoding: as what they will be read.
        """
        if live:  # tokens known by value are told by no anchor
            return _every(chunk)
        scan = self._scan
        kinds = chunk.translate(_KINDS)
        anchored = self._search(chunk, kinds) if scan is None else _scanned(chunk, scan)
        encoded = _once_a_line(chunk, kinds.replace(b"y", b"x"), _ENCODED)
        return _around(chunk, sorted(chain(anchored, encoded, _noisy(chunk, kinds, encoding))))

    def _search(self, chunk: bytes, kinds: bytes) -> Iterator[int]:
        low = chunk.lower()  # of bytes: ASCII alone, so offsets stay
        for word in self._words:
            yield from _once_a_line(chunk, low, word)
        lines = list(_around(chunk, list(_once_a_line(chunk, kinds, _MARKED))))
        together = b"\n".join(low[start:end] for start, end in lines)
        marks = [mark for mark in self._marks if mark in together]
        for start, end in lines if marks else ():
            if any(low.find(mark, start, end) >= 0 for mark in marks):
                yield start


def _scanned(chunk: bytes, scan: Callable[[str], list[tuple[int, int]]]) -> Iterator[int]:
    plain = chunk if chunk.isascii() else chunk.translate(_SEVEN_BIT)
    return (start for _, start in scan(plain.decode("ascii")))


def _noisy(chunk: bytes, kinds: bytes, encoding: str) -> Iterator[int]:
    """Lines that mean something else than they say, so that a token may come to light in them."""
    places = chain(_once_a_line(chunk, kinds, b"!"), *(_once_a_line(chunk, chunk, noise) for noise in _NOISE))
    for start, end in _around(chunk, sorted(places)):
        if undone(chunk[start:end].decode(encoding, "surrogateescape")) is not None:
            yield start


def _once_a_line(chunk: bytes, view: bytes, wanted: bytes) -> Iterator[int]:
    """Where *wanted* stands in *view*, in which every byte has the place it has in *chunk*: first in each line."""
    at = view.find(wanted)
    while at >= 0:
        yield at
        following = chunk.find(b"\n", at)
        at = view.find(wanted, following) if following >= 0 else -1


def _around(chunk: bytes, places: list[int]) -> Iterator[tuple[int, int]]:
    done = -1
    for at in places:
        if at >= done:
            start = chunk.rfind(b"\n", 0, at) + 1
            done = chunk.find(b"\n", at)
            if done < 0:
                done = len(chunk)
            yield start, done


def _every(chunk: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(chunk):
        end = chunk.find(b"\n", start)
        if end < 0:
            end = len(chunk)
        yield start, end
        start = end + 1
