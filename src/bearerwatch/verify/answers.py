"""What a refused request is answered: RFC 6750 §3 for clients, RFC 9457 for people, and no more than either asks for.

Which of its checks a token has failed is for the event alone: a caller who tries tokens learns nothing from the answer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.verify.verdict import Verdict

__all__ = ["ANYTHING", "PROBLEM", "Answer", "Challenges", "Need", "about"]

PROBLEM = "application/problem+json"
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+\Z")
_QUOTABLE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*\Z")
_REQUEST = frozenset({"multiple_tokens", "empty_token"})
_PROOF = {
    "bad_proof": "invalid_dpop_proof",
    "replayed_proof": "invalid_dpop_proof",
    "nonce_wanted": "use_dpop_nonce",
}
_SIGN_IN = frozenset({"not_fresh", "weak_sign_in"})
_RETRY_AFTER = 5


class Need(NamedTuple):
    """What a route asks of a token besides being good."""

    scopes: tuple[str, ...] = ()
    """All of them."""
    acr_values: tuple[str, ...] = ()
    """Of the ways to have signed in (``acr``), any one of these (RFC 9470 §4)."""
    max_age: int | None = None
    """Seconds since its holder signed in (``auth_time``), at most (RFC 9470 §4)."""

    @classmethod
    def of(
        cls, scopes: str | Sequence[str] = (), acr_values: str | Sequence[str] = (), max_age: int | None = None
    ) -> Need:
        """As developers say it: scopes in a list, or in one text separated by spaces.

        Raises:
            ConfigurationError: a scope holds what none may (RFC 6749 §3.3), or *max_age* is negative.
        """
        need = cls(_words(scopes), _words(acr_values), max_age)
        for word in (*need.scopes, *need.acr_values):
            if not _SCOPE.match(word):
                raise ConfigurationError(f"{word!r} is no scope: it holds a space, a quote, a backslash or the like")
        if max_age is not None and max_age < 0:
            raise ConfigurationError("max_age: give seconds, 0 or more")
        return need


ANYTHING = Need()
"""Any good token will do."""


def _words(value: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(value.split()) if isinstance(value, str) else tuple(value)


class Answer(NamedTuple):
    """An answer to a request that was refused."""

    status: int
    headers: tuple[tuple[str, str], ...]
    problem: dict[str, str | int]
    """RFC 9457 §3; ``error`` is the code of RFC 6750 §3.1, if there is one."""

    @property
    def body(self) -> bytes:
        """The problem in JSON."""
        return json.dumps(self.problem).encode()

    @property
    def challenge(self) -> str | None:
        """``WWW-Authenticate``."""
        return next((value for name, value in self.headers if name == "WWW-Authenticate"), None)

    @property
    def retry_after(self) -> int | None:
        """``Retry-After``, in seconds."""
        return next((int(value) for name, value in self.headers if name == "Retry-After"), None)


class Challenges:
    """Makes answers.

    Args:
        schemes: those that tokens may come with, of ``Bearer`` and ``DPoP``.
        realm: what is protected, for people (RFC 9110 §11.5).
        resource_metadata: URL of this service's metadata (RFC 9728 §5.1).
        algs: algorithms of DPoP proofs (RFC 9449 §7.1).

    Raises:
        ConfigurationError: a text cannot stand in a header.
    """

    def __init__(
        self,
        schemes: Sequence[str] = ("Bearer",),
        *,
        realm: str | None = None,
        resource_metadata: str | None = None,
        algs: Sequence[str] = (),
    ) -> None:
        if not schemes or not set(schemes) <= {"Bearer", "DPoP"}:
            raise ConfigurationError("schemes: give Bearer, DPoP or both")
        for name, value in (("realm", realm), ("resource_metadata", resource_metadata)):
            if value is not None and not _QUOTABLE.match(value):
                raise ConfigurationError(
                    f"{name}: it cannot stand in a header: leave out quotes, backslashes and controls"
                )
        self._schemes = tuple(schemes)
        self._always = {"realm": realm, "resource_metadata": resource_metadata}
        self._algs = " ".join(algs)

    def __call__(
        self, verdict: Verdict, need: Need = ANYTHING, *, scheme: str = "Bearer", nonce: str | None = None
    ) -> Answer:
        """The answer to a request whose token has *verdict*.

        Args:
            verdict: which is no success.
            need: what the route asks for.
            scheme: with which the token came.
            nonce: to be sent along for the next proof (RFC 9449 §9).
        """
        status, error, more = _said(verdict, need)
        headers = [("Cache-Control", "no-store")]
        if status in (400, 401) or error is not None:
            headers.append(("WWW-Authenticate", self.challenge(scheme, error, **more)))
        if status == 503:
            wait = _RETRY_AFTER if verdict.retry_after is None else min(max(math.ceil(verdict.retry_after), 1), 3600)
            headers.append(("Retry-After", str(wait)))
        if nonce is not None:
            headers.append(("DPoP-Nonce", nonce))
        problem = about(status)
        if error is not None:
            problem["error"] = error
        return Answer(status, tuple(headers), problem)

    def challenge(self, scheme: str = "Bearer", error: str | None = None, **more: str) -> str:
        """``WWW-Authenticate``: every scheme there is, and what is wrong with the one that was used, first."""
        used = scheme if scheme in self._schemes else self._schemes[0]
        if error in _PROOF.values() and "DPoP" in self._schemes:
            used = "DPoP"
        said = [self._one(used, {"error": error, **more})]
        said += [self._one(other, {}) for other in self._schemes if other != used]
        return ", ".join(said)

    def _one(self, scheme: str, told: dict[str, str | None]) -> str:
        params = self._always | told
        if scheme == "DPoP":
            params["algs"] = self._algs or None
        listed = ", ".join(f'{name}="{value}"' for name, value in params.items() if value is not None)
        return f"{scheme} {listed}" if listed else scheme


def about(status: int) -> dict[str, str | int]:
    """The problem of which *status* says all (RFC 9457 §4.2.1)."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}


def _said(verdict: Verdict, need: Need) -> tuple[int, str | None, dict[str, str]]:
    """Status, error code and parameters: three codes for everything that can be wrong with a token."""
    outcome, reason = verdict.outcome, verdict.reason
    if outcome in (Outcome.ERROR, Outcome.THROTTLED):
        return 503, None, {}
    if outcome is Outcome.MISSING:
        return 401, None, {"scope": " ".join(need.scopes)} if need.scopes else {}
    if outcome is Outcome.INSUFFICIENT_SCOPE:
        return 403, "insufficient_scope", {"scope": " ".join(need.scopes)} if need.scopes else {}
    if reason in _SIGN_IN:
        asked = {"acr_values": " ".join(need.acr_values)} if need.acr_values else {}
        if need.max_age is not None:
            asked["max_age"] = str(need.max_age)
        return 401, "insufficient_user_authentication", asked
    if outcome is Outcome.FORBIDDEN:
        return 403, None, {}
    if outcome is Outcome.MALFORMED and reason in _REQUEST:
        return 400, "invalid_request", {}
    return 401, _PROOF.get(reason or "", "invalid_token"), {}
