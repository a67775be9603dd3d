"""From the facts of a request and its answer to one event. Sans-IO: integrations bring the facts.

A :class:`Watch` is made once a process; it opens an :class:`Exchange` for each request, and the exchange
hands exactly one event to the sinks, however often and from wherever it is finished.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from os import register_at_fork, urandom
from time import perf_counter, time
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_plus

from msgspec import Struct

from bearerwatch import _guard, _trace
from bearerwatch.callers import Callers, canonical
from bearerwatch.classify import Presented, State, classify
from bearerwatch.context import Decision, RequestContext, current, heard, lately, live, valid_request_id
from bearerwatch.event import REASONS, AuthEvent, Kind, Outcome
from bearerwatch.known import MAX_HELD, NO_CREDENTIAL, Known, Memory
from bearerwatch.redact.culprits import Leak, listen
from bearerwatch.redact.engine import MIN_LIVE, redact_text

if TYPE_CHECKING:
    from contextvars import Token

    from bearerwatch.settings import Settings

__all__ = ["Exchange", "Facts", "Receiver", "Watch", "new_id", "query_tokens", "watched"]

_MAX_PATH = 512
_MAX_AGENT = 256
_MAX_SHORT = 128
_MAX_READ = 4096
_MAX_TOKENS = 8
_TOKENISH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=%-")
fromtimestamp = datetime.fromtimestamp
_random = random.Random(urandom(16))  # noqa: S311 - ids need to be unique, not secret
_draw = _random.getrandbits


def _reseed() -> None:
    _random.seed(urandom(16))


register_at_fork(after_in_child=_reseed)  # else two workers would draw the same ids


def new_id(ms: int, drawn: int | None = None) -> str:
    """A UUIDv7 (RFC 9562 §5.7) for the Unix time *ms* in milliseconds, of chance or of 76 bits that were *drawn*."""
    if drawn is None:
        drawn = _draw(76)
    # version 7, variant 10, and 74 random bits, spelled out once: formatting them one by one takes longer
    text = (ms << 80 | 0x7000_8000_0000_0000_0000 | drawn & 0x0FFF_3FFF_FFFF_FFFF_FFFF).to_bytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Receiver(Protocol):
    """What takes finished events: a sink's ``send``."""

    def send(self, event: AuthEvent) -> None:
        """Take one event."""


class Facts(Struct, frozen=True, gc=False):
    """What an integration reads off a request. Strings as received; nothing is trusted."""

    method: str
    path: str
    query: str
    peer_ip: str
    authorization: str | None
    """The first ``Authorization`` header, or all of them where the server joins them."""
    several: str | None = None
    """Further ``Authorization`` headers, joined by commas."""
    forwarded_for: str | None = None
    forwarded: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    traceparent: str | None = None
    other: tuple[str, str] | None = None
    """A token from elsewhere, as ``(source, credential)``: a websocket subprotocol, say."""
    tracestate: str | None = None
    """Looked at with ``traceparent`` alone, and both from a trusted peer alone: others begin a trace of their own."""


class Watch:
    """Watches the requests of one process.

    Args:
        settings: what the process was told.
        receivers: where events go, in order. One that fails is counted and does not stop the next.
    """

    def __init__(self, settings: Settings, receivers: Sequence[Receiver]) -> None:
        self.settings = settings.with_instance()
        self._sends: tuple[Callable[[AuthEvent], None], ...] = tuple(receiver.send for receiver in receivers)
        self.memory = Memory(settings)
        self.header = self.memory.header
        """What an ``Authorization`` header brings."""
        self.service = self.settings.service
        self.instance = self.settings.instance
        self.callers = Callers(settings.trusted_proxies)
        _watches.append(self)
        listen(self.leaked)

    def open(self, facts: Facts) -> Exchange:
        """Begin one request: read its credential, hold it live for redaction, make its context current."""
        return Exchange(self, facts)

    def emit(self, event: AuthEvent) -> None:
        """Hand *event* to every sink."""
        for send in self._sends:
            try:
                send(event)
            except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of a sink
                _guard.swallowed("a sink", error)

    def leaked(self, leak: Leak) -> None:
        """Redaction kept a token out of a log: an event of its own, which names the line of code."""
        now = time()
        context = None if leak.form is None else current.get()  # else it is some earlier request's
        self.emit(
            AuthEvent(
                Kind.LEAK,
                new_id(int(now * 1000)),
                fromtimestamp(now, UTC),
                reason=None if leak.form is None else leak.form.replace("-", "_"),
                count=leak.times,
                detail=f"{redact_text(leak.file)[-_MAX_PATH:]}:{leak.line} {redact_text(leak.logger)[:_MAX_SHORT]}",
                service=self.service,
                instance=self.instance,
                token_id=leak.token_id,
                token_source="log",  # noqa: S106 - the name of a place
                request_id=None if context is None else context.request_id,
                trace_id=None if context is None else context.trace_id,
                parent_request_id=None if context is None else context.parent_request_id,
            )
        )

    def forked(self) -> None:
        """In a child process: its own name and its own memory."""
        self.settings = self.settings.with_instance()
        self.instance = self.settings.instance


