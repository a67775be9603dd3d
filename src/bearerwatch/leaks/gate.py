"""The gate: which lines of a chunk are worth the exact stage.

It may let through too much, never too little: with or without it the same is found, which a property test holds.
Everything that looks for tokens in files goes through here, so a faster gate is a change of this file alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from bearerwatch.context import live
from bearerwatch.redact.exact import ANCHORS, BESIDES
from bearerwatch.redact.gate import LINES, PREFILTER
from bearerwatch.redact.patterns import LONG
from bearerwatch.redact.views import undone

__all__ = ["FIRST", "Gate"]

FIRST = 1 << 20
"""Bytes that are looked through sooner than Hyperscan is ready."""


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
_BEYOND = bytes(byte >= 128 for byte in range(256))
"""Of every byte whether it is none of ASCII's."""


class Gate:
    """Lines that may hold a token.

    By Hyperscan, where that is installed: those in which a form matches, or something may turn out to hold a token;
    else those with an anchor. One gate serves one thread.

    Args:
        first: bytes to look through without Hyperscan: to compile what it takes would last longer.
    """

    def __init__(self, first: int = 0) -> None:
        PREFILTER.held = first > 0
        self._left = first
        self._scan = None if first else LINES.places()
        every = (*ANCHORS, *(word for word, _, _ in BESIDES))
        # An anchor that holds another one adds nothing; and lines beyond ASCII are let through anyway.
        anchors = [a for a in every if a.isascii() and not any(other != a and other in a for other in every)]
        self._words = [anchor.encode() for anchor in anchors if anchor not in LONG]
        self._marks = [anchor.encode() for anchor in anchors if anchor in LONG]

    def __call__(self, chunk: bytes) -> Iterator[tuple[int, int]]:
        """Start and end of each line of *chunk* that may hold a token, in order; the end is before the line feed.

        Args:
            chunk: whole lines.
        """
        if live:  # tokens known by value are told by no form
            return _every(chunk)
        if self._left > 0:
            self._left -= len(chunk)
            if self._left <= 0:
                PREFILTER.held = False  # where there is so much to read, some of it may be worth that, too
                self._scan = LINES.places()
        if self._scan is not None:
            found = self._scan(chunk)
            if not chunk.isascii():
                found += _once_a_line(chunk, chunk.translate(_BEYOND), b"\x01")
            return _around(chunk, sorted(found))
        kinds = chunk.translate(_KINDS)
        encoded = _once_a_line(chunk, kinds.replace(b"y", b"x"), _ENCODED)
        return _around(chunk, sorted(chain(self._search(chunk, kinds), encoded, _noisy(chunk, kinds))))

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


def _noisy(chunk: bytes, kinds: bytes) -> Iterator[int]:
    """Lines that mean something else than they say, so that a token may come to light in them, or beyond ASCII."""
    noise = chain(_once_a_line(chunk, kinds, b"!"), *(_once_a_line(chunk, chunk, noise) for noise in _NOISE))
    for start, end in _around(chunk, sorted(noise)):
        line = chunk[start:end]
        if not line.isascii() or undone(line.decode("utf-8", "surrogateescape")) is not None:
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
        if at > done:  # a line feed is the end of the line before it
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
