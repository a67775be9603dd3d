"""Which line of code tried to log a token: told once a minute and place, with how often it has since.

Redaction is below what makes events, so it knows of no event: whoever wants to be told registers with :func:`listen`.
"""

from __future__ import annotations

import atexit
import os
import re
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from bearerwatch import _guard
from bearerwatch.redact.engine import find, replaced
from bearerwatch.redact.live import PASSWORD

if TYPE_CHECKING:
    import logging

__all__ = ["Culprits", "Leak", "caught", "flush", "listen"]

EVERY = 60.0
"""Seconds between two tellings of one place."""
MOST = 1000
"""Places that are told of; those beyond are counted in ``bearerwatch.redact.logging.culprits()`` alone."""

_MARK = re.compile(r"\[token ((?:k[0-9a-f]{8}:[0-9a-f]{32}|short:[0-9]+))\]|\[password\]|\[redacted\]")
_OURS = "bearerwatch"


class Leak(NamedTuple):
    """A token that was about to be logged, and where."""

    logger: str
    file: str
    line: int
    times: int
    """How many records it was, since the place was last told of."""
    form: str | None = None
    """The form by which the token was told; see :mod:`bearerwatch.redact.patterns`. ``None`` if not looked at."""
    token_id: str | None = None
    """The token's fingerprint; ``None`` for a password, or if not looked at."""


class _Place:
    __slots__ = ("due", "held", "latest")

    def __init__(self) -> None:
        self.due = float("-inf")
        self.held = 0
        self.latest: deque[tuple[float, int | None]] = deque(maxlen=8)
        """When and in which thread the latest records were made: each handler brings a record here once more."""


class Culprits:
    """Tells a listener of places that log tokens, each at most once in so many seconds.

    Args:
        listener: told of each; what it raises is counted and goes no further.
        every: seconds.
        most: places that are kept in mind.
    """

    def __init__(self, listener: Callable[[Leak], None], *, every: float = EVERY, most: int = MOST) -> None:
        self._listener = listener
        self._every = every
        self._most = most
        self._lock = threading.RLock()  # a signal's handler may log amid this
        self._telling = threading.local()
        self._places: dict[tuple[str, str, int], _Place] = {}
        self._sweep_at = time.monotonic() + every

    def __call__(self, record: logging.LogRecord, changes: dict[str, Any]) -> None:
        """Redaction has changed *record*, in what *changes* says. Never raises, waits for nobody, logs nothing."""
        if record.name.partition(".")[0] == _OURS or getattr(self._telling, "now", False):
            return  # what a sink logs while it is told must not be told in turn
        try:
            count, overdue = self._due(record, changes)
            if count:
                place = (record.name, record.pathname, record.lineno)
                self._tell(Leak(*place, count, *_what(record, changes)))
            for leak in overdue:
                self._tell(leak)
        except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
            _guard.swallowed("telling of a leak", error)

    def flush(self) -> None:
        """Tell of whatever has been held back."""
        try:
            for leak in self._overdue(float("inf")):
                self._tell(leak)
        except Exception as error:  # noqa: BLE001 - as above
            _guard.swallowed("telling of a leak", error)

    def forget(self) -> None:
        """In a child process: what is held back is the parent's to tell."""
        self._lock = threading.RLock()
        self._telling = threading.local()
        self._places = {}

    def _due(self, record: logging.LogRecord, changes: dict[str, Any]) -> tuple[int, list[Leak]]:
        """How many records of its place are to be told of now, and other places whose time has come."""
        if not any(_MARK.search(str(change)) for change in changes.values()):
            return 0, []  # something was too large or deep to be shown: no token
        now = time.monotonic()
        with self._lock:
            place = self._place((record.name, record.pathname, record.lineno), now)
            made = (record.created, record.thread)
            if place is None or made in place.latest:
                return 0, []
            place.latest.append(made)
            place.held += 1
            count = 0
            if now >= place.due:
                count, place.held, place.due = place.held, 0, now + self._every
            if now < self._sweep_at:
                return count, []
            self._sweep_at = now + self._every
            return count, self._overdue(now)

    def _place(self, key: tuple[str, str, int], now: float) -> _Place | None:
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= self._most:
                self._places = {key: one for key, one in self._places.items() if one.held or one.due > now}
                if len(self._places) >= self._most:
                    return None
            place = self._places[key] = _Place()
        return place

    def _overdue(self, now: float) -> list[Leak]:
        found = []
        with self._lock:
            for key, place in list(self._places.items()):
                if place.held and now >= place.due:
                    found.append(Leak(*key, place.held))
                    place.held, place.due = 0, time.monotonic() + self._every
        return found

    def _tell(self, leak: Leak) -> None:
        self._telling.now = True
        try:
            self._listener(leak)
        finally:
            self._telling.now = False


def _what(record: logging.LogRecord, changes: dict[str, Any]) -> tuple[str | None, str | None]:
    """Form and fingerprint of the first token in what *record* was before."""
    for text in _texts(record, changes):
        for span in find(text)[:1]:
            if span.kind == PASSWORD:
                return span.kind, None
            mark = _MARK.match(replaced(text, [span]), span.start)
            return span.kind, mark[1] if mark is not None else None
    marks = (mark for change in changes.values() for mark in _MARK.finditer(str(change)))
    return "named", next((mark[1] for mark in marks if mark[1]), None)  # in a structure: its name alone told it


def _texts(record: logging.LogRecord, changes: dict[str, Any]) -> Iterator[str]:
    for key in changes:
        if key in ("msg", "args"):
            try:
                yield record.getMessage()
            except Exception:  # noqa: BLE001 - the caller's mistake, which logging reports
                yield f"{record.msg} {record.args}"
        elif key == "exc_text":
            yield record.exc_text or ""
            if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
                yield "".join(traceback.format_exception(*record.exc_info))
        elif key != "exc_info":
            yield f"{key}={record.__dict__.get(key)}"


_told: Culprits | None = None
_registered = False


def listen(listener: Callable[[Leak], None] | None) -> None:
    """Tell *listener* of places that log tokens from now on, in place of who was told before; ``None``: nobody."""
    global _told, _registered  # noqa: PLW0603
    before, _told = _told, None if listener is None else Culprits(listener)
    if before is not None:
        before.flush()
    if not _registered:  # not at import: at exit, what comes later goes first, and a sink has to be open still
        _registered = True
        atexit.register(flush)
        os.register_at_fork(after_in_child=_after_fork)


def caught(record: logging.LogRecord, changes: dict[str, Any]) -> None:
    """Redaction has changed *record*: tell, if there is somebody to be told and it is time."""
    if _told is not None:
        _told(record, changes)


def flush() -> None:
    """Tell of whatever has been held back; at exit this happens by itself."""
    if _told is not None:
        _told.flush()


def _after_fork() -> None:
    if _told is not None:
        _told.forget()
