"""From the facts of a request and its answer to one event. Sans-IO: integrations bring the facts.

A :class:`Watch` is made once a process; it opens an :class:`Exchange` for each request, and the exchange
hands exactly one event to the sinks, however often and from wherever it is finished.
"""

from __future__ import annotations

import ipaddress
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from os import register_at_fork, urandom
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import unquote_plus

from bearerwatch import _guard
from bearerwatch.classify import NOTHING, Presented, State, classify, present
from bearerwatch.context import Decision, RequestContext, current, live, parse_traceparent, valid_request_id
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.fingerprint import ring
from bearerwatch.redact.engine import MIN_LIVE, redact_text

if TYPE_CHECKING:
    from contextvars import Token

    from bearerwatch.settings import Network, Settings

__all__ = ["Exchange", "Facts", "Receiver", "Watch", "new_id"]

_MAX_PATH = 512
_MAX_AGENT = 256
_MAX_SHORT = 128
_MAX_READ = 4096
_MAX_KNOWN = 4096
_TOKENISH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=%-")
_random = random.Random(urandom(16))  # noqa: S311 - ids need to be unique, not secret


def _reseed() -> None:
    _random.seed(urandom(16))


register_at_fork(after_in_child=_reseed)  # else two workers would draw the same ids


def new_id(ms: int) -> str:
    """A UUIDv7 (RFC 9562 §5.7) for the Unix time *ms* in milliseconds."""
    bits = _random.getrandbits(74)
    h = f"{(ms << 80) | 0x7000_8000_0000_0000_0000 | ((bits >> 62) << 64) | (bits & 0x3FFF_FFFF_FFFF_FFFF):032x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


class Receiver(Protocol):
    """What takes finished events: a sink's ``send``."""

    def send(self, event: AuthEvent) -> None:
        """Take one event."""


class Facts(NamedTuple):
    """What an integration reads off a request. Strings as received; nothing is trusted."""

    method: str
    path: str
    query: str
    peer_ip: str
    authorization: str | None
    """The one ``Authorization`` header, or several joined by ``", "``."""
    several: bool
    """Whether there was more than one ``Authorization`` header."""
    forwarded_for: str | None
    forwarded: str | None
    user_agent: str | None
    request_id: str | None
    traceparent: str | None
    other: tuple[str, str] | None = None
    """A token from elsewhere, as ``(source, credential)``: a websocket subprotocol, say."""


class _Known(NamedTuple):
    """What one credential turned out to be, without the credential."""

    shown: Presented
    token_id: str | None
    token_id_prev: str | None
    presented_id: str | None
    subject_id: str | None


_KNOWN_NOTHING = _Known(NOTHING, None, None, None, None)


class Watch:
    """Watches the requests of one process.

    Args:
        settings: what the process was told.
        receivers: where events go, in order. One that fails is counted and does not stop the next.
    """

    def __init__(self, settings: Settings, receivers: Sequence[Receiver]) -> None:
        self.settings = settings.with_instance()
        self._sends: tuple[Callable[[AuthEvent], None], ...] = tuple(receiver.send for receiver in receivers)
        self._ring = ring()
        self._schemes = settings.schemes
        self._plain = settings.plain_subjects
        self._trusted = settings.trusted_proxies
        self._trusts: dict[str, bool] = {}
        self._cache: dict[bytes, _Known] = {}
        self._cache_key = urandom(32)
        _watches.append(self)

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

    def trusts(self, address: str) -> bool:
        """Whether *address* is a proxy whose forwarding headers are believed."""
        if not self._trusted:
            return False
        known = self._trusts.get(address)
        if known is None:
            if len(self._trusts) >= _MAX_KNOWN:
                self._trusts.clear()
            known = self._trusts[address] = _inside(address, self._trusted)
        return known

    def client_of(self, facts: Facts, *, trusted_peer: bool) -> str | None:
        """The caller's address: the peer, or what trusted proxies, read from the right, say it is.

        RFC 7239 §5.2 (``Forwarded: for=``) and the de-facto ``X-Forwarded-For``. The nearest address that
        is no trusted proxy is the caller; everything left of it is the caller's own word.
        """
        peer = _address(facts.peer_ip)
        if not trusted_peer:
            return peer
        chain = _forwarded(facts.forwarded) if facts.forwarded else (facts.forwarded_for or "").split(",")
        found = peer
        for entry in reversed(chain[-64:]):
            address = _address(entry.strip())
            if address is None:
                return found  # unreadable: nothing left of it can be believed
            found = address
            if not self.trusts(address):
                break
        return found

    def read(self, scheme: str | None, credential: str) -> _Known:
        """What *credential* is and its ids; remembered by a keyed digest, never by the credential."""
        digest = blake2b(
            f"{scheme} {credential}".encode("utf-8", "surrogatepass"), digest_size=16, key=self._cache_key
        ).digest()
        known = self._cache.get(digest)
        if known is None:
            known = self._read(scheme, credential)
            if len(self._cache) >= _MAX_KNOWN:
                self._cache.clear()
            self._cache[digest] = known
        return known

    def _read(self, scheme: str | None, credential: str) -> _Known:
        shown = present(scheme, credential, carries_token=scheme in self._schemes)
        if shown.state in (State.NONE, State.OTHER) or not credential:
            return _Known(shown, None, None, None, None)  # a password is never fingerprinted
        ids = self._ring.identify(credential, shown.signing_input)
        subject = None
        if shown.subject is not None:
            subject = self.subject(shown.subject, shown.issuer)
        cleaned = shown._replace(
            subject=None,
            issuer=_clean(shown.issuer),
            client_id=_clean(shown.client_id),
            scopes=_clean(shown.scopes),
        )
        return _Known(cleaned, ids.token_id, ids.token_id_prev, ids.presented_id, subject)

    def subject(self, subject: str, issuer: str | None = None) -> str:
        """How *subject* is recorded: a pseudonym, or as it is if configured so."""
        if self._plain:
            return redact_text(subject)[:_MAX_SHORT]
        return self._ring.pseudonym("sub", f"{issuer or ''}\0{subject}")

    def forked(self) -> None:
        """In a child process: its own name and its own memory."""
        self.settings = self.settings.with_instance()


