"""Other readings of a text: percent-encoding, JSON and other escapes undone, as a token could hide in them.

A token that is escaped in a text shows only where at least one escape was undone, so of each reading only the
surroundings of those places are searched again.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["View", "views"]

_ROUNDS = 3
_AROUND = 64
"""Bytes searched on each side of an undone escape: more than any window or its base64."""


def _percent(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),))


def _escape(match: re.Match[bytes]) -> bytes:
    code = match[1] or match[2] or match[3]
    if code is None:
        return match[4]
    return chr(int(code, 16)).encode("utf-8", "replace") if int(code, 16) < 0x110000 else b""


def _entity(match: re.Match[bytes]) -> bytes:
    code = int(match[1]) if match[1] else int(match[2], 16)
    return chr(code).encode("utf-8", "replace") if code < 0x110000 else b""


def _nothing(_match: re.Match[bytes]) -> bytes:
    return b""


@dataclass(frozen=True, slots=True)
class _Reading:
    name: str
    marker: bytes
    pattern: re.Pattern[bytes]
    undo: Callable[[re.Match[bytes]], bytes]


_READINGS = (
    _Reading("percent-encoded", b"%", re.compile(rb"%([0-9A-Fa-f]{2})"), _percent),
    _Reading(
        "escaped",  # JSON \uXXXX and \/, Python and SQL \xXX, doubled backslashes
        b"\\",
        re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|U([0-9A-Fa-f]{8})|([\\/\"']))"),
        _escape,
    ),
    _Reading("entities", b"&", re.compile(rb"&#(?:([0-9]{1,7})|[xX]([0-9A-Fa-f]{1,6}));"), _entity),
    _Reading("styled", b"\x1b", re.compile(rb"\x1b\[[0-9;:?]*[ -/]*[@-~]"), _nothing),
    _Reading("folded", b"=", re.compile(rb"=\r?\n"), _nothing),
    _Reading("wide", b"\0", re.compile(rb"\0+"), _nothing),
)


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text."""

    name: str
    """How it was read; empty for the text as it stands."""
    text: bytes
    spans: tuple[tuple[int, int], ...]
    """Where to search: the whole text, or the surroundings of what was undone."""
    origin: Callable[[int], int]
    """Offset in this reading -> offset in the text as it stands."""
    fresh: Callable[[int, int], bool]
    """Whether anything undone by this very reading lies in [start, end); if not, the run was seen before."""


def views(text: bytes) -> Iterator[View]:
    """The text as it stands, then each reading that differs, undone again up to three times over."""
    current = View("", text, ((0, len(text)),), lambda offset: offset, lambda _start, _end: True)
    yield current
    for _ in range(_ROUNDS):
        before = current.text
        for reading in _READINGS:
            if reading.marker in current.text:
                undone = _undo(current, reading)
                if undone is not None:
                    current = undone
                    yield current
        if current.text is before:
            return


def _undo(view: View, reading: _Reading) -> View | None:
    pieces: list[bytes] = []
    # Where each undone escape ends, in the new text and in the old one.
    new_starts, new_ends, old_ends = array("Q"), array("Q"), array("Q")
    spans: list[tuple[int, int]] = []
    old = length = 0
    for match in reading.pattern.finditer(view.text):
        plain = reading.undo(match)
        pieces += (view.text[old : match.start()], plain)
        length += match.start() - old
        first = max(0, length - _AROUND)
        new_starts.append(length)
        length += len(plain)
        old = match.end()
        new_ends.append(length)
        old_ends.append(old)
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], length + _AROUND)
        else:
            spans.append((first, length + _AROUND))
    if not pieces:
        return None
    pieces.append(view.text[old:])

    def origin(offset: int) -> int:
        index = bisect_right(new_ends, offset) - 1
        return view.origin(offset if index < 0 else old_ends[index] + offset - new_ends[index])

    def fresh(start: int, end: int) -> bool:
        index = bisect_right(new_ends, start)
        return index < len(new_starts) and new_starts[index] < end

    name = reading.name if not view.name or view.name == reading.name else f"{view.name}, {reading.name}"
    return View(name, b"".join(pieces), tuple(spans), origin, fresh)
