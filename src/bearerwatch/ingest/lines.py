"""What every way in hands to the decoder: one line and where it came from."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["HEAD", "MAX_LINE", "RawLine"]

MAX_LINE = 65_536
"""Longest line taken, in bytes, without its newline. An event with every field at its bound has under 20 kB."""

HEAD = 8_192
"""How much of an over-long line is kept, in bytes: what the quarantine needs, and no more."""


class RawLine(NamedTuple):
    """One line as it arrived."""

    source: str
    """``spool:<service>`` or ``http:<key name>``: the authenticated origin, never what the line says."""
    segment: str
    """File name of the segment, or what the client called it; may be empty over HTTP."""
    end: int
    """Offset in the segment just behind this line's newline, in bytes."""
    line: bytes
    """The line without its newline; only its head when it is too long."""
    length: int = -1
    """Length of the whole line in bytes if ``line`` is only its head, else -1."""

    @property
    def offset(self) -> int:
        """Where the line begins in its segment, in bytes."""
        return max(0, self.end - (len(self.line) if self.length < 0 else self.length) - 1)
