"""What a request's credential tells by itself, and what the answer makes of it. Sans-IO.

Nothing here verifies a token: the service does that. This reads what was presented and, with the status
and challenge of the answer, says which :class:`~bearerwatch.event.Outcome` it was.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from msgspec import Struct

from bearerwatch import _jws
from bearerwatch.context import Decision
from bearerwatch.event import Outcome

__all__ = ["NOTHING", "Challenge", "Presented", "State", "Verdict", "classify", "present"]

_NEXT_SCHEME = re.compile(r",\s*[A-Za-z][A-Za-z0-9-]*\s+\S")
_PASETO = re.compile(r"v[1-4]\.(?:local|public)\.")
_PARAM = re.compile(r'\b(\w{1,64})\s*=\s*(?:"((?:[^"\\]|\\.){0,512})"|([^\s,"]{1,128}))')
_OTHER_SCHEMES = frozenset(
    [
        "apikey",
        "aws4-hmac-sha256",
        "basic",
        "concealed",
        "digest",
        "gnap",
        "hoba",
        "mutual",
        "negotiate",
        "ntlm",
        "privatetoken",
        "scram-sha-1",
        "scram-sha-256",
        "vapid",
    ]
)
"""Schemes that are named in events: the IANA registry's (RFC 9110 §16.4.1) and three in common use."""
_LEEWAY = 60
"""Seconds past ``exp`` before letting a token in looks wrong: services allow for clock skew."""


class State:
    """How far a credential got before anybody verified it."""

    NONE = 0
    """Nothing presented."""
    OTHER = 1
    """Credentials of a scheme that carries no bearer token."""
    BROKEN = 2
    """Cannot be a token, whoever looks at it."""
    SUSPECT = 3
    """Looks like a JWT and is none; if a service takes it all the same, it was an opaque token."""
    FINE = 4


class Presented(Struct, frozen=True, gc=False):
    """One credential as read. Everything in it comes from the sender; nothing is established."""

    state: int
    scheme: str | None = None
    reason: str | None = None
    token_kind: str | None = None
    signing_input: str | None = None
    alg_none: bool = False
    expires_at: int | None = None
    not_before: int | None = None
    subject: str | None = None
    issuer: str | None = None
    client_id: str | None = None
    scopes: str | None = None


NOTHING = Presented(State.NONE)


def present(scheme: str | None, credential: str, *, carries_token: bool) -> Presented:
    """Read *credential*, as sent under *scheme* (lower case; ``None`` when it came without one)."""
    if scheme is not None and not carries_token:  # an unknown word may be a piece of a token: it is not kept
        return Presented(State.OTHER, scheme if scheme in _OTHER_SCHEMES else "other", "wrong_scheme")
    if not credential:
        return Presented(State.BROKEN, scheme, "empty_token")
    if len(credential) > _jws.MAX_LENGTH:
        return Presented(State.BROKEN, scheme, "too_long")
    if not _jws.TOKEN68.match(credential):
        several = _NEXT_SCHEME.search(credential) is not None
        return Presented(State.BROKEN, scheme, "multiple_tokens" if several else "bad_characters")
    if scheme is None and credential.count(".") < 2:
        return Presented(State.OTHER, None, "wrong_scheme")
    reason = "wrong_scheme" if scheme is None else None
    jws = _jws.parse(credential)
    if jws is not None:
        return _read(jws, scheme, reason)
    if _PASETO.match(credential):
        return Presented(State.FINE, scheme, reason, "paseto")
    if credential.count(".") == 2 or credential.startswith("eyJ"):
        return Presented(State.SUSPECT, scheme, "not_jwt", "opaque")
    return Presented(State.FINE, scheme, reason, "opaque")


def _read(jws: _jws.Unverified, scheme: str | None, reason: str | None) -> Presented:
    claims = jws.claims
    alg = jws.header.get("alg")
    return Presented(
        State.FINE,
        scheme,
        reason,
        jws.kind,
        jws.signing_input,
        jws.kind == "jwt" and isinstance(alg, str) and alg.lower() == "none",
        _number(claims.get("exp")),
        _number(claims.get("nbf")),
        _text(claims.get("sub")),
        _text(claims.get("iss")),
        _text(claims.get("client_id")) or _text(claims.get("azp")),
        _scopes(claims.get("scope", claims.get("scp"))),
    )


