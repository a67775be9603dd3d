"""One key that verifies signatures: it carries one algorithm, and weak ones are refused (RFC 8725 §3.1, §3.5)."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, cast

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from bearerwatch.verify import _strict

__all__ = ["ALGORITHMS", "Key", "UnfitKeyError", "base64url", "thumbprint"]

_OF_TYPE: dict[tuple[str, str | None], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("EC", "secp256k1"): ("ES256K",),
    ("OKP", "Ed25519"): ("Ed25519", "EdDSA"),
    ("OKP", "Ed448"): ("Ed448", "EdDSA"),
}
_HASH_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
ALGORITHMS = frozenset(JWSRegistry.algorithms) & {
    *_HASH_BYTES,
    *(name for names in _OF_TYPE.values() for name in names),
}
"""JWS algorithms that there are (RFC 7518 §3, RFC 8812 §3.2, RFC 9864), as far as joserfc has them; never ``none``."""
_THUMB = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
_MIN_RSA, _MAX_RSA = 2048, 16_384
_MAX_EXPONENT = 11
_MAX_KID = 256
_JoseKey = RSAKey | ECKey | OKPKey | OctKey


class UnfitKeyError(ValueError):
    """Why a key is left out, in one word for counting and in a sentence for people. It never holds the key."""

    def __init__(self, word: str, sentence: str) -> None:
        super().__init__(sentence)
        self.word = word


class Key:
    """One key, with the one algorithm that it verifies.

    Args:
        jwk: as RFC 7517 has it.

    Raises:
        UnfitKeyError: it verifies no signature, or is too weak; the message says which, and holds nothing of the key.
    """

    __slots__ = ("_jose", "alg", "fits", "kid", "symmetric", "thumbprint")

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        kid = jwk.get("kid")
        if kid is not None and (not isinstance(kid, str) or len(kid) > _MAX_KID):
            raise UnfitKeyError("malformed", f"its kid is to be text of at most {_MAX_KID} characters")
        kind = jwk.get("kty")
        self.symmetric = kind == "oct"
        self._jose = _read(jwk)
        crv = jwk.get("crv") if kind in ("EC", "OKP") else None
        self.fits: tuple[str, ...] = _symmetric_fits(self._jose) if self.symmetric else _of_type(kind, crv)
        alg = jwk.get("alg")
        if alg is not None and alg not in self.fits:
            raise UnfitKeyError("alg", "its alg is not one that a key of its type and size has")
        self.kid: str | None = kid
        self.alg: str | None = alg if alg is not None else self.fits[0] if len(self.fits) == 1 else None
        """``None`` where neither the key nor its type says: it is the first that the verifier allows, then."""
        self.thumbprint: str = "" if self.symmetric else thumbprint(jwk)
        """RFC 7638, base64url; empty for a secret, which is not to be hashed where others see it."""

    def __repr__(self) -> str:
        """Without what it is made of."""
        return f"Key(kid={self.kid!r}, alg={self.alg!r})"

    def algorithm(self, allowed: Sequence[str]) -> str | None:
        """The one algorithm this key is used with where *allowed* are; ``None`` if none of them."""
        if self.alg is not None:
            return self.alg if self.alg in allowed else None
        return next((name for name in allowed if name in self.fits), None)

    def verifies(self, alg: str, signed: bytes, signature: bytes) -> bool:
        """Whether *signature* is that of *signed* by *alg*, which the caller has found to be this key's."""
        try:
            return bool(JWSRegistry.algorithms[alg].verify(signed, signature, self._jose))
        except (ValueError, TypeError, KeyError, JoseError, UnsupportedAlgorithm):  # of a form that no signature has
            return False


def _of_type(kind: object, crv: object) -> tuple[str, ...]:
    return _OF_TYPE[cast("str", kind), cast("str | None", crv)]


def _symmetric_fits(key: _JoseKey) -> tuple[str, ...]:
    size = len(cast("OctKey", key).raw_value)
    return tuple(name for name, least in _HASH_BYTES.items() if size >= least)


def _read(jwk: Mapping[str, Any]) -> _JoseKey:
    kind, crv = jwk.get("kty"), jwk.get("crv")
    if kind == "oct":
        return _secret(jwk)
    if kind == "RSA":
        crv = None
    if not isinstance(kind, str) or not isinstance(crv, str | None) or (kind, crv) not in _OF_TYPE:
        raise UnfitKeyError("type", "it is of no type that verifies signatures: RSA, EC, Ed25519, Ed448 or a secret")
    if "d" in jwk:
        raise UnfitKeyError("private", "it is a private key: who verifies needs the public one alone")
    use, ops = jwk.get("use"), jwk.get("key_ops")
    if use not in (None, "sig") or not (ops is None or (isinstance(ops, list) and "verify" in ops)):
        raise UnfitKeyError("use", "it is not for signatures")
    members = {name: jwk[name] for name in _THUMB[kind] if name in jwk}
    if len(members) != len(_THUMB[kind]) or not all(isinstance(value, str) for value in members.values()):
        raise UnfitKeyError("malformed", "it lacks a parameter, or one is no text")
    if kind == "RSA":
        _sized(len(members["n"]) * 6, rough=True)
        if len(members["e"]) > _MAX_EXPONENT:  # who makes that up makes us work
            raise UnfitKeyError("size", "the exponent of an RSA key has at most 64 bits")
    try:
        if kind == "RSA":
            modulus = _strict.decoded(members["n"])
            _sized(0 if modulus is None else int.from_bytes(modulus).bit_length())
        return JWKRegistry.import_key(members)
    except (ValueError, TypeError, JoseError, UnsupportedAlgorithm) as error:
        if isinstance(error, UnfitKeyError):
            raise
        raise UnfitKeyError("malformed", "its parameters are those of no key") from None


def _sized(bits: int, *, rough: bool = False) -> None:
    if bits > _MAX_RSA + 64:
        raise UnfitKeyError("size", f"an RSA key has at most {_MAX_RSA} bits, for verifying by it takes too long else")
    if bits < _MIN_RSA and not rough:
        raise UnfitKeyError("weak", f"an RSA key has at least {_MIN_RSA} bits (RFC 7518 §3.3)")


def _secret(jwk: Mapping[str, Any]) -> OctKey:
    secret = jwk.get("k")
    raw = _strict.decoded(secret) if isinstance(secret, str) else None
    if raw is None:
        raise UnfitKeyError("malformed", "its k is no base64url")
    if len(raw) < _HASH_BYTES["HS256"]:
        raise UnfitKeyError(
            "weak", "a secret has at least 32 bytes for HS256, 48 for HS384, 64 for HS512 (RFC 7518 §3.2)"
        )
    if b"-----BEGIN " in raw or raw.startswith((b"ssh-", b"ecdsa-")):
        raise UnfitKeyError("type", "it is a public key, which is no secret")
    try:
        return OctKey.import_key({"kty": "oct", "k": cast("str", secret)})
    except (ValueError, JoseError):  # a certificate or a public key in DER
        raise UnfitKeyError("type", "it is a public key, which is no secret") from None


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The JWK thumbprint of a public key, by SHA-256 (RFC 7638 §3)."""
    members = {name: jwk[name] for name in _THUMB[jwk["kty"]]}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return base64url(hashlib.sha256(text.encode()).digest())


def base64url(raw: bytes) -> str:
    """*raw* in base64url without padding (RFC 7515 §2)."""
    return urlsafe_b64encode(raw).decode().rstrip("=")
