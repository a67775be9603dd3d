"""The list as one process holds it, and the thread that keeps it fresh."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from time import time as now

from msgspec import Struct

from bearerwatch import _guard
from bearerwatch.fingerprint import ring
from bearerwatch.verify.revocations._entry import TOKEN_ID
from bearerwatch.verify.revocations._source import Found, Source, SourceLost, open_source, where

__all__ = ["Held", "Revocations"]

_RETRY = 1.0
_FIRST_SECONDS = 1.0


class Held(Struct, frozen=True, kw_only=True):
    """How a list stands, for a health check."""

    entries: int
    refused: int
    """Lines of the source that were no revocation."""
    read_at: float | None
    """Unix time of the last look that succeeded; ``None`` if none has."""
    lost: str | None
    """Why the source cannot be read just now, or ``None``."""


class Revocations:
    """Fingerprints of tokens that are withdrawn; ``token_id in revocations`` is a look into a dict.

    Args:
        source: a URL, see :mod:`bearerwatch.verify.revocations`; a callable that opens a
            :class:`~bearerwatch.verify.revocations.Source`; or ``None`` for a list of this process alone.
        first_seconds: how long the first lookup of a process waits for the source, at most. :meth:`start` does that
            waiting where it hurts nobody.
        snapshot: a file to keep the last list in, which a process has that starts while the source is lost. Without one
            it has none.

    Nothing is read and no thread is there before the first lookup or :meth:`start`, and a forked child starts its own;
    until then it has what its parent knew. While the source is lost, the last list that was read stays in force.

    Raises:
        ConfigurationError: *source* names no source there is, or its library is not installed.
    """

    __slots__ = (
        "__weakref__",
        "_entries",
        "_first_seconds",
        "_local",
        "_lock",
        "_lost",
        "_open",
        "_read_at",
        "_ready",
        "_refused",
        "_run",
        "_snapshot",
        "_source",
        "_where",
    )

    def __init__(
        self,
        source: str | Callable[[], Source] | None = None,
        *,
        first_seconds: float = _FIRST_SECONDS,
        snapshot: Path | None = None,
    ) -> None:
        self._open: Callable[[], Source] | None
        if isinstance(source, str):
            url = source
            open_source(url)  # what is wrong with it is said now
            self._open, self._where = lambda: open_source(url), where(url)
        else:
            self._open, self._where = source, "the source"
        self._first_seconds = first_seconds
        self._snapshot = None
        if snapshot is not None:
            from bearerwatch.verify.revocations._snapshot import Snapshot  # noqa: PLC0415 - only where it is asked for

            self._snapshot = Snapshot(snapshot)
        self._entries: Mapping[str, float] = {}
        self._source: Mapping[str, float] = {}
        self._local: dict[str, float] = {}
        self._refused = 0
        self._read_at: float | None = None
        self._lost: str | None = None
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._ready = False
        _all.add(self)

    def __repr__(self) -> str:
        return f"Revocations({self._where!r}, {len(self._entries)} entries)"

    def __len__(self) -> int:
        """How many entries are held, those that may be forgotten by now included."""
        return len(self._entries)

    def __contains__(self, token_id: str | None) -> bool:
        """Whether the token with this fingerprint is withdrawn."""
        if not self._ready:
            self.start()
        until = self._entries.get(token_id)  # type: ignore[arg-type] # None is in no list
        return until is not None and until > now()

    def holds(self, token: str) -> bool:
        """Whether *token* is withdrawn, under whichever key of the ring, or exactly as it was presented."""
        if not self._ready:
            self.start()
        if not self._entries:
            return False
        keys = ring()
        return any(token_id in self for token_id in keys.all_ids(token)) or keys.presented_id(token) in self

    @property
    def ready(self) -> bool:
        """Whether the first list of this process was waited for."""
        return self._ready

    def held(self) -> Held:
        """How the list stands."""
        return Held(entries=len(self._entries), refused=self._refused, read_at=self._read_at, lost=self._lost)

    def revoke(self, *token_ids: str, until: float | None = None) -> None:
        """Withdraw tokens in this process, at once; the source is not told.

        Args:
            token_ids: their fingerprints.
            until: Unix time in seconds when they may be forgotten, or ``None``.

        Raises:
            ValueError: one is no whole fingerprint. It is not repeated, for it may be a token.
        """
        if not all(map(TOKEN_ID.fullmatch, token_ids)):
            raise ValueError("that is no whole fingerprint: make one with bearerwatch.fingerprint(token)")
        at = now()
        with self._lock:
            kept = {name: end for name, end in self._local.items() if end > at}
            self._local = {**kept, **dict.fromkeys(token_ids, inf if until is None else until)}
            self._put(self._source)

    def restore(self, *token_ids: str) -> None:
        """Take back what :meth:`revoke` has done in this process."""
        with self._lock:
            for token_id in token_ids:
                self._local.pop(token_id, None)
            self._put(self._source)

    def start(self) -> None:
        """Begin to keep the list fresh, and wait for the first one. Does nothing if that was done.

        It waits ``first_seconds`` at most; should the source not have answered by then, the list is what was known
        before, and follows as soon as there is one.
        """
        if self._open is None:
            self._ready = True
            return
        with self._lock:
            if self._run is None:
                self._run = _Run(self, self._open)
                self._run.start()
            run = self._run
        if not run.first.wait(self._first_seconds) and not self._ready:
            self.missed(f"it has not answered within {self._first_seconds:g} s (uWSGI needs enable-threads)")
        self._ready = True

    def close(self) -> None:
        """End the thread. The list stays as it is, and the next lookup begins anew."""
        with self._lock:
            run, self._run = self._run, None
            self._ready = False
        if run is not None:
            run.stopping.set()
            run.join(_RETRY)

    def forked(self) -> None:
        """In a child process: the thread was the parent's, and the lock may have been held."""
        self._lock = threading.Lock()
        self._run = None
        self._ready = False

    def _put(self, source: Mapping[str, float]) -> None:
        self._source = source
        self._entries = {**source, **self._local} if self._local else source

    def took(self, found: Found | None) -> None:
        """What a look brought: a new list, or nothing new."""
        self._read_at = now()
        if found is not None:
            with self._lock:
                self._put(found.entries)
            if found.refused and found.refused != self._refused:
                _guard.say(f"revocations: {found.refused} lines of {self._where} are none and were passed over")
            self._refused = found.refused
            if self._snapshot is not None:
                self._snapshot.save(found.entries)
        if self._lost is not None:
            self._lost = None
            _guard.say(f"revocations: {self._where} can be read again; {len(self._source)} tokens are withdrawn")

    def missed(self, why: str) -> None:
        """A look failed. It is said once, and again when the reason is another one."""
        if self._snapshot is not None and self._read_at is None and not self._source:
            with self._lock:
                self._put(self._snapshot.load())
        if why != self._lost:
            kept = (
                "no list was read yet, so no token is refused as withdrawn"
                if self._read_at is None and not self._source
                else f"the last one, with {len(self._source)} tokens, stays in force"
            )
            _guard.say(f"revocations: {self._where} cannot be read: {why}. Meanwhile {kept}")
        self._lost = why


