"""A stream passed on without its tokens, as it comes."""

from __future__ import annotations

from collections.abc import Callable

from bearerwatch import _guard
from bearerwatch.leaks.gate import FIRST, Gate
from bearerwatch.leaks.marks import cleaned
from bearerwatch.leaks.pieces import Piece, pieces
from bearerwatch.leaks.rewrite import Writer
from bearerwatch.leaks.scan import Hit, Scanner
from bearerwatch.redact.logging import PLACEHOLDER

__all__ = ["Filter"]


class Filter:
    """Reads to the end, and writes what comes without tokens.

    Args:
        write: takes all that can be written, whenever there is something.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.found = 0
        """Tokens so far."""

    def __call__(self, fill: Callable[[memoryview], int]) -> None:
        """Pass on what *fill* reads, as ``readinto1`` does: as much as is there, and 0 at the end."""
        scanner = Scanner(Gate(FIRST), clean=cleaned)
        parts: list[bytes | memoryview] = []
        write = Writer(parts.append)
        for piece in pieces(fill):
            hits = self._scan(scanner, piece)
            self.found += sum(len(hit.leaks) for hit in hits)
            write(piece, hits)
            self._write(b"".join(parts))  # at once, so that no line of another writer comes between
            parts.clear()

    def _scan(self, scanner: Scanner, piece: Piece) -> list[Hit]:
        try:
            return scanner(piece)
        except Exception as error:  # noqa: BLE001 - host boundary: who logs through this is not cut off because of us
            _guard.swallowed("redaction of a stream", error)
            end = piece.data.endswith(b"\n") and b"\n"
            return [
                Hit(piece.offset + piece.fresh, piece.offset + piece.settled, PLACEHOLDER.encode() + (end or b""), [])
            ]
