"""Revocations in Redis or Valkey: a hash of them, and a version that says when to read it anew.

Keys: ``{bearerwatch:revocations}`` maps token ids to lines of JSON, ``{bearerwatch:revocations}:version`` is drawn anew
with every change, in the same transaction. (A count would begin again in a server that lost everything, and be mistaken
for what was seen before.) The server must not evict them: ``maxmemory-policy noeviction`` or ``volatile-*``, for they
carry no expiry.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

from bearerwatch.errors import BearerwatchError, ConfigurationError
from bearerwatch.verify.revocations._entry import Revocation, collect, dump, in_force, merge, readable
from bearerwatch.verify.revocations._source import Found, SourceLost

__all__ = ["Redis", "open_ledger", "open_source"]

_KEY = "{bearerwatch:revocations}"
_VERSION = f"{_KEY}:version"
_EVERY = 0.5
_SECONDS = 2.0
_TRIES = 50
_PAGE = 1000
_MAX_BYTES = 512 << 20


def open_source(url: str) -> Redis:
    """What ``redis://host:port/database`` names; ``rediss`` is TLS, ``unix`` a socket, ``valkey`` and ``valkeys`` as
    ``redis``.

    Raises:
        ConfigurationError: it names no server, or redis-py is not installed.
    """  # noqa: D205 - the schemes belong together
    try:
        from redis import Redis as Client  # noqa: PLC0415 - an extra
        from redis.exceptions import RedisError  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError("revocations in Redis need redis-py: pip install 'bearerwatch[redis]'") from None
    scheme, colon, rest = url.partition(":")
    url = f"{scheme.lower().replace('valkey', 'redis')}{colon}{rest}"
    try:
        client = Client.from_url(
            url,
            socket_timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            health_check_interval=5,
            client_name="bearerwatch",
            decode_responses=False,
        )
    except (ValueError, TypeError, RedisError):
        raise ConfigurationError(
            "the URL of Redis cannot be read (it is not repeated, for it may hold a password): write "
            "redis://host:6379/0, rediss://host or unix:///path"
        ) from None
    return Redis(client)


open_ledger = open_source


class Redis:
    """One server, read and written.

    Args:
        client: of redis-py or valkey-py, with timeouts and undecoded answers.
    """

    every = _EVERY

    def __init__(self, client: Any) -> None:
        self._client = client
        self._seen: bytes | None = None

    def poll(self) -> Found | None:
        """The list if its version changed. One GET where it did not.

        Raises:
            SourceLost: the server does not answer, or has lost the list it had.
        """
        try:
            version = self._client.get(_VERSION)
            if version == self._seen and version is not None:
                return None
            too_large = self._size() > _MAX_BYTES
        except Exception as error:  # noqa: BLE001 - redis-py lets through what sockets, TLS and parsers raise
            raise SourceLost(_words(error)) from None
        if too_large:
            raise SourceLost(f"the list has more than {_MAX_BYTES >> 20} MB: see what is in {_KEY}, and who wrote it")
        try:
            # read first, then the list: should it change meanwhile, the next look finds another version
            entries, refused = collect((value for _, value in self._scan()), time.time())
        except Exception as error:  # noqa: BLE001 - redis-py lets through what sockets, TLS and parsers raise
            raise SourceLost(_words(error)) from None
        if version is None and self._seen is not None:
            raise SourceLost("the list that was there is gone: was the server emptied? Revoke once more what counts")
        self._seen = version
        return Found(entries, refused)

    def add(self, entries: Sequence[Revocation]) -> int:
        """See :class:`~bearerwatch.verify.revocations.Ledger`.

        Raises:
            BearerwatchError: the server does not answer, or others keep changing the list.
        """
        wanted = {entry.token_id: entry for entry in entries}

        def change(pipe: Any) -> int:
            old = readable(value for value in pipe.hmget(_KEY, list(wanted)) if value is not None)
            new = {name: merge(old[name], entry) if name in old else entry for name, entry in wanted.items()}
            new = {name: entry for name, entry in new.items() if old.get(name) != entry}
            past = self._past()
            pipe.multi()
            if new:
                pipe.hset(_KEY, mapping={name: dump(entry) for name, entry in new.items()})
            if past - new.keys():
                pipe.hdel(_KEY, *(past - new.keys()))
            if new:
                pipe.set(_VERSION, secrets.token_hex(8))
            return len(new)

        return self._transaction(change)

    def remove(self, token_ids: Sequence[str]) -> int:
        """See :class:`~bearerwatch.verify.revocations.Ledger`; raises as :meth:`add` does."""

        def change(pipe: Any) -> int:
            names = list(dict.fromkeys(token_ids))
            held = pipe.hmget(_KEY, names)
            gone = [name for name, value in zip(names, held, strict=True) if value is not None]
            pipe.multi()
            if gone:
                pipe.hdel(_KEY, *gone)
                pipe.set(_VERSION, secrets.token_hex(8))
            return len(gone)

        return self._transaction(change)

    def entries(self) -> list[Revocation]:
        """See :class:`~bearerwatch.verify.revocations.Ledger`; raises as :meth:`add` does."""
        try:
            known = readable(value for _, value in self._scan())
        except Exception as error:  # noqa: BLE001 - as above
            raise BearerwatchError(_words(error)) from None
        return in_force(known.values())

    def _scan(self) -> Iterator[tuple[bytes, bytes]]:
        # page by page: a hundred thousand at once would keep the server from everybody else
        return iter(self._client.hscan_iter(_KEY, count=_PAGE))

    def _size(self) -> int:
        """Bytes of the list, every entry counted; 0 where the server does not say, or this user may not ask."""
        from redis.exceptions import ResponseError  # noqa: PLC0415 - an extra

        try:
            return int(self._client.memory_usage(_KEY, samples=0) or 0)
        except ResponseError:
            return 0

    def _past(self) -> set[str]:
        """Ids of entries that may be forgotten."""
        now = time.time()
        known = readable(value for _, value in self._scan())
        return {name for name, entry in known.items() if entry.until is not None and entry.until <= now}

    def _transaction(self, change: Any) -> int:
        from redis.exceptions import WatchError  # noqa: PLC0415 - an extra

        try:
            for _ in range(_TRIES):
                with self._client.pipeline() as pipe:
                    try:
                        pipe.watch(_KEY)
                        changed: int = change(pipe)
                        pipe.execute()
                    except WatchError:  # somebody else was quicker
                        continue
                    return changed
        except Exception as error:  # noqa: BLE001 - as above
            raise BearerwatchError(_words(error)) from None
        raise BearerwatchError("the list in Redis keeps changing: try it again")


def _words(error: Exception) -> str:
    """What is wrong, without the server's own words, which may repeat what it was sent."""
    name = type(error).__name__
    if name in {"AuthenticationError", "NoPermissionError", "AuthorizationError"}:
        return f"Redis refuses our user or password ({name}): mend BEARERWATCH_REVOCATIONS"
    if name == "ReadOnlyError":
        return "this Redis is a replica and takes no writes: name the primary"
    if isinstance(error, OSError) or name in {
        "ConnectionError",
        "TimeoutError",
        "BusyLoadingError",
        "ConnectionResetError",
    }:
        return f"Redis does not answer ({name}): see that it runs and can be reached"
    return f"Redis answers with an error ({name}): see its log"
