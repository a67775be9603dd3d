"""What is known about the request at hand, and the tokens in flight in this process.

The context is a ContextVar: it follows a request through async tasks. The *live* tokens are process-wide
on purpose: a ContextVar would not reach a plain thread that logs on the request's behalf.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from os import urandom
from typing import Any
from uuid import UUID

from msgspec import Struct

from bearerwatch import _trace
from bearerwatch._hosts import EVERYBODY, Hosts
from bearerwatch._jws import scopes_in
from bearerwatch._trace import parse_traceparent
from bearerwatch.event import Outcome

__all__ = [
    "Checked",
    "Decision",
    "RequestContext",
    "current",
    "decide",
    "heard",
    "lately",
    "live",
    "note",
    "onward",
    "onward_to",
    "parse_traceparent",
    "tells",
    "tells_everybody",
    "valid_request_id",
]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}\Z")
_MAX_LIVE = 10_000
_MAX_NAME = 256
_MAX_REASON = 64
_MAX_SCOPES = 512
_UNORDERED = (set, frozenset)
_SEVERAL = (list, tuple, *_UNORDERED)


_told = Hosts((EVERYBODY,))


class Decision(Struct, gc=False):
    """What an authentication library, or the application itself, found out about the token: see :func:`decide`."""

    outcome: Outcome | None
    """``None`` where only the holder is known: then the answer says what became of the request."""
    reason: str | None = None
    verified: bool = False
    subject: str | UUID | None = None
    client_id: str | None = None
    scopes: str | None = None
    required_scopes: str | None = None

    def add(self, subject: object, client_id: object, scopes: object, required_scopes: object) -> None:
        """Take over what is said, and leave what is not. Text is bounded here, a UUID made text when it is new."""
        if subject is not None:
            self.subject = subject if type(subject) is UUID else _text(subject)
        if client_id is not None:
            self.client_id = _text(client_id)
        if scopes is not None:
            self.scopes = _text(scopes, _MAX_SCOPES)
        if required_scopes is not None:
            self.required_scopes = _text(required_scopes, _MAX_SCOPES)


def _text(value: object, limit: int = _MAX_NAME) -> str | None:
    """What applications really pass, as text: numbers and UUIDs for ids, lists for scopes."""
    if type(value) is str:
        return value[:limit]
    if value is None:
        return None
    if isinstance(value, _SEVERAL):
        words = sorted(value, key=str) if isinstance(value, _UNORDERED) else value
        try:
            value = " ".join(words)
        except TypeError:  # not all of them are text
            value = " ".join(map(str, words))
    return str(value)[:limit]


class Checked(Struct, frozen=True, gc=False):
    """What became of a credential when it was checked, heard from the library that did."""

    outcome: Outcome
    reason: str | None = None
    verified: bool = False
    claims: Mapping[str, Any] | None = None
    """Those of a JWT that was found good."""

    @property
    def scopes(self) -> tuple[str, ...] | None:
        """Those the token has, where it says."""
        return None if self.claims is None else scopes_in(self.claims)


_GOOD = Decision(None, verified=True)


def heard(checked: Checked, noted: Decision | None) -> Decision | None:
    """What is known of a token once *checked* is added to what was *noted*, which says more of a refusal.

    That it is no JWT adds nothing: it may have been looked for elsewhere as well, and it shows.
    """
    if checked.outcome is Outcome.SUCCESS:
        claims = checked.claims
        odd = claims is not None and "scopes" in claims  # by the standard names they have been read
        if noted is None:
            if not odd:
                return _GOOD
            noted = Decision(None)
        noted.verified = True
        if odd and noted.scopes is None:
            noted.scopes = _text(checked.scopes, _MAX_SCOPES)
    elif checked.outcome is not Outcome.MALFORMED and (noted is None or noted.outcome is None):
        if noted is None:
            return Decision(checked.outcome, reason=checked.reason, verified=checked.verified)
        noted.outcome, noted.reason = checked.outcome, checked.reason
        noted.verified = noted.verified or checked.verified
    return noted


class RequestContext(Struct, gc=False):
    """One request: its ids, the decision if the application made one, and what its libraries know.

    In a background worker it is the request that caused the job at hand.
    """

    request_id: str
    trace_id: str | None = None
    parent_request_id: str | None = None
    token_id: str | None = None
    decision: Decision | None = None
    noted: Decision | None = None
    span_id: str | None = None
    """Of this request in its trace; drawn when it first logs a line or asks another service for something."""
    credential: str | None = None
    """What was presented, until the event is out: for those who check once more why it was refused."""
    checked: Checked | None = None
    """What became of it when it was last checked, where only the one who checks it hears that."""
    aside: Any = None
    """What the one who knows its library will want to know once it is answered."""
    task_id: str | None = None
    """In a background worker the id of the task or job at hand; the other ids are those of the request behind it."""
    trace_flags: str = _trace.SAMPLED
    """Of the trace, as two hex digits: what the caller said, where one is believed."""
    tracestate: str | None = None
    """What tracers of others want to know of the trace: passed on as it came."""
    span: Any = None
    """The tracer's span of this request, if the application records any."""
    shown: Any = None
    """The ids as log lines have them, once there was a line."""
    passed: dict[str, str] | None = None
    """What other services are told, once one was asked for something."""

    def begin_trace(self) -> None:
        """See to it that the request has a trace and a span of its own."""
        if self.span_id is None or self.trace_id is None:
            drawn = urandom(24).hex()
            self.trace_id = self.trace_id or drawn[:32]
            self.span_id = self.span_id or drawn[32:]

    def take_trace(self, traceparent: str, tracestate: str | None) -> None:
        """Belong to the trace that *traceparent*, of somebody who is believed, tells of; to none if it is no such."""
        self.passed = None
        self.trace_id, self.parent_request_id = parse_traceparent(traceparent)
        if self.trace_id is not None:
            self.trace_flags = _trace.passed_flags(traceparent)
            self.tracestate = _trace.parse_tracestate(tracestate)

    def __repr__(self) -> str:
        """Without the credential, for whoever logs it."""
        return f"RequestContext(request_id={self.request_id!r}, trace_id={self.trace_id!r}, token_id={self.token_id!r})"


