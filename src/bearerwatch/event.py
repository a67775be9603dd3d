"""The event every part of bearerwatch speaks: one flat, frozen, versioned record.

Names follow RFC 6750/7519 (OAuth, JWT), W3C Trace Context and OpenTelemetry semantic conventions.
This module is pure data: it imports nothing of bearerwatch.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

__all__ = ["FAILURES", "REASONS", "REPEATED", "SCHEMA_VERSION", "AuthEvent", "Kind", "Outcome"]

SCHEMA_VERSION = 1
"""Version of the wire format. Adding an optional field keeps it; anything else raises it."""


class Kind(StrEnum):
    """What an event is about."""

    AUTH = "auth"
    """One request and what became of its token."""
    LEAK = "leak"
    """Redaction kept a token out of a log, and ``detail`` names the line of code that tried: at most one a minute and
    line, with how often as ``count``."""
    HEARTBEAT = "heartbeat"
    """A process is alive; ``detail`` holds its counters. Reserved: not emitted yet."""
    AUDIT = "audit"
    """Somebody did something in bearerwatch itself. Reserved: not emitted yet."""


class Outcome(StrEnum):
    """What became of the token of one request. A closed set."""

    SUCCESS = "success"
    """A token was presented and the request was let in."""
    ANONYMOUS = "anonymous"
    """No token, and let in: a public route or health check. Never a failure."""
    MISSING = "missing"
    """No token where one is required."""
    MALFORMED = "malformed"
    """Something was presented that cannot be a token."""
    INVALID = "invalid"
    """A well-formed token was refused."""
    EXPIRED = "expired"
    """A token past its ``exp`` was refused."""
    REVOKED = "revoked"
    """A token that had been withdrawn was refused."""
    INSUFFICIENT_SCOPE = "insufficient_scope"
    """A good token without the scope this request needs (RFC 6750 §3.1)."""
    FORBIDDEN = "forbidden"
    """A good token whose holder may not do this."""
    THROTTLED = "throttled"
    """Refused for its rate (429)."""
    ERROR = "error"
    """The service failed (5xx)."""


FAILURES: frozenset[Outcome] = frozenset(
    {
        Outcome.MISSING,
        Outcome.MALFORMED,
        Outcome.INVALID,
        Outcome.EXPIRED,
        Outcome.REVOKED,
        Outcome.INSUFFICIENT_SCOPE,
        Outcome.FORBIDDEN,
        Outcome.THROTTLED,
        Outcome.ERROR,
    }
)
"""Outcomes that are not a request let in. They are logged as WARNING."""

REPEATED = "told_by_service"
"""The reason of an access log's event whose request another source has told of: rules do not count it again."""

REASONS: dict[str, str] = {
    "alg_none": "The JWT header says alg=none (RFC 8725 §3.2).",
    "alg_not_allowed": "The JWT header names an algorithm the service does not allow.",
    "bad_claim": "A claim of the JWT is of the wrong form, or not what the service takes.",
    "bad_signature": "The signature does not verify.",
    "empty_token": "A scheme without a credential, such as 'Authorization: Bearer'.",
    "csrf_failed": "The token came in a cookie, without the proof that the holder's own page sent it.",
    "client_closed": "The connection ended before there was an answer (status 499, as nginx has it).",
    "exception": "The application raised; the status is what its server answers then.",
    "function_forbidden": "The holder may not call this function at all.",
    "inactive": "Introspection says the token is not active (RFC 7662 §2.2).",
    "multiple_tokens": "More than one token in one request (RFC 6750 §2).",
    "no_route": "No route matched, so nothing looked at the token that was presented.",
    "not_fresh": "The service asks for a more recent sign-in than the token is of (RFC 9470).",
    "not_jwt": "Looks like a JWT but its header is not base64url-encoded JSON.",
    "not_yet_valid": "The JWT's nbf lies in the future (RFC 7519 §4.1.5).",
    "object_forbidden": "The holder may not touch this object.",
    "past_exp": "The token's expiry has passed; a JWT's is its exp (RFC 7519 §4.1.4).",
    "query_token": "The token came in the query string, where logs and Referer see it (RFC 9700 §2.4).",
    "token_ignored": "Something malformed was presented and the request was let in all the same.",
    "too_long": "The credential is longer than any token the service would issue.",
    "unknown_kid": "No key is known by the JWT's kid.",
    "unknown_token": "No such token.",
    "untrusted_key": "The JWT brings its own key (jwk, jku, x5u).",
    "wrong_audience": "The token is for another service; a JWT names it in its aud.",
    "wrong_issuer": "The JWT's iss is not trusted.",
    "wrong_scheme": "Credentials of another scheme than the service takes, such as Basic.",
    "wrong_type": "The JWT's typ is not that of an access token (RFC 9068 §4).",
    "blacklisted": "The token is on the service's list of withdrawn ones.",
    "inactive_subject": "The holder's account is closed or locked.",
    "missing_claim": "The JWT lacks a claim that the service asks for.",
    "password_changed": "The holder's password was changed after the token was issued.",
    "unknown_subject": "The token's holder does not exist (any more).",
    "bad_characters": "The credential holds characters outside token68 (RFC 6750 §2.1).",
    "bad_header": "A header parameter of the JWT is of the wrong form, or stands there twice (RFC 7515 §4).",
    "unknown_crit": "The JWT's crit names an extension that the service does not know (RFC 7515 §4.1.11).",
    "keys_unavailable": "The keys of the token's issuer cannot be had just now, so nothing is known of the token.",
    "introspection_unavailable": "The server that knows the token cannot be asked just now, so nothing is known of it.",
    "missing_proof": "The token is bound to a key, and came without proof that its sender has that (RFC 9449 §7.2).",
    "bad_proof": "The DPoP proof does not hold, or is for another request (RFC 9449 §4.3).",
    "replayed_proof": "The DPoP proof has been used before (RFC 9449 §11.1).",
    "nonce_wanted": "The DPoP proof lacks the nonce that the service has given (RFC 9449 §9).",
    "weak_sign_in": "The service asks for a stronger sign-in than the token is of (RFC 9470).",
    "not_bound": "A DPoP proof by another key than the token's, or with a token of no key (RFC 9449 §7.1).",
    "not_logged": "Of an access log, which does not say whether a token was presented: the outcome is the status's.",
    "no_answer": "Of an access log, which names no status: the connection ended without an answer.",
    REPEATED: "Of an access log, whose request a service has told of itself: kept for the timeline, no rule counts it.",
}
"""Reasons bearerwatch itself gives and what they mean. The set is open: adapters add their own."""