class _Run(threading.Thread):
    """Looks at the source until told to stop, or until nobody has the list any more."""

    def __init__(self, revocations: Revocations, open_: Callable[[], Source]) -> None:
        super().__init__(name="bearerwatch-revocations", daemon=True)
        self._revocations = weakref.ref(revocations)
        self._open = open_
        self.stopping = threading.Event()
        self.first = threading.Event()
        """The first look is over, with or without success."""

    def run(self) -> None:
        """Look now and then."""
        source: Source | None = None
        pause = _RETRY
        while not self.stopping.is_set():
            try:
                if source is None:
                    source = self._open()
                    pause = min(source.every, _RETRY)
                found = source.poll()
            except Exception as error:  # noqa: BLE001 - whatever a client library raises, the list stays in force
                if not self._told(error):
                    return
                if not isinstance(error, SourceLost):
                    source = None
            else:
                revocations = self._revocations()
                if revocations is None:
                    return
                if not self.stopping.is_set():
                    revocations.took(found)
                del revocations, found
            self.first.set()
            self.stopping.wait(pause)

    def _told(self, error: Exception) -> bool:
        """Hand on that a look failed; says whether anybody still has the list."""
        revocations = self._revocations()
        if revocations is None:
            return False
        # only of ours the text is known to hold no credential
        why = str(error) if isinstance(error, SourceLost) else f"{type(error).__name__}: see what its URL names"
        revocations.missed(why)
        return True


_all: weakref.WeakSet[Revocations] = weakref.WeakSet()


def _after_fork() -> None:
    for revocations in list(_all):
        revocations.forked()


os.register_at_fork(after_in_child=_after_fork)