_watches: list[Watch] = []


def _after_fork() -> None:
    for watch in _watches:
        watch.forked()


register_at_fork(after_in_child=_after_fork)


def _bounded(text: str, limit: int) -> str:
    """*text* redacted and cut to *limit*, so that no piece of a token stays at the cut."""
    if len(text) > _MAX_READ:
        text = text[:_MAX_READ]
        keep = len(text)
        while keep and text[keep - 1] in _TOKENISH:
            keep -= 1
        text = text[:keep]
    clean = redact_text(text)
    return clean if len(clean) <= limit else clean[:limit]


@lru_cache(maxsize=1024)
def _agent(text: str) -> str:
    """User agents repeat: each is redacted once. Long ones are not kept."""
    return _bounded(text, _MAX_AGENT)


_RUN = re.compile(r"[^/]{12}")
_AUTH = Kind.AUTH
_AUTHENTIC = frozenset(
    {Outcome.SUCCESS, Outcome.FORBIDDEN, Outcome.INSUFFICIENT_SCOPE, Outcome.THROTTLED, Outcome.ERROR, Outcome.REVOKED}
)
"""Outcomes that a token whose authenticity was established can have."""
_INVALID, _MALFORMED, _SUCCESS = Outcome.INVALID, Outcome.MALFORMED, Outcome.SUCCESS


def _path(path: str) -> str:
    """*path* redacted and bounded. Most hold no run of characters long enough to leak anything."""
    if len(path) <= _MAX_PATH and _RUN.search(path) is None and not live.slashed:
        return path
    return _bounded(path, _MAX_PATH)


