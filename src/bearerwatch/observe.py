"""From the facts of a request and its answer to one event. Sans-IO: integrations bring the facts.

A :class:`Watch` is made once a process; it opens an :class:`Exchange` for each request, and the exchange
hands exactly one event to the sinks, however often and from wherever it is finished.
"""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from os import register_at_fork, urandom
from time import perf_counter, time
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
_MAX_HELD = 16_384
_MAX_KNOWN = 4096
_MAX_TOKENS = 8
_TOKENISH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=%-")
fromtimestamp = datetime.fromtimestamp
_random = random.Random(urandom(16))  # noqa: S311 - ids need to be unique, not secret
_draw = _random.getrandbits


def _reseed() -> None:
    _random.seed(urandom(16))


register_at_fork(after_in_child=_reseed)  # else two workers would draw the same ids


def new_id(ms: int) -> str:
    """A UUIDv7 (RFC 9562 §5.7) for the Unix time *ms* in milliseconds."""
    bits = _draw(74)
    return "%08x-%04x-7%03x-%04x-%012x" % (  # noqa: UP031 - half the time of format() on the hot path
        ms >> 16,
        ms & 0xFFFF,
        bits & 0xFFF,
        0x8000 | (bits >> 12) & 0x3FFF,
        bits >> 26,
    )


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
    """The first ``Authorization`` header, or all of them where the server joins them."""
    several: str | None
    """Further ``Authorization`` headers, joined by commas."""
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
        self.service = self.settings.service
        self.instance = self.settings.instance
        self._trusted = settings.trusted_proxies
        self.trusting = bool(settings.trusted_proxies)
        """Whether any proxy's word is taken at all."""
        self._trusts: dict[str, bool] = {}
        self._cache: dict[bytes, _Known] = {}
        self._salt = urandom(32)
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

    def client_of(self, facts: Facts) -> str | None:
        """The caller's address as trusted proxies, read from the right, tell it; for a trusted peer only.

        The de-facto ``X-Forwarded-For``, and ``Forwarded: for=`` (RFC 7239 §5.2) where that is missing: nearly
        every proxy writes the former alone and hands on whatever the caller put into the latter. The nearest
        address that is no trusted proxy is the caller; everything left of it is the caller's own word.
        """
        found = _address(facts.peer_ip)
        if facts.forwarded_for:
            chain = facts.forwarded_for.split(",")
        else:
            chain = _forwarded(facts.forwarded) if facts.forwarded else []
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
        # a digest salted for this process: quick, and neither the cache nor a dump of it holds a token
        digest = sha256(self._salt + f"{scheme} {credential}".encode("utf-8", "surrogatepass")).digest()
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
        self.instance = self.settings.instance


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
        "_reason",
        "_reset",
        "_source",
        "_subject",
        "_tickets",
        "_trusted_peer",
        "_vouched",
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
        self._tickets: dict[object, str] | None = None
        self._vouched = False
        self._subject: str | None = None
        self.finished = False
        """Whether the event has been handed over."""
        if facts.authorization is None and facts.other is None and not facts.query:
            self._known = _KNOWN_NOTHING
        else:
            self._known = self._credential()
        self._event_id = request_id = new_id(int(now * 1000))
        if watch.trusting:
            self._trusted_peer = watch.trusts(facts.peer_ip)
            if self._trusted_peer:
                given = valid_request_id(facts.request_id)
                if given is not None and redact_text(given) == given:  # a proxy hands on what a caller puts there
                    request_id = given
        else:
            self._trusted_peer = False
        self.request_id = request_id
        """The id this request has in its event and in the ``X-Request-ID`` of its answer."""
        context = RequestContext(request_id, None, None, self._known.token_id)
        if facts.traceparent is not None:
            context.trace_id, context.parent_request_id = parse_traceparent(facts.traceparent)
        self._context = context
        self._reset: Token[RequestContext | None] | None = current.set(context)

    def decide(self, decision: Decision) -> None:
        """Record what an authentication library found out, unless somebody already said."""
        if self._context.decision is None:
            self._context.decision = decision

    def vouch(self, subject: str | None) -> None:
        """The framework says that the token is authentic and, perhaps, whose it is; the answer says the rest."""
        self._vouched = True
        self._subject = subject

    @property
    def presented(self) -> bool:
        """Whether a token came with the request."""
        return self._known.token_id is not None

    @property
    def holds(self) -> bool:
        """Whether a token is live because of this request."""
        return self._tickets is not None

    def _holds(self, text: str) -> bool:
        """Whether *text* has this request's own token in it: then what is remembered of it will not do."""
        if self._tickets is not None:
            for credential in self._tickets.values():
                if credential in text:
                    return True
        return False

    def _credential(self) -> _Known:
        facts = self._facts
        words = facts.authorization.split(None, 1) if facts.authorization is not None else None
        tokens = _query_tokens(facts.query) if facts.query else ()
        for token in tokens:
            self._hold(token)
        if facts.other is not None:
            self._hold(facts.other[1])
        if words:
            scheme, credential = words[0], words[1].rstrip() if len(words) > 1 else ""
            self._source = "header"
            if credential or len(scheme) < MIN_LIVE:
                known = self._watch.read(scheme.lower()[:32], credential)
            else:
                known, credential = self._watch.read(None, scheme), scheme
            self._hold(credential, password=known.shown.scheme == "basic")
            if known.shown.state == State.FINE and facts.several is None and not tokens and facts.other is None:
                return known
            self._hold_odd(known.shown, scheme, credential)
            if facts.several is not None or tokens or facts.other is not None:
                self._reason = "multiple_tokens"
            return known
        if tokens:
            self._source = "query"
            self._reason = "query_token" if len(tokens) == 1 and facts.other is None else "multiple_tokens"
            return self._watch.read("bearer", tokens[0])
        if facts.other is not None:
            self._source, credential = facts.other
            return self._watch.read("bearer", credential)
        return _KNOWN_NOTHING

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
        if MIN_LIVE <= len(credential) <= _MAX_HELD:
            if self._tickets is None:
                self._tickets = {}
            self._tickets[live.add(credential, password=password)] = credential

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
            self._watch.emit(self._event(status, route, challenge, raised, judged or status))
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

    def end(self) -> None:
        """The request is over and no longer current."""
        self.leave()
        self.release()

    def _event(self, status: int, route: str | None, challenge: str | None, raised: bool, judged: int) -> AuthEvent:
        facts, known, context, watch = self._facts, self._known, self._context, self._watch
        shown = known.shown
        decision = context.decision
        outcome, reason, verified, required = classify(
            shown, judged, challenge, decision, self._now, routed=route != ""
        )
        if self._reason is not None and (reason is None or self._reason == "multiple_tokens"):
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
        if self._vouched and outcome in _AUTHENTIC:
            verified = True
            if self._subject is not None:
                subject_id = watch.subject(self._subject, shown.issuer)
        if decision is not None:
            if decision.subject is not None:
                subject_id = watch.subject(decision.subject, shown.issuer)
            client_id = decision.client_id or client_id
            scopes = decision.scopes or scopes
        agent, method, peer = facts.user_agent, facts.method, _address(facts.peer_ip)
        if agent is not None:
            agent = _bounded(agent, _MAX_AGENT) if len(agent) > _MAX_AGENT or self._holds(agent) else _agent(agent)
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
            watch.client_of(facts) if self._trusted_peer else peer,
            peer,
            agent,
            None,  # country, city, lat, lon and asn are the collector's
            None,
            None,
            None,
            None,
            context.request_id,
            context.trace_id,
            None,  # span_id
            context.parent_request_id,
        )


def _query_tokens(query: str) -> list[str]:
    """The values of ``access_token`` in a query string (RFC 6750 §2.3): one, or the caller is up to something.

    Frameworks decode the name too, so ``access%5Ftoken`` is no way round.
    """
    if "access_token=" not in query and "%" not in query:
        return []
    pairs = (pair.partition("=") for pair in query.split("&"))
    found = (unquote_plus(value) for name, _, value in pairs if value and unquote_plus(name) == "access_token")
    return list(islice(found, _MAX_TOKENS))


def reset_watches() -> None:
    """Forget every watch (tests)."""
    _watches.clear()
