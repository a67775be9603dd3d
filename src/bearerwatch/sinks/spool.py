"""The spool: a folder of append-only JSON-lines segments, one a process.

No lock, no network and no thread in the request path: one ``write`` an event, on a file opened with
``O_APPEND``. A collector that is down costs the application nothing; an application that dies loses only
what the kernel had not been given.

A segment is created under a hidden name, locked (``flock``), and only then given its name, so that a
collector never takes a segment for abandoned before its writer holds it. Letting go of the lock seals it.
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import random
import threading
import time
import weakref
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from bearerwatch import _guard
from bearerwatch.sinks._encode import encode_line
from bearerwatch.sinks._overflow import Overflow

if TYPE_CHECKING:
    from pathlib import Path

    from bearerwatch.event import AuthEvent
    from bearerwatch.settings import Settings

__all__ = ["SpoolSink", "open_sink"]

_SEGMENT_BYTES = 16 << 20
_SEGMENT_SECONDS = 300.0
_GRACE = 5.0
"""Seconds a replaced segment stays open, for threads that are just writing to it."""
_RETRY = 1.0
_LOOK_AGAIN = 10.0
_PATIENCE = 1.0
"""Seconds an event waits for the first segment, which another thread is opening."""
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class SpoolSink:
    """Appends events to this process's segment in ``<spool>/<service>/``.

    Args:
        folder: the service's folder; created with mode 0700.
        quota: bytes waiting there past which like events are aggregated into counted ones.
    """

    def __init__(self, folder: Path, *, quota: int = 1 << 30) -> None:
        self._folder = folder
        self._quota = quota
        self._handle = -1
        self._written = 0
        self._torn = False
        self._seal_at = 0.0
        self._retired: list[tuple[float, int]] = []
        self._rotating = threading.Lock()
        self._overflow: Overflow | None = None
        self._seldom = _guard.Seldom()
        self.dropped = 0
        """Events lost because the spool could not be written."""
        _all.add(self)

    def send(self, event: AuthEvent) -> None:
        """Append one event with one ``write``. Never raises for a disk that fails: it counts and says so."""
        now = monotonic()
        if now >= self._seal_at or self._written >= _SEGMENT_BYTES:
            self._rotate(now)
        overflow = self._overflow
        if overflow is None:
            self._append(encode_line(event))
        else:
            for counted in overflow.take(event, now):
                self._append(encode_line(counted))

    def _append(self, line: bytes) -> None:
        handle = self._handle
        if handle < 0:
            self._lost(None)
            return
        # what a short write left is closed off, so that it spoils nothing but itself
        text = b"\n" + line if self._torn else line
        missing = len(text)
        try:
            for _ in range(2):
                done = os.write(handle, text)
                self._written += done
                missing = len(text) - done
                self._torn = missing > 0
                if not missing:
                    return
                # all but its newline is an event already: written again it would be two
                text = b"\n" if missing == 1 else b"\n" + line
        except OSError as error:
            if missing != 1:
                self._lost(error)
            return
        if missing != 1:
            self._lost(None)

    def _lost(self, error: OSError | None) -> None:
        """Count an event that could not be written and say so once a minute. The next one tries again."""
        self.dropped += 1
        now = time.monotonic()
        if self._seldom(now):
            why = os.strerror(error.errno) if error is not None and error.errno else "no room, or it cannot be opened"
            _guard.say(
                f"the spool {self._folder} cannot be written ({why}): {self.dropped} events lost so far, no request "
                "failed. Free space, or mend the folder's owner and mode; writing resumes by itself"
            )

    def _rotate(self, now: float) -> None:
        # another thread may be at it: then this event goes where the last one went, if there is such a place
        if not self._rotating.acquire(timeout=0 if self._handle >= 0 else _PATIENCE):
            return
        try:
            while self._retired and now - self._retired[0][0] > _GRACE:
                os.close(self._retired.pop(0)[1])
            if now < self._seal_at and self._written < _SEGMENT_BYTES:
                return
            if self._handle >= 0 and self._written == 0:
                self._seal_at = now + _SEGMENT_SECONDS
                if self._overflow is not None:
                    self._weigh()
                return
            try:
                fresh = self._open()
            except OSError as error:
                self._seal_at = now + _RETRY
                if self._written >= _SEGMENT_BYTES:
                    self._written = 0  # the old segment serves on
                if self._handle < 0:
                    self._lost(error)
                    self.dropped -= 1  # the event itself is counted where it is not written
                return
            self._retire(now)
            self._handle = fresh
            self._written = 0
            self._torn = False
            self._seal_at = now + _SEGMENT_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - only spreads load
            self._weigh()
        finally:
            self._rotating.release()

    def _weigh(self) -> None:
        """Begin to aggregate when more is waiting than the quota allows, or end it."""
        waiting = self._waiting()
        before = self._overflow
        if waiting <= self._quota:
            self._overflow = None
            if before is not None:
                for counted in before.flush():
                    self._append(encode_line(counted))
            return
        self._seal_at = monotonic() + _LOOK_AGAIN  # the collector may have caught up
        if before is None:
            self._overflow = Overflow()
            _guard.say(
                f"the spool {self._folder} holds {waiting} bytes, over its quota of {self._quota}: like events are "
                "now aggregated into counted ones. Is the collector running? See 'bearerwatch doctor'"
            )

    def _waiting(self) -> int:
        total = 0
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with suppress(OSError):  # the collector has just deleted it
                    total += entry.stat(follow_symlinks=False).st_size
        return total

    def _retire(self, now: float) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            self._retired.append((now, handle))

    def _open(self) -> int:
        _make_private(self._folder)
        if self._folder.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        stem = f"{time.time_ns() // 1000:x}-{os.getpid():x}-{os.urandom(6).hex()}"
        draft = self._folder / f".{stem}.tmp"
        handle = os.open(draft, _FLAGS, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(draft, self._folder / f"{stem}.jsonl")  # noqa: PTH104 - one syscall, both names ours
        except BaseException:
            os.close(handle)
            with suppress(OSError):
                draft.unlink()
            raise
        return handle

    def close(self) -> None:
        """Seal the segment. Sending again opens another."""
        with self._rotating:
            if self._overflow is not None and self._handle >= 0:
                for counted in self._overflow.flush():
                    self._append(encode_line(counted))
                self._overflow = None
            self._retire(0.0)
            while self._retired:
                os.close(self._retired.pop()[1])
            self._seal_at = 0.0
            self._written = 0

    def _forked(self) -> None:
        """In a child: the parent's segment is the parent's; draw a new one at the next event."""
        self._rotating = threading.Lock()
        self.close()
        self.dropped = 0


def _make_private(folder: Path) -> None:
    """Make *folder*, and what is missing above it, for this user alone."""
    if not folder.exists():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


_all: weakref.WeakSet[SpoolSink] = weakref.WeakSet()


def _after_fork() -> None:
    for sink in list(_all):
        sink._overflow = None  # noqa: SLF001 - what it holds is the parent's to write
        sink._forked()  # noqa: SLF001


def _at_exit() -> None:
    for sink in list(_all):
        sink.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


def open_sink(settings: Settings) -> SpoolSink:
    """The sink ``spool``."""
    return SpoolSink(settings.spool_dir / settings.service, quota=settings.spool_quota)
