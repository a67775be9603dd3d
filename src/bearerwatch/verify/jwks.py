"""The keys that an issuer publishes: fetched once, kept, fetched anew in the background (RFC 7517 §5, RFC 8414).

Requests wait for the network only while no key has ever been there. One thread at a time asks the issuer, whoever
wants to know; it lives as long as the keys are used.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import ssl
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from bearerwatch import _guard
from bearerwatch.errors import ConfigurationError
from bearerwatch.verify import _strict
from bearerwatch.verify._cached import CachedKeys
from bearerwatch.verify._fetch import Fetched, FetchError, check_url, fetch
from bearerwatch.verify.key import Key
from bearerwatch.verify.keys import KeysUnavailable, Published, published

__all__ = ["Jwks", "JwksState"]

_LOG = logging.getLogger("bearerwatch")
_MAX_WAITING = 16
_METADATA = frozenset({"openid-configuration", "oauth-authorization-server"})


class JwksState(NamedTuple):
    """How it is with an issuer's keys."""

    keys: int
    """How many can be used."""
    left_out: Mapping[str, int]
    """Of those last published, how many cannot, by a word; see :func:`~bearerwatch.verify.keys.published`."""
    age: float | None
    """Seconds since they were fetched; ``None`` without any."""
    requests: int
    """How often the issuer was asked by this process."""
    failing: int
    """How often in a row that has failed."""
    failure: str | None
    """Why it last failed, in a word; ``None`` since it succeeded."""


