"""DPoP: the sender of a token proves that it has the key that the token was issued to (RFC 9449).

Sans-IO. A proof is checked with the request and the token that it came with; that the token is bound to the key which
was proved is :func:`bearerwatch.verify.binding.confirmed`'s to say.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import quote, unquote_to_bytes, urlsplit

from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.fingerprint import ring
from bearerwatch.verify import _strict
from bearerwatch.verify.claims import is_date
from bearerwatch.verify.key import Key, UnfitKeyError, base64url
from bearerwatch.verify.verdict import Verdict

__all__ = ["ALGORITHMS", "DpopProofs", "Memory", "Nonces", "Proved", "Replays", "same_url"]

ALGORITHMS = ("ES256", "ES384", "ES512", "Ed25519", "EdDSA", "RS256", "PS256")
"""Those that a proof may be signed with unless said otherwise: all are asymmetric."""
_ASYMMETRIC = frozenset({*ALGORITHMS, "ES256K", "Ed448", "RS384", "RS512", "PS384", "PS512"})
_MAX_PROOF = 8192
_MAX_MODULUS = 700
"""Characters of an RSA proof's modulus: 4096 bits. Its sender picks the key, and we do the work."""
_MAX_JTI = 256
_MAX_AGE = 600
_UNRESERVED = "/-._~!$&'()*+,;=:@"
_DOTS = re.compile(r"(?:^|/)\.\.?(?:/|$)")
_BAD = Verdict(outcome=Outcome.INVALID, reason="bad_proof")
_REPLAYED = Verdict(outcome=Outcome.INVALID, reason="replayed_proof")
_NONCE = Verdict(outcome=Outcome.INVALID, reason="nonce_wanted")


class Replays(Protocol):
    """Knows which proofs have been used. One that several processes share notices what each alone could not."""

    def first(self, proof: str, seconds: float) -> bool:
        """Whether *proof*, a digest, is seen for the first time; remember it for *seconds*. Atomic, or it is no use."""


