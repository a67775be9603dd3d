"""Where keys come from: the operator's own, and sets of them that an issuer publishes (RFC 7517 §5).

The operator's (:class:`Keys`) do not change, so that a bad one is an error at the start. Of those published
(:func:`published`) a bad one is left out and counted, and the others go on working.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from bearerwatch.errors import BearerwatchError, ConfigurationError
from bearerwatch.verify import _strict
from bearerwatch.verify.key import Key, UnfitKeyError, base64url

__all__ = ["KeySource", "Keys", "KeysUnavailable", "Published", "published"]

_MAX_KEYS = 100


class KeysUnavailable(BearerwatchError):  # noqa: N818 - a state of affairs, and not a mistake
    """The issuer's keys cannot be had just now.

    Args:
        retry_after: seconds after which asking again may help.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__("the issuer's keys cannot be had just now")
        self.retry_after = retry_after


class KeySource(Protocol):
    """Where a verifier finds the keys for a token's ``kid``: fixed ones, or those an issuer publishes."""

    def find(self, kid: str | None) -> Sequence[Key]:
        """The keys that *kid* may mean; all of them if the token names none. May wait where none is known yet.

        Raises:
            KeysUnavailable: they cannot be had just now.
        """

    async def afind(self, kid: str | None) -> Sequence[Key]:
        """As :meth:`find`, without holding up the event loop."""


class Keys:
    """Keys that do not change while the process runs.

    Args:
        keys: at least one; those of several issuers belong in several verifiers.

    Raises:
        ConfigurationError: there is none.
    """

    def __init__(self, keys: Iterable[Key]) -> None:
        self._all = tuple(keys)
        if not self._all:
            raise ConfigurationError("give at least one key: nothing can be verified without")
        self._by_kid = _by_kid(self._all)

    def __repr__(self) -> str:
        return f"Keys({list(self._all)!r})"

    def __iter__(self) -> Iterator[Key]:
        return iter(self._all)

    @classmethod
    def from_pem(cls, pem: str | bytes, *, kid: str | None = None, alg: str | None = None) -> Keys:
        """One public key, or that of a certificate, in PEM (RFC 7468).

        Args:
            pem: begins with ``-----BEGIN PUBLIC KEY-----`` or ``-----BEGIN CERTIFICATE-----``.
            kid: the ``kid`` of tokens signed by it. Without one it is tried for tokens of any ``kid``.
            alg: its algorithm; needed of an RSA key only where not the first one allowed is its.

        Raises:
            ConfigurationError: it is no public key, is too weak or not of *alg*. The message holds nothing of it.
        """
        raw = pem.encode() if isinstance(pem, str) else pem
        if b"PRIVATE KEY" in raw:
            raise ConfigurationError("the PEM holds a private key: verifying needs the public one alone")
        native: Any = None
        try:
            if b"BEGIN CERTIFICATE" in raw:
                native = x509.load_pem_x509_certificate(raw).public_key()
            else:
                native = load_pem_public_key(raw)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ConfigurationError("the PEM holds no public key or certificate that can be read") from None
        if isinstance(native, rsa.RSAPublicKey):
            numbers = native.public_numbers()
            jwk: dict[str, Any] = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        else:
            jwk = _as_jwk(native)
        return cls.from_jwk(jwk | _named(kid, alg))

    @classmethod
    def from_secret(cls, secret: bytes, *, alg: str = "HS256", kid: str | None = None) -> Keys:
        """A secret shared with the issuer. Whoever has it can make tokens: prefer a public key.

        Raises:
            ConfigurationError: it is shorter than the hash of *alg* (RFC 7518 §3.2), or is a public key.
        """
        return cls.from_jwk({"kty": "oct", "k": base64url(secret)} | _named(kid, alg))

    @classmethod
    def from_jwk(cls, *jwks: Mapping[str, Any]) -> Keys:
        """Keys as RFC 7517 §4 has them.

        Raises:
            ConfigurationError: one of them does not verify, or is too weak; the message says which, by its place.
        """
        found = []
        for place, jwk in enumerate(jwks, 1):
            try:
                found.append(Key(jwk))
            except ValueError as error:
                raise ConfigurationError(f"key {place} cannot be used: {error}") from None
        return cls(found)

    @classmethod
    def from_file(cls, path: str | Path) -> Keys:
        """The keys of a file: PEM, one JWK, or a set of them (RFC 7517 §5).

        Raises:
            ConfigurationError: it cannot be read, or a key in it cannot be used.
        """
        try:
            raw = Path(path).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"the keys in {path} cannot be read: {error.strerror}") from None
        if b"-----BEGIN " in raw:
            return cls.from_pem(raw)
        document = _strict.json_object(raw)
        if document is None:
            raise ConfigurationError(f"{path} holds neither PEM nor a JSON object with keys")
        if "kty" in document:
            return cls.from_jwk(document)
        listed = document.get("keys")
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise ConfigurationError(f'{path} holds no list of keys: it is to look like {{"keys": [...]}}')
        return cls.from_jwk(*listed)

    def find(self, kid: str | None) -> Sequence[Key]:
        """The keys that *kid* may mean."""
        return _meant(self._all, self._by_kid, kid)

    async def afind(self, kid: str | None) -> Sequence[Key]:
        """As :meth:`find`; nothing is waited for."""
        return _meant(self._all, self._by_kid, kid)