class _Flight:
    """One time of asking, which any number may wait for."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._told: list[Any] = []
        self._lock = threading.Lock()

    def then(self, tell: Any) -> None:
        """Call *tell* when it is over, from whatever thread."""
        with self._lock:
            if not self.over.is_set():
                self._told.append(tell)
                return
        tell()

    def end(self) -> None:
        with self._lock:
            self.over.set()
        for tell in self._told:
            tell()


class Jwks:
    """A :class:`~bearerwatch.verify.keys.KeySource` of what a URL publishes. Nothing is fetched before it is needed.

    Args:
        url: of the JWK Set; https, or http on loopback.
        ttl: seconds the keys are used where ``Cache-Control`` does not say; what it says holds within *min_ttl* and
            *max_ttl*. They are fetched anew when about three quarters of that have passed.
        min_ttl: see there.
        max_ttl: see there: how long a key that the issuer has withdrawn may go on verifying.
        max_stale: seconds longer that keys are used while the issuer does not answer. With 0 tokens are refused then.
        cooldown: least seconds between two fetches because of a ``kid`` that is not known: anybody can make one up.
        timeout: seconds one fetch may take in all, and a request may wait for it.
        max_bytes: most that a key set may have.
        tls: whose certificates are trusted, where not those that the machine trusts (``SSL_CERT_FILE``).

    Raises:
        ConfigurationError: the URL is not to be trusted with keys, or the times make no sense.
    """

    def __init__(
        self,
        url: str,
        *,
        ttl: float = 600,
        min_ttl: float = 30,
        max_ttl: float = 86_400,
        max_stale: float = 86_400,
        cooldown: float = 30,
        timeout: float = 5,
        max_bytes: int = 1 << 20,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        check_url(url, "url")
        if not (0 < min_ttl <= ttl <= max_ttl and max_stale >= 0 and cooldown > 0 and timeout > 0 and max_bytes > 0):
            raise ConfigurationError("times: give 0 < min_ttl <= ttl <= max_ttl, and no negative ones")
        self.url = url
        self._name = url.partition("?")[0]  # what stands behind may be a key of the operator's
        self._issuer: str | None = None
        self._metadata_url = ""
        self._cached = CachedKeys(
            ttl=ttl,
            min_ttl=min_ttl,
            max_ttl=max_ttl,
            max_stale=max_stale,
            cooldown=cooldown,
            spread=random.random(),  # noqa: S311 - nothing is secret about it
        )
        self._timeout, self._max_bytes, self._tls = timeout, max_bytes, tls
        self._seldom = _guard.Seldom()
        self._requests = 0
        self._failure: str | None = None
        self._left_out: Mapping[str, int] = {}
        self._thread: threading.Thread | None
        self._flight: _Flight | None
        self._fresh_process()
        _all.add(self)

    @classmethod
    def discover(cls, issuer: str, *, metadata: str = "openid-configuration", **settings: Any) -> Jwks:
        """The keys of *issuer*, whose metadata says where they are (OpenID Connect Discovery §4, RFC 8414 §3).

        What it publishes has to name itself exactly as *issuer* (RFC 8414 §3.3), else none of it is used.

        Args:
            issuer: as tokens have it in ``iss``.
            metadata: ``openid-configuration`` or ``oauth-authorization-server``.
            settings: those of :class:`Jwks`.

        Raises:
            ConfigurationError: as :class:`Jwks` does.
        """
        if metadata not in _METADATA:
            raise ConfigurationError(f"metadata: give one of {', '.join(sorted(_METADATA))}")
        made = cls(issuer, **settings)
        parts = urlsplit(issuer)
        if parts.query or parts.fragment:
            raise ConfigurationError("issuer: it has neither query nor fragment (RFC 8414 §2)")
        path = parts.path.rstrip("/")
        known = f"/.well-known/{metadata}"
        path = f"{path}{known}" if metadata == "openid-configuration" else f"{known}{path}"
        made._issuer = issuer
        made._metadata_url = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
        made.url = ""
        return made

    def __repr__(self) -> str:
        return f"Jwks({self._name!r})"

    @property
    def state(self) -> JwksState:
        """How it is with the keys now."""
        held = self._cached.held
        return JwksState(
            keys=0 if held is None else len(held.keys),
            left_out=self._left_out,
            age=None if held is None else time.monotonic() - self._cached.loaded_at,
            requests=self._requests,
            failing=self._cached.failing,
            failure=self._failure,
        )

    def find(self, kid: str | None) -> Sequence[Key]:
        """The keys that *kid* may mean.

        Raises:
            KeysUnavailable: there are none, and the issuer does not answer.
        """
        keys, flight = self._ask(kid)
        if flight is None:
            return keys
        try:
            flight.over.wait(self._timeout)
        finally:
            self._waited()
        return self._after(kid)

    async def afind(self, kid: str | None) -> Sequence[Key]:
        """As :meth:`find`, without holding up the event loop."""
        keys, flight = self._ask(kid)
        if flight is None:
            return keys
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(over.set)

        try:
            flight.then(tell)
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), self._timeout)
        finally:
            self._waited()
        return self._after(kid)

    def warm(self) -> bool:
        """Have the keys fetched if they are not there, and say whether they are: for whoever starts the service."""
        with suppress(KeysUnavailable):
            self.find(None)
        return self._cached.held is not None

    def _ask(self, kid: str | None) -> tuple[Sequence[Key], _Flight | None]:
        """The keys, and what to wait for if those will not do."""
        now = time.monotonic()
        with self._lock:
            self._used = True
            asked = self._cached.ask(kid, now)
            flight = self._flight
            unknown = not asked.keys and self._cached.held is not None
            if asked.refresh and flight is None:
                flight = self._begin()
            if self._cached.held is None and not asked.wait:
                raise KeysUnavailable(1)
            if not asked.wait and not (unknown and flight is not None):
                return asked.keys, None
            if unknown and self._waiting >= _MAX_WAITING:  # anybody can make up a kid: not all workers wait for that
                raise KeysUnavailable(1)
            self._waiting += 1
            return asked.keys, flight

    def _waited(self) -> None:
        with self._lock:
            self._waiting -= 1

    def _after(self, kid: str | None) -> Sequence[Key]:
        with self._lock:
            return self._cached.after(kid, time.monotonic())

    def _begin(self) -> _Flight:
        self._flight = flight = _Flight()
        if self._thread is not None:
            self._wake.set()
            return flight
        self._thread = threading.Thread(target=_keep, args=(weakref.ref(self),), name="bearerwatch-keys", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # there are no more threads: as if the issuer did not answer
            self._fresh_flight()
            self._cached.failed(time.monotonic())
            self._failure = "no_thread"
            flight.end()
        return flight

    def _fresh_flight(self) -> None:
        self._thread = None
        self._flight = None

    def _fresh_process(self) -> None:
        """No thread of ours runs here: at the start, and in a child process."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._fresh_flight()
        self._waiting = 0
        self._used = False

    def _once(self) -> None:
        """Ask the issuer, in the thread that does, and end the flight however that goes."""
        found: Published | None = None
        max_age: float | None = None
        failure: str | None = "error"
        try:
            body, max_age = self._fetched()
            found = published(body)
            failure = "malformed" if found is None else None if found.keys else "no_keys"
        except FetchError as error:
            failure = error.word
        except Exception as error:  # noqa: BLE001 - host boundary: the thread is ours, but not the process
            _guard.swallowed("fetching keys", error)
        finally:
            self._landed(found, max_age, failure, time.monotonic())

    def _landed(self, found: Published | None, max_age: float | None, failure: str | None, now: float) -> None:
        with self._lock:
            if found is not None:
                self._left_out = found.left_out
            if found is not None and failure is None:
                self._cached.loaded(found, max_age, now)
            else:
                self._cached.failed(now)
            self._failure = failure
            flight, self._flight = self._flight, None
        if flight is not None:
            flight.end()
        if failure is not None and self._seldom(now):
            _LOG.warning("the keys of %s cannot be had: %s", self._name, failure)

    def _rest(self) -> tuple[threading.Event, float] | None:
        """What to wait for, and how long, before asking again; ``None`` if nobody uses the keys any more."""
        with self._lock:
            self._wake.clear()
            if self._flight is not None:  # begun since the last one was over
                self._wake.set()
            elif not self._used:
                self._thread = None
                return None
            self._used = False
            return self._wake, max(0.0, self._cached.due_at() - time.monotonic())

    def _left(self, thread: threading.Thread) -> None:
        """*thread* asks no more, whatever ended it: the next who wants to know begins another."""
        with self._lock:
            if self._thread is thread:
                self._thread = None

    def _fetched(self) -> Fetched:
        if self._issuer is None:
            return self._get(self.url)
        if self.url:
            try:
                return self._get(self.url)
            except FetchError:
                self.url = ""  # they may have moved
        self.url = self._discovered(self._get(self._metadata_url).body)
        return self._get(self.url)

    def _get(self, url: str) -> Fetched:
        self._requests += 1
        return fetch(url, timeout=self._timeout, max_bytes=self._max_bytes, tls=self._tls)

    def _discovered(self, raw: bytes) -> str:
        document = _strict.json_object(raw)
        if document is None:
            raise FetchError("malformed_metadata")
        if document.get("issuer") != self._issuer:
            raise FetchError("another_issuer")
        url = document.get("jwks_uri")
        try:
            if not isinstance(url, str):
                raise FetchError("malformed_metadata")
            check_url(url, "jwks_uri")
            if urlsplit(self._metadata_url).scheme == "https" and urlsplit(url).scheme != "https":
                raise FetchError("unsafe_url")
        except ConfigurationError:
            raise FetchError("unsafe_url") from None
        return url


_all: weakref.WeakSet[Jwks] = weakref.WeakSet()


def _forked() -> None:
    for one in list(_all):
        one._fresh_process()  # noqa: SLF001


os.register_at_fork(after_in_child=_forked)


def _keep(reference: weakref.ref[Jwks]) -> None:
    """Ask now, and again whenever it is time, as long as somebody uses the keys."""
    try:
        while (keeper := reference()) is not None:
            keeper._once()  # noqa: SLF001
            rest = keeper._rest()  # noqa: SLF001
            del keeper
            if rest is None:
                return
            wake, pause = rest
            wake.wait(pause)
    finally:
        if (keeper := reference()) is not None:
            keeper._left(threading.current_thread())  # noqa: SLF001
