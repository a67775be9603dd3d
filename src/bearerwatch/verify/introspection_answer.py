"""What an authorization server's answer about a token comes to (RFC 7662 §2.2). Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.verify import _strict
from bearerwatch.verify.claims import concluded, is_date, misaddressed, scopes_of
from bearerwatch.verify.verdict import Verdict

__all__ = ["TOKEN_TYPES", "AnswerReader", "Unusable"]

TOKEN_TYPES = frozenset(("bearer", "dpop", "access_token", "urn:ietf:params:oauth:token-type:access_token"))
"""Values of ``token_type`` that access tokens have, in lower case."""
_OTHERS = frozenset(("refresh", "refresh_token", "offline", "id", "id_token"))
"""What servers call, in ``typ`` or ``token_use``, tokens that are for no service to take."""
_CLOCKS_APART = 60
"""Seconds: a server that says that a token is active knows better than our clock whether its time has begun."""
_TEXTS = ("sub", "username", "client_id", "iss", "token_type")
_INACTIVE = Verdict(outcome=Outcome.INVALID, reason="inactive")


class Unusable(Exception):  # noqa: N818 - says what the answer is
    """An answer nothing can be learned from.

    ``word`` says why: ``status``, ``type``, ``encoding``, ``size``, ``json``, ``active`` or ``refused``.
    ``server`` says whether it is the server that fails, or perhaps this one question.
    """

    def __init__(self, word: str, *, server: bool = True) -> None:
        super().__init__(word)
        self.word = word
        self.server = server


class AnswerReader:
    """Reads answers.

    Args:
        audience: what this service is called in ``aud``; one of several will do. ``None`` takes tokens for anybody.
        issuer: what ``iss`` has to be; ``None`` where the server does not say.
        leeway: seconds that a token is taken past its ``exp``.
        token_types: values of ``token_type`` that are taken, if the server names one.
        required: members that must be there.
        clock: Unix time in seconds.

    Raises:
        ConfigurationError: an argument cannot be used.
    """

    def __init__(
        self,
        *,
        audience: str | Collection[str] | None,
        issuer: str | None,
        leeway: float,
        token_types: Collection[str],
        required: Collection[str],
        clock: Callable[[], float],
    ) -> None:
        names = (audience,) if isinstance(audience, str) else audience
        self._audience = None if names is None else frozenset(names)
        if self._audience is not None and ("" in self._audience or not self._audience):
            raise ConfigurationError("audience: name what this service is called in aud, or give None to ask for none")
        if not 0 <= leeway <= 300:
            raise ConfigurationError("leeway: give seconds from 0 to 300")
        self._issuer, self._leeway, self._clock = issuer, leeway, clock
        self._types = frozenset(one.lower() for one in token_types)
        self._required = tuple(required)

    def usable(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        """Make sure that an answer's body is worth being read.

        Args:
            status: of HTTP.
            headers: names in lower case.

        Raises:
            Unusable: it is not.
        """
        if status in (401, 403):
            raise Unusable("refused")
        if status != 200:
            raise Unusable("status", server=status not in (400, 413, 414, 422))
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
            raise Unusable("type")
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            raise Unusable("encoding")

    def __call__(self, body: bytes, token: str) -> Verdict:
        """The verdict on *token*.

        Raises:
            Unusable: *body* is no answer.
        """
        claims = _strict.json_object(body)
        if claims is None:
            raise Unusable("json")
        active = claims.pop("active", None)
        if active is False:
            return _INACTIVE
        if active is not True:  # "true", 1 and the like are no answer: some parser may have made them of anything
            raise Unusable("active")
        if token in body.decode():
            claims = _without(claims, token)
        reason = self._wrong(claims)
        subject = claims.get("sub") or claims.get("username")
        return concluded(claims, reason, issuer=self._issuer, subject=subject, client=claims.get("client_id"))

    def past(self, expires_at: float) -> bool:
        """Whether a token with this ``exp`` is taken no longer."""
        return expires_at + self._leeway <= self._clock()

    def _wrong(self, claims: dict[str, Any]) -> str | None:
        """What is wrong with a token that is active."""
        if any(not isinstance(claims[name], str) for name in _TEXTS if claims.get(name) is not None):
            return "bad_claim"
        if scopes_of(claims) is None:
            return "bad_claim"
        if (reason := self._addressed(claims)) is not None:
            return reason
        kinds = (claims.get("typ"), claims.get("token_use"))
        if any(isinstance(kind, str) and kind.lower() in _OTHERS for kind in kinds):
            return "wrong_type"
        kind = claims.get("token_type")
        if kind is not None and kind.lower() not in self._types:
            return "wrong_type"
        if any(claims.get(name) is None for name in self._required):
            return "missing_claim"
        return self._timely(claims)

    def _addressed(self, claims: dict[str, Any]) -> str | None:
        issuer, audience = claims.get("iss"), claims.get("aud")
        if self._issuer is not None and issuer != self._issuer:
            return "missing_claim" if issuer is None else "wrong_issuer"
        if self._audience is None:
            return None
        if audience is None:
            return "missing_claim"
        return misaddressed(audience, self._audience)

    def _timely(self, claims: dict[str, Any]) -> str | None:
        if any(not is_date(claims[name]) for name in ("exp", "nbf", "iat") if claims.get(name) is not None):
            return "bad_claim"
        expires, begins = claims.get("exp"), claims.get("nbf")
        if expires is not None and self.past(expires):
            return "past_exp"
        if begins is not None and begins - _CLOCKS_APART > self._clock():
            return "not_yet_valid"
        return None


def _without(value: Any, token: str) -> Any:
    """*value* without whatever repeats *token*: some servers do, and a verdict holds none."""
    if isinstance(value, dict):
        return {
            name: _without(one, token)
            for name, one in value.items()
            if token not in name and not (isinstance(one, str) and token in one)
        }
    if isinstance(value, list):
        return [_without(one, token) for one in value if not (isinstance(one, str) and token in one)]
    return value