class AuthEvent(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    gc=False,
    tag_field="schema_version",
    tag=SCHEMA_VERSION,
):
    """One event. Never holds a token: what travels is its keyed fingerprint.

    Fields left out on the wire have the value given here. ``None`` means "not known". New fields go to the
    end: the request path builds events by position, which is three times faster than by name.
    """

    # what
    kind: Kind
    event_id: str
    """UUIDv7 (RFC 9562 §5.7) in its 36-character form."""
    ts: datetime
    """When the request arrived, or whatever it is about happened: aware, UTC, microseconds."""
    outcome: Outcome | None = None
    """``None`` unless ``kind`` is ``auth``."""
    reason: str | None = None
    """Why, in snake_case; see :data:`REASONS`. Of a leak, the form by which the token was told, such as ``jwt``."""
    verified: bool = False
    """Whether the token's authenticity was established by the service, not merely read."""
    status: int | None = None
    """HTTP status answered; for a websocket 101, or the status of its refusal."""
    duration_us: int | None = None
    """Microseconds from arrival to the event."""
    count: int = 1
    """How many like events this one stands for (over quota, repeated events are aggregated)."""
    detail: str | None = None
    """Redacted free text of the kinds other than ``auth``; of a leak ``<file>:<line> <logger>``."""

    # where
    service: str | None = None
    instance: str | None = None
    """Host name and process id."""
    method: str | None = None
    route: str | None = None
    """The route's template, such as ``/orders/{id}``; ``None`` when no route matched."""
    path: str | None = None
    """The path, redacted and without its query string."""

    # who
    token_id: str | None = None
    """``<key id>:<HMAC>``; for a well-formed JWT over ``header.payload``, so that re-signing shows."""
    token_id_prev: str | None = None
    """The same under the previous key, while keys rotate."""
    presented_id: str | None = None
    """``<key id>:<HMAC>`` of the whole credential as sent."""
    scheme: str | None = None
    """Authentication scheme in lower case."""
    token_kind: str | None = None
    """``jwt``, ``jwe``, ``paseto``, ``opaque``."""
    token_source: str | None = None
    """``header``, ``query`` (``access_token``), ``subprotocol``; adapters add ``cookie`` and ``form``; of a leak
    ``log``."""
    subject_id: str | None = None
    """Pseudonym of the subject unless plain subjects are configured."""
    client_id: str | None = None
    issuer: str | None = None
    scopes: str | None = None
    """Space-separated, as in RFC 6749 §3.3."""
    required_scopes: str | None = None
    """Space-separated scopes the request needed."""
    expires_at: int | None = None
    """NumericDate: seconds since 1970 (RFC 7519 §2)."""

    # from
    client_ip: str | None = None
    """The caller: the peer, or what trusted proxies say it is."""
    peer_ip: str | None = None
    """The other end of the connection."""
    user_agent: str | None = None
    country: str | None = None
    """ISO 3166-1 alpha-2, added by the collector, as are the four that follow."""
    city: str | None = None
    lat: float | None = None
    lon: float | None = None
    asn: int | None = None

    # chain
    request_id: str | None = None
    trace_id: str | None = None
    """W3C trace id, 32 hex digits: a tracer's, a trusted caller's, or made here."""
    span_id: str | None = None
    """This request's span, 16 hex digits: a tracer's, else made when it first logs a line or asks another service."""
    parent_request_id: str | None = None
    """The caller's span id (from the ``traceparent`` of a trusted one)."""

    @property
    def schema_version(self) -> int:
        """Version of the wire format this event is written in."""
        return SCHEMA_VERSION