_watches: list[Watch] = []


def _after_fork() -> None:
    for watch in _watches:
        watch.forked()


register_at_fork(after_in_child=_after_fork)


def _clean(value: str | None) -> str | None:
    return None if value is None else redact_text(value)


def _inside(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed.version == network.version and parsed in network for network in networks)


@lru_cache(maxsize=4096)
def _address(text: str) -> str | None:
    """An IP address in its canonical form, or ``None``: ports and brackets are taken off."""
    if not text or len(text) > 64:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def _forwarded(header: str) -> list[str]:
    """The ``for=`` identifiers of a ``Forwarded`` header (RFC 7239 §4), one an element."""
    found: list[str] = []
    for element in header[-8192:].split(","):
        value = ""
        for pair in element.split(";"):
            name, _, given = pair.strip().partition("=")
            if name.lower() == "for":
                value = given.strip('"')
        found.append(value)
    return found


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


_ANSWERED_EARLY = frozenset({204, 304})


class Exchange:
    """One request from arrival to event."""

    __slots__ = (
        "_began",
        "_context",
        "_facts",
        "_finished",
        "_known",
        "_now",
        "_reason",
        "_reset",
        "_source",
        "_tickets",
        "_trusted_peer",
        "_watch",
    )

    def __init__(self, watch: Watch, facts: Facts) -> None:
        self._watch = watch
        self._facts = facts
        self._began = time.perf_counter()
        self._now = time.time()
        self._finished = False
        self._reason: str | None = None
        self._source: str | None = None
        self._tickets: list[object] | None = None
        self._known = self._credential()
        self._trusted_peer = watch.trusts(facts.peer_ip)
        request_id = valid_request_id(facts.request_id) if self._trusted_peer else None
        trace_id, parent = parse_traceparent(facts.traceparent) if facts.traceparent else (None, None)
        self._context = RequestContext(
            request_id or new_id(int(self._now * 1000)), trace_id, parent, self._known.token_id
        )
        self._reset: Token[RequestContext | None] | None = current.set(self._context)

    @property
    def request_id(self) -> str:
        """The id this request has in its event and in the ``X-Request-ID`` of its answer."""
        return self._context.request_id

    @property
    def finished(self) -> bool:
        """Whether the event has been handed over."""
        return self._finished

    def decide(self, decision: Decision) -> None:
        """Record what an authentication library found out, unless somebody already said."""
        if self._context.decision is None:
            self._context.decision = decision

    @property
    def presented(self) -> bool:
        """Whether a token came with the request."""
        return self._known.token_id is not None

    @property
    def holds(self) -> bool:
        """Whether a token is live because of this request."""
        return self._tickets is not None

    def _credential(self) -> _Known:
        facts = self._facts
        header = facts.authorization
        token = None
        if "access_token=" in facts.query:
            token = _query_token(facts.query)
        if header is None and facts.other is None and token is None:
            return _KNOWN_NOTHING
        if token is not None:
            self._hold(token)
        if header is not None:
            scheme, _, credential = header.strip().partition(" ")
            credential = credential.strip()
            self._source = "header"
            if credential or len(scheme) < MIN_LIVE:
                known = self._watch.read(scheme.lower()[:32], credential)
            else:
                known, credential = self._watch.read(None, scheme), scheme
            self._hold(credential)
            if known.shown.state == State.OTHER:
                self._hold(scheme)
            if facts.several or token is not None:
                self._reason = "multiple_tokens"
            return known
        if token is not None:
            self._source, self._reason = "query", "query_token"
            return self._watch.read("bearer", token)
        if facts.other is not None:
            self._source, credential = facts.other
            self._hold(credential)
            return self._watch.read("bearer", credential)
        return _KNOWN_NOTHING

    def _hold(self, credential: str) -> None:
        if MIN_LIVE <= len(credential) <= _MAX_READ * 4:
            if self._tickets is None:
                self._tickets = []
            self._tickets.append(live.add(credential))

    def finish(
        self, status: int, route: str | None = None, challenge: str | None = None, *, raised: bool = False
    ) -> None:
        """Hand over the event. Only the first call counts.

        Args:
            status: HTTP status answered.
            route: the route's template, if one matched.
            challenge: the answer's ``WWW-Authenticate``.
            raised: whether the application raised instead of answering.
        """
        if self._finished:
            return
        self._finished = True
        try:
            self._watch.emit(self._event(status, route, challenge, raised=raised))
        except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
            _guard.swallowed("making an event", error)

    def leave(self) -> None:
        """The request is no longer current here (its stream may go on)."""
        if self._reset is not None:
            try:  # noqa: SIM105 - on every request: suppress() would cost a third of a microsecond
                current.reset(self._reset)
            except ValueError:  # another context than it was set in: that one ends by itself
                pass
            self._reset = None

    def release(self) -> None:
        """The request is over: its token is no longer live."""
        tickets, self._tickets = self._tickets, None
        if tickets is not None:
            for ticket in tickets:
                live.discard(ticket)

    def _event(self, status: int, route: str | None, challenge: str | None, *, raised: bool) -> AuthEvent:
        facts, known, ctx = self._facts, self._known, self._context
        shown = known.shown
        outcome, reason, verified, required = classify(shown, status, challenge, ctx.decision, self._now)
        if self._reason is not None and (reason is None or self._reason == "multiple_tokens"):
            reason = self._reason
            if reason == "multiple_tokens" and outcome is Outcome.INVALID and ctx.decision is None:
                outcome = Outcome.MALFORMED
        elif raised and reason is None:
            reason = "exception"
        subject_id, client_id, scopes = known.subject_id, shown.client_id, shown.scopes
        decision = ctx.decision
        if decision is not None:
            if decision.subject is not None:
                subject_id = self._watch.subject(decision.subject, shown.issuer)
            client_id = decision.client_id or client_id
            scopes = decision.scopes or scopes
        settings = self._watch.settings
        agent = facts.user_agent
        # a header's surrogates are the server's way of passing on bytes; the encoder deals with them
        return AuthEvent(
            kind=Kind.AUTH,
            event_id=new_id(int(self._now * 1000)),
            ts=datetime.fromtimestamp(self._now, UTC),
            outcome=outcome,
            reason=reason,
            verified=verified,
            status=status,
            duration_us=int((time.perf_counter() - self._began) * 1e6),
            service=settings.service,
            instance=settings.instance,
            method=facts.method if len(facts.method) <= 16 else _bounded(facts.method, 16),
            route=route if route is None or len(route) <= 256 else route[:256],
            path=_bounded(facts.path, _MAX_PATH),
            token_id=known.token_id,
            token_id_prev=known.token_id_prev,
            presented_id=known.presented_id,
            scheme=shown.scheme or None,
            token_kind=shown.token_kind,
            token_source=self._source,
            subject_id=subject_id,
            client_id=client_id,
            issuer=shown.issuer,
            scopes=scopes,
            required_scopes=required,
            expires_at=shown.expires_at,
            client_ip=self._watch.client_of(facts, trusted_peer=self._trusted_peer),
            peer_ip=_address(facts.peer_ip),
            user_agent=None
            if agent is None
            else _agent(agent)
            if len(agent) <= _MAX_AGENT
            else _bounded(agent, _MAX_AGENT),
            request_id=ctx.request_id,
            trace_id=ctx.trace_id,
            parent_request_id=ctx.parent_request_id,
        )


def _query_token(query: str) -> str | None:
    """The value of ``access_token`` in a query string (RFC 6750 §2.3)."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == "access_token" and value:
            return unquote_plus(value)
    return None


def reset_watches() -> None:
    """Forget every watch (tests)."""
    _watches.clear()
