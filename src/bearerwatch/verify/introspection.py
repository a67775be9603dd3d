"""Opaque tokens, and any others whose issuer is to be asked about each: introspection (RFC 7662).

Format first: what cannot be a token asks nobody anything. Then memory, by a keyed digest of the token, never past its
``exp``. Then one question for however many wait for the same answer, with an end to how long it may take and how large
it may be; and a server that fails is left in peace for a while.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlencode, urlsplit

from msgspec.structs import replace

from bearerwatch import _guard, _jws
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.verify._fetch import check_url
from bearerwatch.verify.introspection_answer import TOKEN_TYPES, AnswerReader, Unusable
from bearerwatch.verify.introspection_auth import (
    BearerToken,
    ClientAuth,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
)
from bearerwatch.verify.introspection_cache import Breaker, Kept, Remembered
from bearerwatch.verify.introspection_wire import Answered, AsyncWire, NoAnswer, Wire
from bearerwatch.verify.verdict import Verdict

__all__ = ["BearerToken", "ClientAuth", "ClientSecretBasic", "ClientSecretPost", "Introspection", "PrivateKeyJwt"]

_RETRY = 1.0
_EMPTY = Verdict(outcome=Outcome.MALFORMED, reason="empty_token")
_TOO_LONG = Verdict(outcome=Outcome.MALFORMED, reason="too_long")
_BAD_CHARACTERS = Verdict(outcome=Outcome.MALFORMED, reason="bad_characters")
_WORDS = {
    "timeout": "it did not answer in time",
    "unreachable": "it cannot be reached",
    "busy": "more questions were waiting than could be asked in time",
    "refused": "it refuses this service's own credentials: see auth",
    "status": "it answered with an error; redirects are not followed",
    "type": "what it answers is not application/json: see the URL",
    "encoding": "it compressed its answer, though it was asked not to",
    "size": "its answer is larger than max_bytes",
    "json": "its answer is no JSON object",
    "active": "its answer does not say whether the token is active",
}


class Introspection:
    """Asks an authorization server about tokens: ``verdict = introspection(token)``, or ``await averify(token)``.

    Args:
        url: of its introspection endpoint: https, or http on loopback.
        auth: how this service shows who it is; ``None`` where TLS does, by *tls*.
        audience: what this service is called in ``aud``, one of several will do; ``None`` takes tokens for anybody.
        issuer: what ``iss`` has to be; ``None`` where the server does not say.
        leeway: seconds that a token is taken past its ``exp``, up to 300.
        token_types: values of ``token_type`` that are taken, if the server names one.
        required: members of the answer that must be there.
        ttl: seconds that an answer for a good token is kept, never past its ``exp``. So long a token that was withdrawn
            at the server may still pass.
        inactive_ttl: seconds that an answer for another one is kept.
        size: answers that are kept, of either kind.
        seconds: for a question and its answer, from first to last byte.
        max_bytes: of an answer; what is longer is not read.
        fail_after: questions without an answer, one after another, until the server is left in peace.
        pause: seconds for which it is; twice as long after each try that fails, up to a minute.
        stale_for: seconds that a good token passes on, after *ttl* and never past its ``exp``, while the server cannot
            be asked. By default none: then its outcome is ``error``, to be answered with 503.
        max_length: characters of a token; no server is asked about a longer one.
        tls: authorities of your own, or a client certificate.
        clock: Unix time in seconds.
        monotonic: seconds of a clock that only goes on.

    It is safe to share between threads and event loops, and may be made before a fork. The verdict of a token bound to
    a key is good as far as the server knows: whoever has the proof checks ``claims["cnf"]``, as
    :class:`~bearerwatch.verify.guard.Guard` does.

    Raises:
        ConfigurationError: an argument cannot be used; the message says which, and repeats no secret.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: ClientAuth | None,
        audience: str | Collection[str] | None,
        issuer: str | None = None,
        leeway: float = 0,
        token_types: Collection[str] = TOKEN_TYPES,
        required: Collection[str] = (),
        ttl: float = 30,
        inactive_ttl: float = 5,
        size: int = 10_000,
        seconds: float = 3,
        max_bytes: int = 65_536,
        fail_after: int = 5,
        pause: float = 5,
        stale_for: float = 0,
        max_length: int = _jws.MAX_LENGTH,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        check_url(url, "url")
        if auth is None and tls is None:
            raise ConfigurationError(
                "auth: a server answers those alone whom it knows (RFC 7662 §2.1): give one, or a client certificate"
            )
        least = {"ttl": ttl, "inactive_ttl": inactive_ttl, "stale_for": stale_for}
        if wrong := [name for name, value in least.items() if not 0 <= value <= 86_400]:
            raise ConfigurationError(f"{wrong[0]}: give seconds from 0 to 86400")
        positive = {"seconds": seconds, "pause": pause, "size": size, "max_bytes": max_bytes, "fail_after": fail_after}
        if wrong := [name for name, value in positive.items() if not value > 0]:
            raise ConfigurationError(f"{wrong[0]}: give more than 0")
        self.issuer = issuer
        """The issuer whose tokens these are, if that was said."""
        self._url, self._auth, self._tls = url, auth, tls
        self._where = urlsplit(url).netloc
        self._reader = AnswerReader(
            audience=audience,
            issuer=issuer,
            leeway=leeway,
            token_types=token_types,
            required=required,
            clock=clock,
        )
        self._seconds, self._max_bytes, self._max_length = seconds, max_bytes, max_length
        self._leeway, self._clock, self._monotonic = leeway, clock, monotonic
        self._remembered = Remembered(ttl=ttl, inactive_ttl=inactive_ttl, stale_for=stale_for, size=size)
        self._good, self._refused = self._remembered.good, self._remembered.refused
        self._digest = self._remembered.digest
        self._fail_after, self._pause = fail_after, pause
        self._seldom = _guard.Seldom()
        self._wire: Wire | None = None
        self.asked = 0
        """Questions put to the server so far."""
        self._begin()
        _all.add(self)

    def __repr__(self) -> str:
        return f"Introspection({self._where!r})"

    def __call__(self, token: str) -> Verdict:
        """What *token*, as presented and without its scheme, is good for. Waits for the server where it has to."""
        known = self._known(token)
        if isinstance(known, Verdict):
            return known
        end = self._monotonic() + self._seconds
        mine = _Flight()
        while (flight := self._first(known, mine)) is not mine:
            flight.over.wait(max(end - self._monotonic(), 0))
            if flight.verdict is not None:
                return flight.verdict
            if self._monotonic() >= end:
                return self._without_answer(known, _RETRY)
        try:
            again = self._known(token)  # somebody may have had the answer since
            mine.verdict = again if isinstance(again, Verdict) else self._question(known, token)
            return mine.verdict
        finally:
            with self._lock:
                self._flights.pop(known, None)
            mine.over.set()

    async def averify(self, token: str) -> Verdict:
        """As calling it, for coroutines."""
        known = self._known(token)
        if isinstance(known, Verdict):
            return known
        loop = asyncio.get_running_loop()
        side = self._sides.get(loop)
        if side is None:
            with self._lock:  # each loop is in a thread of its own
                side = self._sides[loop] = _Side(AsyncWire(self._url, self._tls))
        end = self._monotonic() + self._seconds
        while (flight := side.flights.get(known)) is not None:
            await asyncio.wait([flight], timeout=max(end - self._monotonic(), 0))
            if flight.done() and not flight.cancelled():
                return flight.result()
            if self._monotonic() >= end:
                return self._without_answer(known, _RETRY)
        mine = side.flights[known] = loop.create_future()
        try:
            verdict = await self._aquestion(side.wire, known, token)
            mine.set_result(verdict)
            return verdict
        finally:
            del side.flights[known]
            mine.cancel()  # if it has no result, who waits asks anew: this one's client has left, say

    def forget(self) -> None:
        """Forget all answers: the next question about each token goes to the server."""
        with self._lock:
            self._remembered.clear()

    def close(self) -> None:
        """Hang up on the server; asking again connects anew."""
        with self._lock:
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    async def aclose(self) -> None:
        """Hang up on behalf of the running event loop."""
        side = self._sides.pop(asyncio.get_running_loop(), None)
        if side is not None:
            await side.wire.aclose()

    # -- memory

    def _known(self, token: str) -> Verdict | bytes:
        """The verdict if it is known without asking, else what stands for *token*."""
        if len(token) > self._max_length:
            return _TOO_LONG
        digest = self._digest(token)
        kept = self._good.get(digest)
        if kept is not None:
            if kept.expires_at + self._leeway <= self._clock():
                return replace(kept.verdict, outcome=Outcome.EXPIRED, reason="past_exp")
            if self._monotonic() < kept.fresh_until:
                return kept.verdict
            return digest
        kept = self._refused.get(digest)
        if kept is not None and self._monotonic() < kept.fresh_until:
            return kept.verdict
        if not token:
            return _EMPTY
        return digest if _jws.TOKEN68.match(token) else _BAD_CHARACTERS

    def _without_answer(self, digest: bytes, seconds: float) -> Verdict:
        """The verdict while the server cannot be asked for *seconds*: an old one that may still serve, or an error."""
        kept: Kept | None = self._good.get(digest)
        if kept is not None and self._monotonic() < kept.stale_until and not self._reader.past(kept.expires_at):
            return kept.verdict
        return Verdict(outcome=Outcome.ERROR, reason="introspection_unavailable", retry_after=seconds)

    # -- asking

    def _first(self, digest: bytes, mine: _Flight) -> _Flight:
        """The question under way about a token: *mine*, if there was none."""
        with self._lock:
            return self._flights.setdefault(digest, mine)

    def _question(self, digest: bytes, token: str) -> Verdict:
        waiting = self._may(digest)
        if waiting is not None:
            return waiting
        wire = self._wire
        if wire is None:
            with self._lock:
                wire = self._wire = self._wire or Wire(self._url, self._tls)
        reading = _Reading(self._reader, self._max_bytes)
        told = False
        try:
            body, headers = self._asking(token)
            verdict = self._reader(wire.ask(body, headers, self._seconds, reading), token)
            told = True
            return self._answered(digest, verdict)
        except (NoAnswer, Unusable) as failure:
            told = True
            return self._failed(digest, failure)
        finally:
            if not told:
                self._left()

    async def _aquestion(self, wire: AsyncWire, digest: bytes, token: str) -> Verdict:
        waiting = self._may(digest)
        if waiting is not None:
            return waiting
        reading = _Reading(self._reader, self._max_bytes)
        told = False
        try:
            body, headers = self._asking(token)
            verdict = self._reader(await wire.ask(body, headers, self._seconds, reading), token)
            told = True
            return self._answered(digest, verdict)
        except (NoAnswer, Unusable) as failure:
            told = True
            return self._failed(digest, failure)
        finally:
            if not told:
                self._left()

    def _asking(self, token: str) -> tuple[bytes, dict[str, str]]:
        """Body and headers of the question. The token is in the body alone: URLs are logged."""
        with self._lock:
            self.asked += 1
        form = {"token": token, "token_type_hint": "access_token"}
        if self._auth is None:
            return urlencode(form).encode(), {}
        shown = self._auth()
        return urlencode({**form, **shown.form}).encode(), dict(shown.headers)

    def _may(self, digest: bytes) -> Verdict | None:
        """The verdict to give instead of asking, while the server is left in peace."""
        with self._lock:
            wait = self._breaker.wait(self._monotonic())
        return None if wait is None else self._without_answer(digest, wait)

    def _answered(self, digest: bytes, verdict: Verdict) -> Verdict:
        with self._lock:
            if self._breaker.open:
                _guard.say(f"introspection: {self._where} answers again")
            self._breaker.worked()
            self._remembered.keep(digest, verdict, self._monotonic())
        return verdict

    def _failed(self, digest: bytes, failure: NoAnswer | Unusable) -> Verdict:
        now = self._monotonic()
        with self._lock:
            if self._seldom(now):
                _guard.say(f"introspection: {self._where} gave no answer of use: {_WORDS[failure.word]}")
            if isinstance(failure, Unusable) and not failure.server:
                self._breaker.worked()  # it is there, and does not take this one question
            elif failure.word == "busy":
                self._breaker.left()
            else:
                self._breaker.failed(now)
        return self._without_answer(digest, _RETRY)

    def _left(self) -> None:
        with self._lock:
            self._breaker.left()

    def _paused(self, seconds: float) -> None:
        _guard.say(f"introspection: {self._where} is not asked for {seconds:.0f} s, for it keeps failing")

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[bytes, _Flight] = {}
        self._sides: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Side] = weakref.WeakKeyDictionary()
        self._breaker = Breaker(after=self._fail_after, pause=self._pause, report=self._paused)

    def forked(self) -> None:
        """In a child process: connections and locks of its own. What is remembered stays."""
        if self._wire is not None:
            _parents.append(self._wire.forked())
        _parents.extend(self._sides.values())
        self._begin()


