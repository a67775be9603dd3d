"""The exact stage over a stream: which tokens stand where, and what the lines are without them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bearerwatch import _jws
from bearerwatch.fingerprint import fingerprint
from bearerwatch.leaks.gate import Gate
from bearerwatch.leaks.marks import token_of
from bearerwatch.leaks.pieces import Piece
from bearerwatch.redact.engine import Span, find
from bearerwatch.redact.live import PASSWORD
from bearerwatch.redact.spans import disjoint

__all__ = ["Hit", "Leak", "Scanner"]

_ENDS = b"\r"
_TRAILING = ".,:;!?|)]}"
"""What the end of a token is not made of, as far as one can tell; at the end of a window one cannot."""
_GOES_ON = re.compile(r"[^\s\"'<>]+")
_LATEST = 253402300799
"""9999-12-31T23:59:59Z: a later ``exp`` is no moment that can be printed."""

Clean = Callable[[str, int, int, list[Span]], str]
"""A text, a part of it and the spans in that part -> the part without them."""


class Leak(NamedTuple):
    """One token in a file. Nothing here tells the token."""

    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    offset: int
    """In the unpacked file, in bytes."""
    length: int
    """In bytes."""
    kind: str
    fingerprint: str | None
    """``None`` for a password: its fingerprint would be an oracle for guessing it."""
    expires_at: int | None
    """Seconds since 1970, as a JWT says itself."""
    expired: bool | None
    """``None`` unless the token is a JWT that says when it expires."""


class Hit(NamedTuple):
    """A stretch of the stream that holds tokens."""

    start: int
    end: int
    """In the stream, in bytes."""
    new: bytes | None
    """The stretch without its tokens, if that was asked for."""
    leaks: list[Leak]


class Scanner:
    """Looks through the pieces of one stream, in order.

    Args:
        gate: says which lines to look at.
        clean: makes a line's new text, if it is wanted.
        now: seconds since 1970, for ``exp``.
    """

    def __init__(self, gate: Gate, *, clean: Clean | None = None, now: float | None = None) -> None:
        self._gate = gate
        self._clean = clean
        self._now = time.time() if now is None else now
        self._line = 1
        self._long: Piece | None = None
        self._before = 0  # characters of a long line before the window at hand
        self._done = 0
        self._open: str | None = None  # kind of a token that is longer than a window

    def __call__(self, piece: Piece) -> list[Hit]:
        """What is found in *piece*, and was not in the one before."""
        if piece.window:
            hits = list(self._window(piece))
        else:
            hits = list(self._lines(piece))
            self._line += piece.data.count(b"\n")
        if hits:
            self._done = hits[-1].end
        return hits

    def _lines(self, piece: Piece) -> Iterator[Hit]:
        data = piece.data
        line, counted = self._line, 0
        for start, stop in self._gate(data):
            end = stop - data.endswith(_ENDS, start, stop)
            text = data[start:end].decode("utf-8", "surrogateescape")
            spans = find(text)
            if spans:
                line += data.count(b"\n", counted, start)
                counted = start
                leaks = self._leaks(text, spans, piece.offset + start, line, 0)
                new = None if self._clean is None else self._encode(self._clean(text, 0, len(text), spans))
                yield Hit(piece.offset + start, piece.offset + end, new, leaks)

    def _window(self, piece: Piece) -> Iterator[Hit]:
        if self._long is not None:
            passed = self._long.data[: piece.offset - self._long.offset]
            self._before += len(passed.decode("utf-8", "surrogateescape"))
        ended = piece.settled == len(piece.data)
        if self._open is not None or any(True for _ in self._gate(piece.data)):
            yield from self._settle(piece)
        self._long = None if ended else piece
        if ended:
            self._before = 0
            self._line += piece.data.endswith(b"\n")

    def _settle(self, piece: Piece) -> Iterator[Hit]:
        data = piece.data.removesuffix(b"\n")
        data = data.removesuffix(b"\r") if len(data) < len(piece.data) else data
        text = data.decode("utf-8", "surrogateescape")
        begin = self._characters(data, max(piece.fresh, self._done - piece.offset))
        settled = self._characters(data, piece.settled)
        found = [span for span in find(text) if span.end > begin and span.start < settled]
        spans = [span._replace(start=max(span.start, begin)) for span in found]
        if self._open is not None:
            rest = _GOES_ON.match(text, begin)
            if rest is not None:
                spans = disjoint([Span(*rest.span(), self._open), *spans])
        goes_on = piece.settled < len(piece.data) and spans and not text[spans[-1].end :].strip(_TRAILING)
        self._open = spans[-1].kind if goes_on else None
        if spans:
            end = max(settled, spans[-1].end)
            leaks = self._leaks(text, spans, piece.offset, self._line, self._before)
            new = None if self._clean is None else self._encode(self._clean(text, begin, end, spans))
            yield Hit(piece.offset + self._bytes(text, begin), piece.offset + self._bytes(text, end), new, leaks)

    def _leaks(self, text: str, spans: list[Span], offset: int, line: int, before: int) -> list[Leak]:
        leaks = []
        for span in spans:
            start, kind, found = span.start, span.kind, text[span.start : span.end]
            token = token_of(span, found)
            expires_at = None if kind == PASSWORD else _expiry(token)
            leaks.append(
                Leak(
                    line,
                    before + start + 1,
                    offset + self._bytes(text, start),
                    self._bytes(found, len(found)),
                    kind,
                    None if kind == PASSWORD else fingerprint(token),
                    expires_at,
                    None if expires_at is None else expires_at <= self._now,
                )
            )
        return leaks

    def _encode(self, text: str) -> bytes:
        return text.encode("utf-8", "surrogateescape")

    def _bytes(self, text: str, characters: int) -> int:
        return characters if text.isascii() else len(self._encode(text[:characters]))

    def _characters(self, data: bytes, length: int) -> int:
        return len(data[:length].decode("utf-8", "surrogateescape"))


def _expiry(token: str) -> int | None:
    jws = _jws.parse(token)
    value = None if jws is None else jws.claims.get("exp")  # NumericDate (RFC 7519 §4.1.4)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        return None
    return int(value)
