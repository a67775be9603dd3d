"""What every way in hands to the decoder: one line and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["HEAD", "MAX_LINE", "RawLine", "Slice"]

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


@dataclass(slots=True)
class Slice:
    """Some lines of one segment that stand one behind the other, and where they came from."""

    source: str
    segment: str
    start: int
    """Offset in the segment where the first of them begins, in bytes."""
    lines: list[bytes]
    """The lines without their newlines. Of one that is too long nothing: see :attr:`raws`."""
    _raws: list[RawLine] = field(default_factory=list)

    @classmethod
    def of(cls, raws: list[RawLine]) -> Slice:
        """At least one line of one segment, wherever they stand in it."""
        lines = [raw.line if raw.length < 0 else b"" for raw in raws]
        return cls(raws[0].source, raws[0].segment, raws[0].offset, lines, raws)

    @property
    def raws(self) -> list[RawLine]:
        """The same lines one by one."""
        if not self._raws:
            end = self.start
            for line in self.lines:
                end += len(line) + 1
                self._raws.append(RawLine(self.source, self.segment, end, line))
        return self._raws