current: ContextVar[RequestContext | None] = ContextVar("bearerwatch_request", default=None)
"""The request being served, or ``None`` outside of one."""
lately: ContextVar[RequestContext | None] = ContextVar("bearerwatch_lately", default=None)
"""The request this very task has served and is done with: some servers log it only then."""


def decide(
    outcome: Outcome | str,
    *,
    reason: str | None = None,
    verified: bool | None = None,
    subject: object = None,
    client_id: object = None,
    scopes: object = None,
    required_scopes: object = None,
) -> None:
    """Tell what became of the token of the current request, where the HTTP answer alone cannot.

    The last call wins. Outside of a request it does nothing.

    Args:
        outcome: an :class:`~bearerwatch.event.Outcome` or its value, such as ``"revoked"``.
        reason: snake_case; see :data:`bearerwatch.event.REASONS`.
        verified: whether the token's authenticity was established; by default only for success.
        subject: who holds the token; recorded as a pseudonym unless configured otherwise.
        client_id: OAuth client.
        scopes: scopes the token has, separated by spaces or in a list.
        required_scopes: scopes the request needs, likewise.

    Raises:
        ValueError: *outcome* is not one of the closed set.
    """
    context = current.get()
    outcome = Outcome(outcome)
    decision = Decision(
        outcome,
        None if reason is None else _text(reason, _MAX_REASON),
        outcome is Outcome.SUCCESS if verified is None else bool(verified),
    )
    decision.add(subject, client_id, scopes, required_scopes)
    if context is not None:
        context.decision = decision


def note(
    outcome: Outcome | None = None,
    *,
    reason: str | None = None,
    verified: bool = False,
    subject: object = None,
    client_id: object = None,
    scopes: object = None,
    required_scopes: object = None,
) -> None:
    """What an authentication library knows of the token of the current request.

    What was noted before and is not said anew stays. Unlike with :func:`decide` the answer has to agree: a refusal that
    is noted counts if the request is refused.
    """
    context = current.get()
    if context is None:
        return
    noted = context.noted
    if noted is None:
        noted = context.noted = Decision(None)
    if outcome is not None:
        noted.outcome, noted.reason = outcome, _text(reason, _MAX_REASON)
    if verified:
        noted.verified = True
    noted.add(subject, client_id, scopes, required_scopes)