class Memory:
    """Proofs used in this process; of more than it can hold the oldest are forgotten, and counted.

    Args:
        most: how many, each of which takes about 150 bytes.
        clock: seconds.
    """

    def __init__(self, most: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()
        self.forgotten = 0
        """How many were forgotten before their time."""

    def __repr__(self) -> str:
        return f"Memory({len(self._until)} of {self._most})"

    def first(self, proof: str, seconds: float) -> bool:
        """Whether *proof* is seen for the first time in *seconds*."""
        now = self._clock()
        with self._lock:
            if self._until.get(proof, now) > now:
                return False
            self._until.pop(proof, None)
            while self._until:  # in the order of their coming, and so nearly of their end
                oldest = next(iter(self._until))
                if self._until[oldest] > now:
                    if len(self._until) < self._most:
                        break
                    self.forgotten += 1
                del self._until[oldest]
            self._until[proof] = now + seconds
        return True


class Nonces:
    """Nonces that senders have to put into their proofs (RFC 9449 §9): without state, and alike on every host.

    They are MACs of the time by the fingerprint key, so that all who share that take each other's.

    Args:
        seconds: how long one is given out; it is taken for as long again.
        clock: Unix time in seconds.
    """

    def __init__(self, seconds: int = 300, clock: Callable[[], float] = time.time) -> None:
        if seconds < 1:
            raise ConfigurationError("seconds: give at least 1")
        self._seconds, self._clock = seconds, clock

    def current(self) -> str:
        """The nonce to give out now."""
        return self._of(int(self._clock()) // self._seconds)

    def holds(self, nonce: object) -> bool:
        """Whether *nonce* has been given out lately."""
        if not isinstance(nonce, str) or not nonce.isascii():
            return False
        period = int(self._clock()) // self._seconds
        return any(hmac.compare_digest(nonce, self._of(one)) for one in (period, period - 1))

    @staticmethod
    def _of(period: int) -> str:
        return ring().pseudonym("dpop-nonce", str(period)).rpartition(":")[2]


class Proved(NamedTuple):
    """A proof that holds."""

    jkt: str
    """Thumbprint of the key (RFC 7638, SHA-256, base64url), as the token's ``cnf`` has it."""
    digest: str
    """What stands for this one proof in :class:`Replays`."""


class DpopProofs:
    """Checks the ``DPoP`` header of requests.

    Args:
        algorithms: those a proof may be signed with; never symmetric ones.
        max_age: seconds since ``iat`` that a proof is taken, up to 600, and that it is remembered.
        leeway: seconds that the sender's clock may be ahead.
        replays: where used proofs are remembered; by default in this process alone.
        nonces: what proofs have to hold; by default nothing is asked for.
        clock: Unix time in seconds.

    Raises:
        ConfigurationError: an argument cannot be used.
    """

    def __init__(
        self,
        *,
        algorithms: Sequence[str] = ALGORITHMS,
        max_age: float = 60,
        leeway: float = 5,
        replays: Replays | None = None,
        nonces: Nonces | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if unknown := sorted(set(algorithms) - _ASYMMETRIC):
            raise ConfigurationError(f"algorithms: no proof is signed with {unknown[0]!r}: {', '.join(ALGORITHMS)} are")
        if not algorithms or not 0 < max_age <= _MAX_AGE or not 0 <= leeway <= max_age:
            raise ConfigurationError(f"give an algorithm, a max_age of up to {_MAX_AGE} s and a leeway within it")
        self.algorithms = tuple(algorithms)
        self.nonces = nonces
        self._max_age, self._leeway, self._clock = max_age, leeway, clock
        self._replays = Memory() if replays is None else replays

    def __repr__(self) -> str:
        return f"DpopProofs(algorithms={self.algorithms!r})"

    def __call__(self, proofs: Sequence[str], *, method: str, url: str, token: str) -> Proved | Verdict:
        """What was proved, or why nothing was (RFC 9449 §4.3). Whether it is a replay :meth:`used` says afterwards.

        Args:
            proofs: the values of the request's ``DPoP`` headers.
            method: of the request.
            url: of the request, as its sender knows it; query and fragment do not matter.
            token: that it came with.
        """
        if len(proofs) != 1 or len(proofs[0]) > _MAX_PROOF:
            return _BAD
        parts = proofs[0].split(".")
        if len(parts) != 3:
            return _BAD
        raw = [_strict.decoded(part) for part in parts]
        header = None if raw[0] is None else _strict.json_object(raw[0])
        claims = None if raw[1] is None else _strict.json_object(raw[1])
        if header is None or claims is None or raw[2] is None:
            return _BAD
        key, alg = _key(header), header.get("alg")
        if key is None or alg not in self.algorithms or key.algorithm([alg]) != alg:
            return _BAD
        if not key.verifies(alg, f"{parts[0]}.{parts[1]}".encode(), raw[2]):
            return _BAD
        jti, issued, ath = claims.get("jti"), claims.get("iat"), claims.get("ath")
        if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI or claims.get("htm") != method:
            return _BAD
        if not isinstance(claims.get("htu"), str) or not same_url(claims["htu"], url):
            return _BAD
        if not isinstance(ath, str) or not _same(
            ath, base64url(hashlib.sha256(token.encode("ascii", "replace")).digest())
        ):
            return _BAD
        if self.nonces is not None and not self.nonces.holds(claims.get("nonce")):
            return _NONCE
        now = self._clock()
        if not is_date(issued) or not now - self._max_age <= claims["iat"] <= now + self._leeway:
            return _BAD
        digest = hashlib.sha256(f"{key.thumbprint}\0{jti}".encode()).hexdigest()[:32]
        return Proved(key.thumbprint, digest)

    def used(self, proved: Proved) -> Verdict | None:
        """Note that a proof was used; the refusal if it had been before.

        To be asked last, when the token is known to be good: else anybody could fill the memory.
        """
        return None if self._replays.first(proved.digest, self._max_age + self._leeway) else _REPLAYED


def _key(header: dict[str, object]) -> Key | None:
    """The public key a proof brings: here alone a token may, because all it says is that its sender has it."""
    typ, jwk = header.get("typ"), header.get("jwk")
    if not isinstance(typ, str) or typ.lower() != "dpop+jwt" or "crit" in header or not isinstance(jwk, dict):
        return None
    if len(str(jwk.get("n", ""))) > _MAX_MODULUS:
        return None
    try:
        return Key(jwk)
    except UnfitKeyError:
        return None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def same_url(one: str, other: str) -> bool:
    """Whether two URLs are the same but for query and fragment, normalised (RFC 3986 §6.2.2, §6.2.3)."""
    normal = _normal(one)
    return normal is not None and normal == _normal(other)


def _normal(url: str) -> tuple[str, str, int, str] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        return None
    path = quote(unquote_to_bytes(parts.path), safe=_UNRESERVED) or "/"
    if _DOTS.search(path):
        return None  # who sends such is answered by no route that it names
    return scheme, parts.hostname, {"http": 80, "https": 443}[scheme] if port is None else port, path