def _number(value: Any) -> int | None:
    """A NumericDate that fits 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -(2**53) < value < 2**53:
        return None
    return int(value)


def _text(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value[:256] if isinstance(value, str) and value else None


def _scopes(value: Any) -> str | None:
    if isinstance(value, list):
        value = " ".join(item for item in value if isinstance(item, str))
    return value[:512] if isinstance(value, str) and value else None


class Challenge(NamedTuple):
    """What ``WWW-Authenticate`` says (RFC 6750 §3)."""

    error: str | None = None
    description: str = ""
    scope: str | None = None

    @classmethod
    def parse(cls, header: str | None) -> Challenge:
        """Read the header; anything unreadable counts as not said."""
        if not header:
            return _SILENT
        params = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAM.finditer(header[:4096])}
        return cls(params.get("error"), params.get("error_description", "").lower(), params.get("scope"))


_SILENT = Challenge()


class Verdict(NamedTuple):
    """The outcome of one request."""

    outcome: Outcome
    reason: str | None
    verified: bool
    required_scopes: str | None = None


_LET_IN = Verdict(Outcome.SUCCESS, None, False)
_ANONYMOUS = Verdict(Outcome.ANONYMOUS, None, False)
_NO_ROUTE = Verdict(Outcome.ANONYMOUS, "no_route", False)
_IGNORED = Verdict(Outcome.ANONYMOUS, "token_ignored", False)


def classify(
    shown: Presented,
    status: int,
    challenge_header: str | None,
    decision: Decision | None,
    now: float,
    *,
    routed: bool = True,
    noted: Decision | None = None,
) -> Verdict:
    """Say what became of the token of one request.

    Args:
        shown: what was presented.
        status: HTTP status of the answer.
        challenge_header: ``WWW-Authenticate`` of the answer, if any.
        decision: what the application itself said; it wins over everything.
        now: seconds since 1970, for ``exp`` and ``nbf``.
        routed: whether a route matched: if none did, nothing looked at the token.
        noted: what its library said; it wins over guesses, where the answer is the refusal that it speaks of.
    """
    if decision is not None and decision.outcome is not None:
        return Verdict(decision.outcome, decision.reason, decision.verified, decision.required_scopes)
    if status < 400:
        return _let_in(shown, now)
    if status == 499:
        return Verdict(Outcome.ERROR, "client_closed", False)
    if status >= 500:
        return Verdict(Outcome.ERROR, None, False)
    if status == 429:
        return Verdict(Outcome.THROTTLED, None, False)
    if noted is not None and noted.outcome is not None:
        if noted.reason == "unknown_token" and shown.state == State.BROKEN:  # none such, for it can be none
            return Verdict(Outcome.MALFORMED, shown.reason, False)
        return Verdict(noted.outcome, _more(noted.reason, shown, noted.outcome), noted.verified, noted.required_scopes)
    challenge = Challenge.parse(challenge_header)
    if status in (401, 403):
        return _refused(shown, status, challenge, now)
    if challenge.error == "invalid_token":
        return _refused(shown, 401, challenge, now)
    if challenge.error == "invalid_request" and shown.state >= State.BROKEN:
        return Verdict(Outcome.MALFORMED, shown.reason, False)
    if shown.state in (State.BROKEN, State.SUSPECT) and status in (400, 422):  # as Flask-JWT-Extended answers
        return Verdict(Outcome.MALFORMED, shown.reason, False)
    if not routed and shown.state >= State.SUSPECT and status in (400, 404, 405):
        return _NO_ROUTE
    return _let_in(shown, now)


def _more(reason: str | None, shown: Presented, outcome: Outcome) -> str | None:
    """*reason*, or what the credential tells by itself where that is more."""
    if outcome is Outcome.INVALID and shown.alg_none:
        return "alg_none"
    if outcome is Outcome.MALFORMED and shown.reason is not None:
        return shown.reason
    return reason


def _let_in(shown: Presented, now: float) -> Verdict:
    """What it means that a request was answered as usual, where nobody said anything about its token."""
    state = shown.state
    if state >= State.SUSPECT:
        if shown.alg_none:
            return Verdict(Outcome.SUCCESS, "alg_none", False)
        if shown.expires_at is not None and shown.expires_at + _LEEWAY < now:
            return Verdict(Outcome.SUCCESS, "past_exp", False)
        return _LET_IN
    return _IGNORED if state == State.BROKEN else _ANONYMOUS


def _refused(shown: Presented, status: int, challenge: Challenge, now: float) -> Verdict:
    if challenge.error == "insufficient_scope":
        return Verdict(Outcome.INSUFFICIENT_SCOPE, None, False, challenge.scope)
    state = shown.state
    if state == State.NONE:
        return Verdict(Outcome.MISSING, None, False)
    if state == State.OTHER:
        return Verdict(Outcome.MISSING, shown.reason, False)
    if state in (State.BROKEN, State.SUSPECT):
        return Verdict(Outcome.MALFORMED, shown.reason, False)
    description = challenge.description
    if "revoked" in description and "expired" in description:  # RFC 6750 §3.1 word for word, as many answer: either
        description = ""
    if "revoked" in description:
        return Verdict(Outcome.REVOKED, None, False)
    if shown.alg_none:
        return Verdict(Outcome.INVALID, "alg_none", False)
    if "expired" in description or (shown.expires_at is not None and shown.expires_at <= now):
        return Verdict(Outcome.EXPIRED, "past_exp", False)
    if status == 403 and challenge.error != "invalid_token":
        return Verdict(Outcome.FORBIDDEN, None, False)
    if shown.not_before is not None and shown.not_before > now + _LEEWAY:
        return Verdict(Outcome.INVALID, "not_yet_valid", False)
    return Verdict(Outcome.INVALID, shown.reason, False)
