"""The gate: which lines of a chunk are worth the exact stage.

It may let through too much, never too little: with or without it the same is found, which a property test holds.
Everything that looks for tokens in files goes through here, so a faster gate is a change of this file alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain

from bearerwatch.context import live
from bearerwatch.redact._accel import anchor_scanner
from bearerwatch.redact.exact import ANCHORS

__all__ = ["Gate"]

_SEVEN_BIT = bytes(range(128)) + bytes(128)
"""Bytes past ASCII, which no anchor has, as NUL."""
# What redact.views undoes, as bytes: an anchor may come to light by it. 0xAD alone is a soft hyphen in Latin-1.
_NOISE = re.compile(
    rb"[%\\&\x1b\xad\xe2\xef](?:"
    rb"(?<=%)[0-9A-Fa-f]{2}"
    rb"|(?<=\\)(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[\"'\\/nrt ])"
    rb"|(?<=&)(?:[a-z]{2,4}|\#[0-9]{1,5}|\#[xX][0-9A-Fa-f]{1,4});"
    rb"|(?<=\x1b)\["
    rb"|(?<=\xad)"
    rb"|(?<=\xe2)(?:\x80[\x8b-\x8d]|\x81\xa0)"
    rb"|(?<=\xef)\xbb\xbf"
    rb")"
)
# Every byte as what it is to base64 and hex, of which redact.views looks at runs of 32 and more.
_ENCODING = bytes(
    ord("x") if byte < 128 and (chr(byte).isalnum() or chr(byte) in "_-+/") else 32 for byte in range(256)
)
_RUN = b"x" * 32


class Gate:
    """Lines that may hold a token: in which an anchor of any form occurs, or what may turn out to be one.

    Anchors are looked for by Hyperscan where that is installed, else by substring searches. One gate serves one
    thread.
    """

    def __init__(self) -> None:
        # An anchor that holds another one adds nothing.
        anchors = [one for one in ANCHORS if not any(other != one and other in one for other in ANCHORS)]
        self._scan = anchor_scanner(anchors)
        self._literals = [anchor.encode() for anchor in anchors]

    def __call__(self, chunk: bytes) -> Iterator[tuple[int, int]]:
        """Start and end of each line of *chunk* that may hold a token, in order; the end is before the line feed."""
        if live:  # tokens known by value are told by no anchor
            return _every(chunk)
        scan = self._scan
        anchored = self._search(chunk) if scan is None else _scanned(chunk, scan)
        return _around(chunk, sorted(chain(anchored, _noisy(chunk), _encoded(chunk))))

    def _search(self, chunk: bytes) -> Iterator[int]:
        low = chunk.lower()  # of bytes: ASCII alone, so offsets stay
        for anchor in self._literals:
            yield from _once_a_line(chunk, low, anchor)


def _scanned(chunk: bytes, scan: Callable[[str], list[tuple[int, int]]]) -> Iterator[int]:
    plain = chunk if chunk.isascii() else chunk.translate(_SEVEN_BIT)
    return (start for _, start in scan(plain.decode("ascii")))


def _noisy(chunk: bytes) -> Iterator[int]:
    found = _NOISE.search(chunk)
    while found is not None:
        yield found.start()
        following = chunk.find(b"\n", found.start())
        found = _NOISE.search(chunk, following) if following >= 0 else None


def _encoded(chunk: bytes) -> Iterator[int]:
    return _once_a_line(chunk, chunk.translate(_ENCODING), _RUN)


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