def _number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8))


def _as_jwk(native: Any) -> dict[str, Any]:
    for kind in (ECKey, OKPKey):
        try:
            return dict(kind.import_key(native).as_dict(private=False))
        except (ValueError, TypeError, AttributeError, JoseError):
            continue
    raise ConfigurationError("the PEM holds no public key that verifies signatures")


def _named(kid: str | None, alg: str | None) -> dict[str, str]:
    return {name: value for name, value in (("kid", kid), ("alg", alg)) if value is not None}


def _by_kid(keys: Iterable[Key]) -> dict[str | None, tuple[Key, ...]]:
    found: dict[str | None, tuple[Key, ...]] = {}
    for key in keys:
        found[key.kid] = (*found.get(key.kid, ()), key)
    return found


def _meant(every: Sequence[Key], by_kid: Mapping[str | None, Sequence[Key]], kid: str | None) -> Sequence[Key]:
    """A key without a ``kid`` may be meant by any; a token without one may mean any key."""
    if kid is None:
        return every
    return by_kid.get(kid) or by_kid.get(None, ())


class Published(NamedTuple):
    """What an issuer's key set comes to."""

    keys: tuple[Key, ...]
    by_kid: Mapping[str | None, tuple[Key, ...]]
    left_out: Mapping[str, int]
    """How many keys were not taken, by the reason in a word."""

    def find(self, kid: str | None) -> Sequence[Key]:
        """The keys that *kid* may mean; several of one ``kid`` are all the issuer's, and each is tried."""
        return _meant(self.keys, self.by_kid, kid)


def published(raw: bytes) -> Published | None:
    """Read a JWK Set (RFC 7517 §5); ``None`` if it is none at all.

    Left out, and counted by a word, are keys of no known type (``type``), not for signatures (``use``), private ones
    (``private``) and secrets (``secret``), which nobody publishes on purpose, weak and huge ones (``weak``, ``size``),
    those with an algorithm that is not theirs (``alg``), those that are there already (``repeated``), what is no key
    (``malformed``), and all past the hundredth (``many``).
    """
    document = _strict.json_object(raw)
    listed = None if document is None else document.get("keys")
    if not isinstance(listed, list):
        return None
    left_out: Counter[str] = Counter()
    if len(listed) > _MAX_KEYS:
        left_out["many"] = len(listed) - _MAX_KEYS
    found: dict[tuple[str, str | None, str | None], Key] = {}
    for jwk in listed[:_MAX_KEYS]:
        try:
            key = _public(jwk)
        except UnfitKeyError as error:
            left_out[error.word] += 1
            continue
        if found.setdefault((key.thumbprint, key.kid, key.alg), key) is not key:
            left_out["repeated"] += 1
    keys = tuple(found.values())
    return Published(keys, _by_kid(keys), dict(left_out))


def _public(jwk: object) -> Key:
    if not isinstance(jwk, dict):
        raise UnfitKeyError("malformed", "it is no JSON object")
    if jwk.get("kty") == "oct":
        raise UnfitKeyError("secret", "it is a secret, which is none any more once it is published")
    return Key(jwk)