def onward_to(hosts: Hosts) -> None:
    """From now on other services are told which request they are asked for if they are among *hosts*."""
    global _told  # noqa: PLW0603
    _told = hosts


def tells(host: str) -> bool:
    """Whether the service at *host* is told which request it is asked for."""
    return host in _told


def tells_everybody() -> bool:
    """Whether every service is told that."""
    return _told.everybody


def onward(host: str | None = None) -> dict[str, str]:
    """The headers that tell another service which request it is asked for, and never a credential.

    ``X-Request-ID`` and ``traceparent``, with the ``tracestate`` that came with the trace; of the tracer's span that is
    active, if there is one. None outside of a request. The other service takes them as its own if it trusts this one as
    a proxy. https://www.w3.org/TR/trace-context/

    Args:
        host: whom they go to; none if ``correlate_to`` does not name it.
    """
    context = current.get()
    if context is None or (host is not None and host not in _told):
        return {}
    span = None if _trace.tracer is None else _trace.tracer.active()
    if span is not None:
        trace_id, span_id, flags, state = span
        headers = {"X-Request-ID": context.request_id, "traceparent": f"00-{trace_id}-{span_id}-{flags}"}
        if state is not None:
            headers["tracestate"] = state
        return headers
    if context.passed is None:
        context.begin_trace()
        context.passed = {
            "X-Request-ID": context.request_id,
            "traceparent": f"00-{context.trace_id}-{context.span_id}-{context.trace_flags}",
        }
        if context.tracestate is not None:
            context.passed["tracestate"] = context.tracestate
    return context.passed.copy()


def valid_request_id(value: str | None) -> str | None:
    """*value* if it may be logged as a request id (8 to 128 of ``A-Za-z0-9._-``), else ``None``."""
    return value if value is not None and len(value) <= 128 and _REQUEST_ID.match(value) else None


class _Live:
    """Credentials of the requests in flight. Every operation is one atomic dict operation: no lock."""

    __slots__ = ("_held", "_passwords", "fresh", "slashed")

    def __init__(self) -> None:
        self._held: dict[object, str] = {}
        self._passwords: dict[object, str] = {}
        self.fresh: dict[object, str] = {}
        """Those held that nobody has looked for yet."""
        self.slashed = 0
        """How many credentials with a slash in them have been held so far: only those span path segments."""

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, credential: str, *, password: bool = False) -> object:
        """Hold *credential* until :meth:`discard` is called with what this returns.

        Args:
            credential: what is not to be logged.
            password: it is, or holds, a password: it is masked and not fingerprinted.
        """
        ticket = object()
        if password:
            self._passwords[ticket] = credential
        self.hold(ticket, credential, slashed="/" in credential)
        return ticket

    def hold(self, ticket: object, credential: str, *, slashed: bool) -> None:
        """Hold *credential* until *ticket* is discarded; *slashed* says whether it has a slash in it."""
        if slashed:
            self.slashed += 1
        if len(self._held) >= _MAX_LIVE:  # somebody never closes: forget the oldest
            with suppress(StopIteration, RuntimeError):  # another thread was quicker
                self.discard(next(iter(self._held)))
        self._held[ticket] = self.fresh[ticket] = credential

    def discard(self, ticket: Any) -> None:
        """Let go of a credential."""
        self._held.pop(ticket, None)
        self.fresh.pop(ticket, None)
        if self._passwords:
            self._passwords.pop(ticket, None)

    def passwords(self) -> frozenset[str]:
        """Of the credentials held, those that are passwords."""
        return frozenset(tuple(self._passwords.values())) if self._passwords else frozenset()

    def values(self) -> tuple[str, ...]:
        return tuple(self._held.values()) if self._held else ()


live = _Live()
"""Tokens the redactor removes wherever they turn up, for as long as their requests last."""
