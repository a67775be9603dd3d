"""Reads the body of an HTTP request into lines, in bounded memory whatever is sent."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from bearerwatch.ingest.lines import HEAD, MAX_LINE, RawLine

__all__ = ["MAX_BODY", "MAX_INFLATED", "MAX_LINES", "BodyError", "Inflater", "LineSplitter"]

MAX_BODY = 5 << 20
"""Largest body as sent, in bytes."""
MAX_INFLATED = 50 << 20
"""Largest body after decompression, in bytes."""
MAX_LINES = 10_000
"""Most lines in one body."""

_PIECE = 256 << 10


class BodyError(Exception):
    """The body cannot be taken.

    Args:
        status: HTTP status that says so.
        detail: what is wrong and what to do.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Inflater:
    """Decompresses gzip (RFC 1952, several members allowed) by small pieces, so that a bomb is stopped early."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._fresh = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that *data* decompresses to.

        Raises:
            BodyError: it is not gzip.
        """
        try:
            while data:
                if self._member.eof:
                    self._member = zlib.decompressobj(wbits=31)
                self._fresh = False
                piece = self._member.decompress(data, _PIECE)
                if piece:
                    yield piece
                data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            while not self._fresh and not self._member.eof and (piece := self._member.decompress(b"", _PIECE)):
                yield piece
        except zlib.error:
            raise BodyError(400, "the body is not gzip: compress it, or leave out Content-Encoding") from None

    def finish(self) -> None:
        """There is no more.

        Raises:
            BodyError: something is missing.
        """
        if not self._member.eof:
            raise BodyError(400, "the gzip body is cut short: send it again")


class LineSplitter:
    """Splits pieces of text into lines. Of a line that is too long only the head is kept.

    Args:
        source: ``http:<key name>``.
        segment: what the client calls the segment the lines are from; may be empty.
        start: offset in the segment where the body begins, in bytes.
    """

    def __init__(self, source: str, segment: str = "", start: int = 0) -> None:
        self._source = source
        self._segment = segment
        self._partial = bytearray()
        self._dropped = 0
        self.end = start
        """Offset behind the last byte fed."""
        self.lines: list[RawLine] = []

    def feed(self, piece: bytes) -> None:
        """Take the next *piece*.

        Raises:
            BodyError: there are too many lines.
        """
        at = 0
        while (newline := piece.find(b"\n", at)) >= 0:
            self._hold(piece[at:newline])
            self.end += newline + 1 - at
            self._close(self.end)
            at = newline + 1
        self._hold(piece[at:])
        self.end += len(piece) - at

    def finish(self) -> None:
        """There is no more: what was held is the last line.

        Raises:
            BodyError: there are too many lines.
        """
        self._close(self.end + 1)

    def _hold(self, part: bytes) -> None:
        self._partial += part
        if len(self._partial) > MAX_LINE:
            self._dropped += len(self._partial) - HEAD
            del self._partial[HEAD:]

    def _close(self, end: int) -> None:
        line = bytes(self._partial)
        if self._dropped:
            whole = len(line) + self._dropped
            self.lines.append(RawLine(self._source, self._segment, end, line[:HEAD], whole))
        elif line.strip():
            self.lines.append(RawLine(self._source, self._segment, end, line))
        if len(self.lines) > MAX_LINES:
            raise BodyError(413, f"more than {MAX_LINES} lines: send them in several requests")
        self._partial.clear()
        self._dropped = 0