class _Flight:
    """One question under way."""

    __slots__ = ("over", "verdict")

    def __init__(self) -> None:
        self.over = threading.Event()
        self.verdict: Verdict | None = None


class _Side:
    """What one event loop has."""

    __slots__ = ("__weakref__", "flights", "wire")

    def __init__(self, wire: AsyncWire) -> None:
        self.wire = wire
        self.flights: dict[bytes, asyncio.Future[Verdict]] = {}


class _Reading:
    """Takes an answer in, as far as it is worth that."""

    def __init__(self, reader: AnswerReader, limit: int) -> None:
        self._reader, self._limit = reader, limit
        self.body = bytearray()

    def head(self, answered: Answered) -> None:
        """Refuse an answer by its head.

        Raises:
            Unusable: it is of no use.
        """
        self._reader.usable(answered.status, answered.headers)
        length = answered.headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12 or int(length) > self._limit:
            raise Unusable("size")
        self.body.clear()

    def piece(self, data: bytes) -> None:
        """Take one piece of the body.

        Raises:
            Unusable: it is too much.
        """
        if len(self.body) + len(data) > self._limit:
            raise Unusable("size")
        self.body += data


_all: weakref.WeakSet[Introspection] = weakref.WeakSet()
_parents: list[Any] = []
"""Connections of the parent process, held open here so that nothing is said on them when they are forgotten."""


def _after_fork() -> None:
    for introspection in list(_all):
        introspection.forked()


os.register_at_fork(after_in_child=_after_fork)
