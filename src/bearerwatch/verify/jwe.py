"""Encrypted tokens (JWE, RFC 7516): the signed one is taken out of its envelope, with bounds on what that may cost."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from bearerwatch import _jws
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.verify import _strict
from bearerwatch.verify.verdict import Verdict

__all__ = ["Decryption"]

_ALLOWED = frozenset(
    {"RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "A128KW", "A256KW", "A128GCMKW"}
    | {"A256GCMKW", "dir"}
)
"""Not RSA1_5, whose padding tells too much, and not PBES2, whose sender says how long it takes (RFC 8725 §3.2)."""
_ENCODINGS = frozenset({"A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"})
_ALG = Verdict(outcome=Outcome.INVALID, reason="alg_not_allowed")
_BROKEN = Verdict(outcome=Outcome.MALFORMED, reason="not_jwt")
_TOO_LONG = Verdict(outcome=Outcome.MALFORMED, reason="too_long")
_UNREADABLE = Verdict(outcome=Outcome.INVALID, reason="bad_signature")


class Decryption:
    """Takes a signed token out of an encrypted one.

    Args:
        keys: this service's private keys, or secrets, as RFC 7517 has them: few, for a token that names none by its
            ``kid`` is tried with each.
        algorithms: how their content key may be wrapped, such as ``("RSA-OAEP-256",)``.
        encodings: how their content may be encrypted.

    Raises:
        ConfigurationError: no key, one that cannot be read, or an algorithm that is not to be used.
    """

    def __init__(
        self,
        keys: Sequence[Mapping[str, Any]],
        *,
        algorithms: Sequence[str],
        encodings: Sequence[str] = ("A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"),
    ) -> None:
        if bad := sorted(set(algorithms) - _ALLOWED):
            raise ConfigurationError(
                f"decryption: {bad[0]!r} is not to be used; there are {', '.join(sorted(_ALLOWED))}"
            )
        if bad := sorted(set(encodings) - _ENCODINGS):
            raise ConfigurationError(f"decryption: there is no encoding {bad[0]!r}: {', '.join(sorted(_ENCODINGS))}")
        if not keys or not algorithms or not encodings:
            raise ConfigurationError("decryption: give at least one key, one algorithm and one encoding")
        try:
            self._keys = [JWKRegistry.import_key(dict(key)) for key in keys]
        except (ValueError, TypeError, JoseError):
            raise ConfigurationError("decryption: a key cannot be read: give it as a JWK (RFC 7517)") from None
        self._algorithms = frozenset(algorithms)
        self._encodings = frozenset(encodings)
        self._registry = jwe.JWERegistry(algorithms=[*algorithms, *encodings, "DEF"], strict_check_header=False)

    def __repr__(self) -> str:
        return f"Decryption(algorithms={sorted(self._algorithms)!r})"

    def __call__(self, token: str) -> str | Verdict:
        """The signed token that *token* envelops, or why there is none.

        What is decompressed is bounded by joserfc at 250 KiB while it is read, whatever it would come to.
        """
        raw = _strict.decoded(token.partition(".")[0])
        header = None if raw is None else _strict.json_object(raw)
        if header is None:
            return _BROKEN
        if header.get("alg") not in self._algorithms or header.get("enc") not in self._encodings:
            return _ALG
        kid = header.get("kid")
        for key in self._keys:
            if kid is None or key.kid is None or key.kid == kid:
                try:
                    inner = jwe.decrypt_compact(token, key, registry=self._registry).plaintext
                except (ValueError, TypeError, KeyError, JoseError, zlib.error):
                    continue
                return _signed(inner or b"")
        return _UNREADABLE


def _signed(inner: bytes) -> str | Verdict:
    if len(inner) > _jws.MAX_LENGTH:
        return _TOO_LONG
    try:
        return inner.decode("ascii")
    except UnicodeDecodeError:
        return _BROKEN
