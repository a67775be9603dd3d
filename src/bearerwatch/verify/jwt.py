"""JWT access tokens, by the book: RFC 7519, its best practices (RFC 8725) and the profile for access tokens (RFC 9068).

Sans-IO: keys come from a :class:`~bearerwatch.verify.keys.KeySource`. What is cheap and needs no key is checked first;
of a token whose signature does not hold nothing is believed, so that ``expired`` is said of authentic tokens alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from bearerwatch import _jws
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.verify import _strict
from bearerwatch.verify.binding import confirmed
from bearerwatch.verify.claims import Expected, media
from bearerwatch.verify.jwe import Decryption
from bearerwatch.verify.key import ALGORITHMS, Key
from bearerwatch.verify.keys import KeySource, KeysUnavailable
from bearerwatch.verify.verdict import Verdict

__all__ = ["JwtVerifier"]

_FOREIGN = frozenset({"jwk", "jku", "x5u"})
_MAX_HEADER = 8192
_USUAL_HEADER = 512
_MAX_KID = 256
_MAX_TRIED = 8
_MAX_KNOWN = 256


def _refused(outcome: Outcome, reason: str) -> Verdict:
    return Verdict(outcome=outcome, reason=reason)


_EMPTY = _refused(Outcome.MALFORMED, "empty_token")
_TOO_LONG = _refused(Outcome.MALFORMED, "too_long")
_BAD_CHARACTERS = _refused(Outcome.MALFORMED, "bad_characters")
_NOT_JWT = _refused(Outcome.MALFORMED, "not_jwt")
_BAD_HEADER = _refused(Outcome.MALFORMED, "bad_header")
_ALG_NONE = _refused(Outcome.INVALID, "alg_none")
_ALG = _refused(Outcome.INVALID, "alg_not_allowed")
_CRIT = _refused(Outcome.INVALID, "unknown_crit")
_UNTRUSTED = _refused(Outcome.INVALID, "untrusted_key")
_UNKNOWN_KID = _refused(Outcome.INVALID, "unknown_kid")
_SIGNATURE = _refused(Outcome.INVALID, "bad_signature")


def _unavailable(error: KeysUnavailable) -> Verdict:
    return Verdict(outcome=Outcome.ERROR, reason="keys_unavailable", retry_after=error.retry_after)


class _Header(NamedTuple):
    """A JOSE header that may be gone on with."""

    alg: str
    kid: str | None
    typ: str | None


class JwtVerifier:
    """Verifies the JWT access tokens of one issuer: ``verdict = verifier(token)``.

    Args:
        issuer: its ``iss``, compared character by character (RFC 8725 §3.8).
        audience: what this service is called in ``aud``; one of several will do (RFC 8725 §3.9).
        keys: the issuer's.
        algorithms: those that are allowed, such as ``("RS256",)``; the token has no say in it (RFC 8725 §3.1).
        leeway: seconds that clocks may be apart, up to 300.
        typ: header types that are taken, without ``application/``, and ``None`` where there need be none. Many issuers
            still sign access tokens as ``JWT``, as they do ID tokens: then nothing but ``aud`` tells them apart.
        required: claims that must be there; by default those of RFC 9068 where *typ* is ``at+jwt`` alone, else ``iss``,
            ``aud`` and ``exp``. ``exp`` always must.
        ignored_headers: those of ``jwk``, ``jku`` and ``x5u`` that this issuer puts into its tokens. They are not
            followed in any case; a token that has another one is refused.
        decryption: how encrypted tokens (JWE) are read; without it they are refused.
        confirmations: members of ``cnf`` that somebody else has checked, such as ``x5t#S256`` a proxy that ends mutual
            TLS (RFC 8705). A token that is bound in any other way is refused.
        clock: Unix time in seconds.

    Raises:
        ConfigurationError: an argument cannot be used; the message says which and what would do.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str | Collection[str],
        keys: KeySource,
        algorithms: Sequence[str],
        leeway: float = 60,
        typ: Sequence[str | None] = ("at+jwt",),
        required: Sequence[str] | None = None,
        ignored_headers: Collection[str] = (),
        decryption: Decryption | None = None,
        confirmations: Collection[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self._expected = Expected(
            issuer=issuer, audience=audience, leeway=leeway, typ=typ, required=required, clock=clock
        )
        self._algorithms = (algorithms,) if isinstance(algorithms, str) else tuple(algorithms)
        self._keys = keys
        self._foreign = _FOREIGN - frozenset(ignored_headers)
        self._decryption = decryption
        self._confirmations = frozenset(confirmations)
        self._headers: dict[str, _Header] = {}
        if unknown := sorted(set(self._algorithms) - ALGORITHMS):
            there = ", ".join(sorted(ALGORITHMS))
            raise ConfigurationError(f"algorithms: there is no {unknown[0]!r}; there are {there}")
        if not hasattr(keys, "afind"):
            raise ConfigurationError("keys: give Keys or Jwks, such as Jwks.discover(issuer)")
        if not self._algorithms:
            raise ConfigurationError("algorithms: name those the issuer signs with, such as RS256")
        if unknown := sorted(frozenset(ignored_headers) - _FOREIGN):
            raise ConfigurationError(f"ignored_headers: {unknown[0]!r} is ignored anyway; give some of jku, jwk, x5u")

    def __repr__(self) -> str:
        return f"JwtVerifier(issuer={self.issuer!r}, algorithms={self._algorithms!r})"

    def __call__(self, token: str, *, jkt: str | None = None) -> Verdict:
        """What *token* is good for. It waits only where its keys have never been there.

        Args:
            token: as presented, without its scheme.
            jkt: thumbprint of the key that its sender has proved to have (RFC 9449 §6); ``None`` if none was proved,
                and then a token that is bound to a key is refused.
        """
        opened = self._opened(token)
        if isinstance(opened, Verdict):
            return opened
        token, header = opened
        try:
            keys = self._keys.find(header.kid)
        except KeysUnavailable as error:
            return _unavailable(error)
        return self._judged(token, header, keys, jkt)

    async def averify(self, token: str, *, jkt: str | None = None) -> Verdict:
        """As calling it, without holding up the event loop where its keys are waited for."""
        opened = self._opened(token)
        if isinstance(opened, Verdict):
            return opened
        token, header = opened
        try:
            keys = await self._keys.afind(header.kid)
        except KeysUnavailable as error:
            return _unavailable(error)
        return self._judged(token, header, keys, jkt)

    def _opened(self, token: str) -> tuple[str, _Header] | Verdict:
        """The signed token, out of its envelope if it has one, and its header; or why it is none."""
        if not token:
            return _EMPTY
        if len(token) > _jws.MAX_LENGTH:
            return _TOO_LONG
        dots = token.count(".")
        if dots == 4:  # RFC 7516 §3.1
            if self._decryption is None:
                return _ALG if _jws.TOKEN68.match(token) else _BAD_CHARACTERS
            inner = self._decryption(token)
            if isinstance(inner, Verdict):
                return inner
            token, dots = inner, inner.count(".")
        if dots != 2:
            return _NOT_JWT if _jws.TOKEN68.match(token) else _BAD_CHARACTERS
        header = self._header(token[: token.index(".")])
        if isinstance(header, Verdict):
            return header if _jws.TOKEN68.match(token) else _BAD_CHARACTERS
        return token, header

    def _header(self, segment: str) -> _Header | Verdict:
        """What a header comes to.

        An issuer's good ones are alike, so they are remembered. What is none may be a piece of some other token.
        """
        known = self._headers.get(segment)
        if known is not None:
            return known
        if len(segment) > _MAX_HEADER:
            return _BAD_HEADER
        read = self._read(segment)
        if isinstance(read, _Header) and len(segment) <= _USUAL_HEADER:
            if len(self._headers) >= _MAX_KNOWN:
                self._headers.clear()
            self._headers[segment] = read
        return read

    def _read(self, segment: str) -> _Header | Verdict:
        raw = _strict.decoded(segment)
        if raw is None:
            return _NOT_JWT
        header = _strict.json_object(raw)
        if header is None:
            return _NOT_JWT if _jws.json_object(segment) is None else _BAD_HEADER  # an object, in two ways
        alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
        if not isinstance(alg, str):
            return _BAD_HEADER if "alg" in header else _NOT_JWT
        if alg.lower() == "none":
            return _ALG_NONE
        if alg not in self._algorithms:
            return _ALG
        if not isinstance(kid, str | None) or not isinstance(typ, str | None) or len(kid or "") > _MAX_KID:
            return _BAD_HEADER
        if "crit" in header:
            crit = header["crit"]
            fine = isinstance(crit, list) and crit and all(isinstance(name, str) and name in header for name in crit)
            return _CRIT if fine else _BAD_HEADER
        if not self._foreign.isdisjoint(header):
            return _UNTRUSTED
        return _Header(alg, kid, None if typ is None else media(typ))

    def _judged(self, token: str, header: _Header, keys: Sequence[Key], jkt: str | None) -> Verdict:
        fitting = [key for key in keys if key.algorithm(self._algorithms) == header.alg]
        if not fitting or len(fitting) > _MAX_TRIED:
            return _UNKNOWN_KID
        signed, _, signature_segment = token.rpartition(".")
        payload = _strict.decoded(signed[signed.index(".") + 1 :])
        signature = _strict.decoded(signature_segment)
        if payload is None or signature is None:
            return _BAD_CHARACTERS if not _jws.TOKEN68.match(token) else _NOT_JWT if payload is None else _SIGNATURE
        message = signed.encode("ascii")
        if not any(key.verifies(header.alg, message, signature) for key in fitting):
            return _SIGNATURE
        claims = _strict.json_object(payload)
        if claims is None:
            return Verdict(outcome=Outcome.INVALID, reason="bad_claim", verified=True)
        verdict = self._expected(claims, header.typ)
        return confirmed(verdict, jkt, self._confirmations) if verdict.accepted else verdict