class Exchange:
    """One request from arrival to event."""

    __slots__ = (
        "_began",
        "_context",
        "_event_id",
        "_facts",
        "_known",
        "_now",
        "_others",
        "_reason",
        "_reset",
        "_source",
        "_token",
        "_trusted_peer",
        "_watch",
        "finished",
        "request_id",
    )

    def __init__(self, watch: Watch, facts: Facts) -> None:
        self._began = perf_counter()
        self._now = now = time()
        self._watch = watch
        self._facts = facts
        self._reason: str | None = None
        self._source: str | None = None
        self._token: str | None = None
        self._others: list[tuple[object, str]] | None = None
        self.finished = False
        """Whether the event has been handed over."""
        authorization = facts.authorization
        if authorization is None:
            known = self._elsewhere() if facts.query or facts.other is not None else NO_CREDENTIAL
        else:
            known = watch.header(authorization)
            query = facts.query
            if (
                known.usual
                and (not query or not _may_hold_token(query))
                and facts.several is None
                and facts.other is None
            ):
                self._source = "header"
                self._token = token = authorization[known.begin : known.end]
                live.hold(id(self), token, slashed=known.slashed)  # not by itself: see __del__
            else:
                known = self._unusual(authorization, known)
        self._known = known
        self._event_id = request_id = new_id(int(now * 1000))
        traceparent = None
        if watch.callers.trusting:
            self._trusted_peer = watch.callers.trusts(facts.peer_ip)
            if self._trusted_peer:
                traceparent = facts.traceparent
                given = valid_request_id(facts.request_id)
                if given is not None and redact_text(given) == given:  # a proxy hands on what a caller puts there
                    request_id = given
        else:
            self._trusted_peer = False
        self.request_id = request_id
        """The id this request has in its event and in the ``X-Request-ID`` of its answer."""
        self._context = context = RequestContext(request_id, None, None, known.token_id)
        if traceparent is not None:
            context.take_trace(traceparent, facts.tracestate)
        if self._token is not None:
            context.credential = self._token
        if _trace.tracer is not None:
            _trace.tracer.begun(context)
        self._reset: Token[RequestContext | None] | None = current.set(context)

    def decide(self, decision: Decision) -> None:
        """Record what an authentication library found out, unless somebody already said."""
        if self._context.decision is None:
            self._context.decision = decision

    @property
    def context(self) -> RequestContext:
        """What log lines about this request say of it, also once it is over."""
        return self._context

    @property
    def presented(self) -> bool:
        """Whether a token came with the request."""
        return self._known.token_id is not None

    @property
    def shown(self) -> Presented:
        """What was presented, as far as it tells by itself."""
        return self._known.shown

    @property
    def ids(self) -> tuple[str | None, str | None, str | None]:
        """Fingerprints of the token: under the active key, under the one before, and of all of it as it was sent."""
        known = self._known
        return known.token_id, known.token_id_prev, known.presented_id

    @property
    def tokens(self) -> tuple[str, ...]:
        """Whatever came as a token, while it is live."""
        others = () if self._others is None else tuple(credential for _, credential in self._others)
        return others if self._token is None else (self._token, *others)

    @property
    def holds(self) -> bool:
        """Whether a token is live because of this request."""
        return self._token is not None or self._others is not None

    def _unusual(self, authorization: str, known: Known) -> Known:
        """An ``Authorization`` header that is odd, or is not the only place with a token."""
        facts = self._facts
        shown, credential = known.shown, authorization[known.begin : known.end]
        if shown.state == State.NONE:
            return self._elsewhere()
        tokens = query_tokens(facts.query) if facts.query else ()
        self._source = "header"
        self._hold(credential, password=shown.scheme == "basic")
        more = bool(tokens) or facts.several is not None or facts.other is not None
        if shown.state != State.FINE or more:
            self._hold_odd(shown, authorization[: known.begin].strip(), credential)
        if more:
            self._reason = "multiple_tokens"
            self._hold_elsewhere(tokens)
        return known

    def _elsewhere(self) -> Known:
        """No token in ``Authorization``."""
        facts = self._facts
        tokens = query_tokens(facts.query) if facts.query else ()
        self._hold_elsewhere(tokens)
        if tokens:
            self._source = "query"
            self._reason = "query_token" if len(tokens) == 1 and facts.other is None else "multiple_tokens"
            return self._watch.memory.token(tokens[0])
        if facts.other is not None:
            self._source, credential = facts.other
            return self._watch.memory.token(credential)
        return NO_CREDENTIAL

    def _hold_elsewhere(self, tokens: Sequence[str]) -> None:
        for token in tokens:
            self._hold(token)
        if self._facts.other is not None:
            self._hold(self._facts.other[1])

    def _hold_odd(self, shown: Presented, scheme: str, credential: str) -> None:
        """Hold whatever else in an unusual ``Authorization`` may be a token."""
        several = self._facts.several
        if shown.state == State.OTHER:
            self._hold(scheme)
        elif shown.state == State.BROKEN:  # a token in quotes is one all the same
            self._hold(credential.strip("\"'<>[]{}"))
        if several is not None or shown.reason == "multiple_tokens":
            for word in f"{credential},{several}".replace(",", " ").split()[:_MAX_TOKENS]:
                self._hold(word)

    def _hold(self, credential: str, *, password: bool = False) -> None:
        if MIN_LIVE <= len(credential) <= MAX_HELD:
            if self._others is None:
                self._others = []
            self._others.append((live.add(credential, password=password), credential))

    def finish(
        self,
        status: int,
        route: str | None = None,
        challenge: str | None = None,
        *,
        raised: bool = False,
        judged: int | None = None,
    ) -> None:
        """Hand over the event. Only the first call counts.

        Args:
            status: HTTP status answered.
            route: the route's template; empty if it is known that none matched, ``None`` if nothing is known.
            challenge: the answer's ``WWW-Authenticate``.
            raised: whether the application raised instead of answering.
            judged: the status that says what was meant, where *status* cannot: a websocket refused before it
                was accepted is always answered with 403.
        """
        if self.finished:
            return
        self.finished = True
        try:
            event = self._event(status, route, challenge, raised, judged or status)
            self._watch.emit(event)
            if _trace.tracer is not None and self._context.span is not None:
                _trace.tracer.finished(self._context, event, plain=self._watch.settings.plain_subjects)
        except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
            _guard.swallowed("making an event", error)
        self._context.credential = None

    def enter(self) -> None:
        """The request is current once more, until :meth:`leave`."""
        if self._reset is None:
            self._reset = current.set(self._context)

    def leave(self) -> None:
        """The request is no longer current here (its stream may go on)."""
        if self._reset is not None:
            try:  # noqa: SIM105 - on every request: suppress() would cost a third of a microsecond
                current.reset(self._reset)
            except ValueError:  # another context than it was set in: that one ends by itself
                pass
            self._reset = None

    def hand_back(self) -> None:
        """As :meth:`leave`, where the task serves no other request: it knows this as the one it has served lately."""
        self.leave()
        lately.set(self._context)

    def release(self) -> None:
        """The request is over: its token is no longer live."""
        if self._token is not None:
            self._token = None
            live.discard(id(self))
        if self._others is not None:
            others, self._others = self._others, None
            for ticket, _ in others:
                live.discard(ticket)

    def __del__(self) -> None:
        """An exchange that nobody refers to any more lets go by itself.

        So a token lives as long as anybody could still log it: an exception's traceback refers to the exchange, and
        the server prints it after us; and what is never closed, because a client left at a bad moment, is not held
        for ever.
        """
        if self._token is not None or self._others is not None:
            self.release()

    def piece(self, pieces: Iterator[bytes]) -> bytes:
        """The next of a stream's *pieces*, which is made while the request is current once more.

        Raises:
            StopIteration: there is none; and whatever making it raises.
        """
        reset = current.set(self._context)
        try:
            return next(pieces)
        finally:
            current.reset(reset)

    async def later_piece(self, pieces: AsyncIterator[bytes]) -> bytes:
        """As :meth:`piece`.

        Raises:
            StopAsyncIteration: there is none; and whatever making it raises.
        """
        reset = current.set(self._context)
        try:
            return await anext(pieces)
        finally:
            current.reset(reset)

    def end(self) -> None:
        """The request is over and no longer current: :meth:`hand_back` and :meth:`release` in one.

        Every request comes by here: the calls alone would cost a fifth of a microsecond.
        """
        if self._reset is not None:
            try:  # noqa: SIM105 - as in leave()
                current.reset(self._reset)
            except ValueError:
                pass
            self._reset = None
        lately.set(self._context)
        if self._others is not None:
            self.release()
        elif self._token is not None:
            self._token = None
            live.discard(id(self))

    def _event(self, status: int, route: str | None, challenge: str | None, raised: bool, judged: int) -> AuthEvent:
        facts, known, context, watch = self._facts, self._known, self._context, self._watch
        shown = known.shown
        decision = context.decision
        noted = context.noted if context.checked is None else heard(context.checked, context.noted)
        outcome, reason, verified, required = classify(
            shown, judged, challenge, decision, self._now, routed=route != "", noted=noted
        )
        if self._reason is not None and (reason in (None, "wrong_scheme") or self._reason == "multiple_tokens"):
            reason = self._reason
            if (
                reason == "multiple_tokens"
                and decision is None
                and (outcome is _INVALID or (outcome is _SUCCESS and status in (400, 422)))
            ):
                outcome = _MALFORMED
        elif raised and reason is None:
            reason = "exception"
        subject_id, client_id, scopes = known.subject_id, shown.client_id, shown.scopes
        if noted is not None:
            required = required or noted.required_scopes
            if noted.verified and (outcome is _SUCCESS or outcome in _AUTHENTIC or outcome is noted.outcome):
                verified = True
            else:
                noted = None  # whose it is said to be is not established
        if decision is None:
            decision = noted
        if decision is not None:
            if reason not in REASONS:
                reason = None if reason is None else redact_text(reason)
            holder = watch.memory.holder(known, decision, required, alone=self._others is None)
            required = holder.required_scopes
            subject_id = holder.subject_id or subject_id
            client_id = holder.client_id or client_id
            scopes = holder.scopes or scopes
        agent, method, peer = facts.user_agent, facts.method, canonical(facts.peer_ip)
        if agent is not None:
            token = self._token
            if len(agent) > _MAX_AGENT or (token is not None and token in agent) or self._others is not None:
                agent = _bounded(agent, _MAX_AGENT)  # what is remembered of it will not do
            else:
                agent = _agent(agent)
        return AuthEvent(  # by position: see the class
            _AUTH,
            self._event_id,
            fromtimestamp(self._now, UTC),
            outcome,
            reason,
            verified,
            status,
            int((perf_counter() - self._began) * 1e6),
            1,
            None,  # detail
            watch.service,
            watch.instance,
            method if len(method) <= 16 else _bounded(method, 16),
            route[:256] if route else None,
            _path(facts.path),
            known.token_id,
            known.token_id_prev,
            known.presented_id,
            shown.scheme,
            shown.token_kind,
            self._source,
            subject_id,
            client_id,
            shown.issuer,
            scopes,
            required,
            shown.expires_at,
            watch.callers.behind(facts.peer_ip, facts.forwarded_for, facts.forwarded) if self._trusted_peer else peer,
            peer,
            agent,
            None,  # country, city, lat, lon and asn are the collector's
            None,
            None,
            None,
            None,
            context.request_id,
            context.trace_id,
            context.span_id,
            context.parent_request_id,
        )


def _may_hold_token(query: str) -> bool:
    return "access_token=" in query or "%" in query


def query_tokens(query: str) -> list[str]:
    """The values of ``access_token`` in a query string (RFC 6750 §2.3): one, or the caller is up to something.

    Frameworks decode the name too, so ``access%5Ftoken`` is no way round.
    """
    if not _may_hold_token(query):
        return []
    pairs = (pair.partition("=") for pair in query.split("&"))
    found = (unquote_plus(value) for name, _, value in pairs if value and unquote_plus(name) == "access_token")
    return list(islice(found, _MAX_TOKENS))


def watched() -> bool:
    """Whether something in this process watches already."""
    return bool(_watches)


def reset_watches() -> None:
    """Forget every watch (tests)."""
    _watches.clear()
    listen(None)
