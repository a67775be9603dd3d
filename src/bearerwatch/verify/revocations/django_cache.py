"""Revocations in a Django cache that all processes share: Redis, Memcached, the database or files.

One key names the present list, others hold it in pieces that Memcached takes (it refuses values over 1 MB). A cache may
forget: then the list that a process has read stays in force, but a new process finds none. Where that will not do, keep
the list in a file, in Redis or at the collector.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bearerwatch.errors import BearerwatchError, ConfigurationError
from bearerwatch.verify.revocations._entry import Revocation, collect, dump, in_force, merge, readable
from bearerwatch.verify.revocations._lock import alone
from bearerwatch.verify.revocations._source import Found, SourceLost

__all__ = ["DjangoCache", "open_ledger", "open_source"]

_KEY = "bearerwatch-revocations"
_LOCK = f"{_KEY}-lock"
_PIECE = 400_000
_MAX_PIECES = 1_000
_EVERY = 0.5
_LOCK_SECONDS = 10.0
_TRIES = 3


class _Index(Struct, frozen=True):
    """What the one key holds, as JSON: text, for a cache unpickles what is none."""

    id: str
    pieces: int


def open_source(url: str) -> DjangoCache:
    """The cache ``django-cache:alias`` names in ``settings.CACHES``.

    Raises:
        ConfigurationError: there is none, or it keeps nothing.
    """
    alias = url.partition(":")[2].strip("/") or "default"
    try:
        from django.core.cache import InvalidCacheBackendError, caches  # noqa: PLC0415 - only where it is asked for
        from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "revocations in a Django cache need Django: pip install 'bearerwatch[django]'"
        ) from None
    try:
        kind = type(caches[alias]).__name__
    except InvalidCacheBackendError:  # before its base
        raise ConfigurationError(f"settings.CACHES has no cache {alias!r}: write django-cache:<alias>") from None
    except ImproperlyConfigured:
        raise ConfigurationError("django-cache needs Django's settings: set DJANGO_SETTINGS_MODULE") from None
    if kind == "DummyCache":
        raise ConfigurationError(f"the cache {alias!r} keeps nothing (DummyCache): name another")
    return DjangoCache(lambda: caches[alias])  # of the thread that asks


def open_ledger(url: str) -> DjangoCache:
    """As :func:`open_source`, for another process to read.

    Raises:
        ConfigurationError: besides, it is a cache that no other process sees.
    """
    opened = open_source(url)
    if opened.kind == "LocMemCache":
        raise ConfigurationError("this cache is of one process alone (LocMemCache): nobody else would hear of it")
    return opened


class DjangoCache:
    """One cache, read and written.

    Args:
        cache: hands out the cache, one for each thread.
    """

    every = _EVERY

    def __init__(self, cache: Callable[[], Any]) -> None:
        self._cache = cache
        self._seen: str | None = None

    @property
    def kind(self) -> str:
        """The class of the cache."""
        return type(self._cache()).__name__

    def poll(self) -> Found | None:
        """The list if another is named. One key is read where it is the same.

        Raises:
            SourceLost: the cache cannot be read, or has forgotten the list it had.
        """
        from django.db import close_old_connections  # noqa: PLC0415 - a cache may be a table

        try:
            close_old_connections()
            named, lines = self._read(self._seen)
        except SourceLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a cache's client raises
            raise SourceLost(_words(error)) from None
        if lines is None:
            return None
        if named is None and self._seen is not None:
            raise SourceLost("the cache has forgotten the list: keep it where nothing is evicted, and revoke once more")
        self._seen = named
        return Found(*collect(lines, time.time()))

    def add(self, entries: Sequence[Revocation]) -> int:
        """See :class:`~bearerwatch.verify.revocations.Ledger`.

        Raises:
            BearerwatchError: the cache cannot be used, or somebody else has been writing for ten seconds.
        """

        def change(known: dict[str, Revocation]) -> int:
            changed: set[str] = set()
            for entry in entries:
                before = known.get(entry.token_id)
                known[entry.token_id] = entry if before is None else merge(before, entry)
                if known[entry.token_id] != before:
                    changed.add(entry.token_id)
            return len(changed)

        return self._change(change)

    def remove(self, token_ids: Sequence[str]) -> int:
        """See :class:`~bearerwatch.verify.revocations.Ledger`; raises as :meth:`add` does."""
        return self._change(lambda known: sum(known.pop(name, None) is not None for name in dict.fromkeys(token_ids)))

    def entries(self) -> list[Revocation]:
        """See :class:`~bearerwatch.verify.revocations.Ledger`; raises as :meth:`add` does."""
        try:
            return in_force(self._known().values())
        except SourceLost as lost:
            raise BearerwatchError(str(lost)) from None
        except Exception as error:  # noqa: BLE001 - as above
            raise BearerwatchError(_words(error)) from None

    def _known(self) -> dict[str, Revocation]:
        return readable(self._read(None)[1] or ())

    def _read(self, seen: str | None) -> tuple[str | None, list[bytes] | None]:
        """What the one key says, and the lines of its list; no lines if it says what was *seen*."""
        cache = self._cache()
        for _ in range(_TRIES):
            named = cache.get(_KEY)
            if named is None:
                return None, []
            if named == seen:
                return named, None
            index = _index(named)
            names = [f"{_KEY}-{index.id}-{number}" for number in range(index.pieces)]
            pieces = cache.get_many(names)
            if all(isinstance(pieces.get(name), str) for name in names):
                return named, [line.encode() for name in names for line in pieces[name].split("\n") if line]
            # else somebody has just written another: look again
        raise SourceLost("pieces of the list are missing: the cache evicts, give it more memory and revoke once more")

    def _change(self, change: Callable[[dict[str, Revocation]], int]) -> int:
        try:
            with self._locked():
                known = self._known()
                changed = change(known)
                if changed:
                    self._write(in_force(known.values()))
                return changed
        except BearerwatchError as error:
            raise BearerwatchError(str(error)) from None
        except Exception as error:  # noqa: BLE001 - as above
            raise BearerwatchError(_words(error)) from None

    def _write(self, entries: list[Revocation]) -> None:
        cache = self._cache()
        former = cache.get(_KEY)
        pieces: list[str] = []
        piece: list[str] = []
        size = 0
        for line in (dump(entry).decode() for entry in entries):
            if piece and size + len(line.encode()) >= _PIECE:
                pieces.append("\n".join(piece))
                piece, size = [], 0
            piece.append(line)
            size += len(line.encode()) + 1
        if piece:
            pieces.append("\n".join(piece))
        index = _Index(id=secrets.token_hex(8), pieces=len(pieces))
        for number, text in enumerate(pieces):
            cache.set(f"{_KEY}-{index.id}-{number}", text, timeout=None)
        cache.set(_KEY, msgspec.json.encode(index).decode(), timeout=None)
        if self._cache().get(_KEY) is None:
            raise BearerwatchError("the cache did not keep the list: see its settings")
        if former is not None:
            old = _index(former)
            cache.delete_many([f"{_KEY}-{old.id}-{number}" for number in range(old.pieces)])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time; who dies as one keeps the others out for ten seconds."""
        from django.core.cache.backends.filebased import FileBasedCache  # noqa: PLC0415 - as above

        cache, mine = self._cache(), secrets.token_hex(8)
        if isinstance(cache, FileBasedCache):  # whose add() looks first and writes then: two may both succeed
            folder = Path(cache._dir)  # noqa: SLF001 - it is called so in all versions of Django
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with alone(folder / f"{_LOCK}file", 2 * _LOCK_SECONDS, "the list"):
                yield
            return
        deadline = time.monotonic() + 2 * _LOCK_SECONDS
        while not cache.add(_LOCK, mine, timeout=int(_LOCK_SECONDS)):
            if time.monotonic() > deadline:
                raise BearerwatchError("the list is being written by somebody else: try it again")
            time.sleep(0.02)
        try:
            yield
        finally:
            if cache.get(_LOCK) == mine:
                cache.delete(_LOCK)


def _index(named: Any) -> _Index:
    try:
        index = msgspec.json.decode(named, type=_Index) if isinstance(named, str) else None
    except (msgspec.DecodeError, RecursionError):
        index = None
    if index is None or not 0 <= index.pieces <= _MAX_PIECES or len(index.id) > 32 or not index.id.isalnum():
        raise SourceLost(f"the cache holds something else under {_KEY}: delete it, and revoke once more")
    return index


def _words(error: Exception) -> str:
    """What is wrong, without the words of others, which may hold an address with a password."""
    return f"the cache fails with {type(error).__name__}: see that its server runs and can be reached"
