"""Made-up credentials of every published form, from a seeded source, so that a failing id can be had again."""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
import zlib
from typing import Any, NamedTuple

__all__ = ["JOSE_KINDS", "OPAQUE_KINDS", "Case", "Mint", "Value"]

_ALNUM = string.ascii_letters + string.digits
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SETS = {
    "a": _ALNUM,
    "w": _ALNUM + "_-",
    "b": _ALNUM + "+/",
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "d": string.digits,
    "u": string.ascii_uppercase + string.digits,
    "l": string.ascii_lowercase,
    "x": string.ascii_lowercase + string.digits,
}
_SIGNATURES = {
    "HS256": 32,
    "HS384": 48,
    "HS512": 64,
    "RS256": 256,
    "PS512": 256,
    "ES256": 64,
    "ES512": 132,
    "EdDSA": 64,
}


class Case(NamedTuple):
    """One text that leaks."""

    id: str
    """``family/class/value``"""
    family: str
    text: str
    secret: str
    """What nobody may read twelve characters of: public prefixes and JOSE headers are not in it."""
    context_free: bool
    """Whether the text alone tells; else only the request in flight does."""
    keep: tuple[str, ...] = ()
    """What has to stay."""


class Value(NamedTuple):
    """A credential, and what of it is secret."""

    kind: str
    text: str
    secret: str


class Mint:
    """Makes values; each call makes another one."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def chars(self, kind: str, length: int) -> str:
        """*length* characters of the set *kind*, of which, from eight on, one is a digit wherever the set has any."""
        alphabet = _SETS[kind]
        made = [self.rng.choice(alphabet) for _ in range(length)]
        if length >= 8 and "7" in alphabet:
            made[length // 2] = "7"
            if alphabet != string.digits and not any(c.isalpha() for c in made):
                made[1] = next(c for c in alphabet if c.isalpha())
        return "".join(made)

    def b64url(self, data: bytes) -> str:
        """Base64url without padding (RFC 7515 §2)."""
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    def part(self, value: Any, **layout: Any) -> str:
        """One JSON part of a JWT."""
        return self.b64url(json.dumps(value, **layout).encode())

    def random(self, size: int) -> str:
        """*size* random bytes in base64url."""
        return self.b64url(self.rng.randbytes(size))

    def claims(self) -> dict[str, Any]:
        """What an access token says."""
        now = 1_790_000_000 + self.rng.randrange(10**6)
        return {
            "iss": "https://id.example.com/",
            "sub": f"u-{self.rng.randrange(10**6)}",
            "iat": now,
            "jti": self.uuid(),
        }

    def uuid(self) -> str:
        """A random UUID."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def jws(self, alg: str = "HS256", *, header: dict[str, Any] | None = None, **layout: Any) -> str:
        """A signed JWT; *layout* is how its header is written."""
        head = {"alg": alg, "typ": "JWT"} if header is None else {"alg": alg, **header}
        signature = self.random(_SIGNATURES[alg])
        return f"{self.part(head, **(layout or {'separators': (',', ':')}))}.{self.part(self.claims())}.{signature}"

    def value(self, kind: str) -> Value:
        """A value of *kind*."""
        text, secret = self._jose(kind) if kind in JOSE_KINDS else (None, None)
        if text is None or secret is None:
            text = secret = self._opaque(kind)
        return Value(kind, text, secret)

    def _jose(self, kind: str) -> tuple[str, str]:
        if kind.startswith("paseto-"):
            _, version, purpose = kind.split("-")
            footer = "." + self.part({"kid": self.chars("a", 8)}) if version in "v2 v4" else ""
            made = f"{version}.{purpose}.{self.random(112)}{footer}"
            return made, made.split(".", 2)[2]
        made = self._jwt(kind)
        return made, made.split(".", 1)[1].lstrip(".")

    def _jwt(self, kind: str) -> str:
        if kind in ("HS256", "HS384", "HS512", "RS256", "PS512", "ES256", "ES512", "EdDSA"):
            return self.jws(kind)
        if kind == "kid":
            return self.jws("RS256", header={"kid": self.uuid(), "x5t": self.random(20), "typ": "JWT"})
        if kind == "at+jwt":
            return self.jws("ES256", header={"typ": "at+jwt", "kid": "k1"})
        if kind == "header-spaced":  # {"alg": "HS256", ...} after a blank: eyAi
            body = self.jws().split(".", 1)[1]
            return self.b64url(b'{ "alg": "HS256", "typ": "JWT" }') + "." + body
        if kind == "header-pretty":  # begins with a line break: ewog
            return self.jws("HS256", indent=2)
        if kind == "jwe-dir":
            return (
                f"{self.part({'alg': 'dir', 'enc': 'A256GCM'})}..{self.random(12)}.{self.random(96)}.{self.random(16)}"
            )
        if kind == "jwe-rsa":
            head = self.part({"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT"})
            return f"{head}.{self.random(256)}.{self.random(12)}.{self.random(200)}.{self.random(16)}"
        if kind == "none":
            return f"{self.part({'alg': 'none'})}.{self.part(self.claims())}."
        if kind == "detached":
            return f"{self.part({'alg': 'ES256', 'b64': False, 'crit': ['b64']})}..{self.random(64)}"
        if kind == "nested":
            inner = self.b64url(self.jws().encode())
            return f"{self.part({'alg': 'PS512', 'cty': 'JWT'})}.{inner}.{self.random(256)}"
        if kind == "sd-jwt":
            discs = [self.part([self.random(16), "given_name", self.chars("l", 12)]) for _ in range(3)]
            proof = self.part({"typ": "kb+jwt", "alg": "EdDSA"})  # no beginning that the first header has as well
            binding = f"{proof}.{self.part({'nonce': self.chars('a', 12)})}.{self.random(64)}"
            return f"{self.jws('ES256', header={'typ': 'dc+sd-jwt'})}~{'~'.join(discs)}~{binding}"
        raise LookupError(kind)

    def _opaque(self, kind: str) -> str:
        if kind == "uuid":
            return self.uuid()
        if kind == "base64":  # with all that base64 has: + / =
            raw = bytearray(self.rng.randbytes(43))
            raw[0:3], raw[21:24] = b"\xfb\xef\xbe", b"\xff\xff\xff"
            return self.chars("a", 3) + "7" + base64.b64encode(bytes(raw)).decode()
        if kind == "dotted":
            return ".".join((self.chars("a", 14), self.chars("a", 24), self.chars("a", 18)))
        if kind == "letters":
            return self.chars("l", 28)
        if kind == "basic":
            return base64.b64encode(f"svc-{self.chars('l', 5)}:{self.chars('a', 20)}".encode()).decode()
        if kind == "password":  # as a password manager makes them
            return self.chars("a", 7) + "!" + self.chars("a", 5) + "$" + self.chars("a", 6) + "#" + self.chars("a", 4)
        if kind == "passphrase":
            return "-".join(self.rng.choice(_WORDS) for _ in range(4)) + str(self.rng.randrange(10, 99))
        if kind == "short-password":
            return self.rng.choice(_WORDS).capitalize() + str(self.rng.randrange(100, 999)) + "!"
        if kind == "words-password":
            return "".join(self.rng.choice(_WORDS) for _ in range(2))
        return self.chars(kind[0], int(kind[1:]))

    def crc62(self, payload: str) -> str:
        """The checksum at the end of GitHub's and npm's tokens: CRC32 in six digits of base 62."""
        number = zlib.crc32(payload.encode())
        digits = ""
        for _ in range(6):
            number, rest = divmod(number, 62)
            digits = _BASE62[rest] + digits
        return digits

    def spec(self, name: str, spec: str) -> Value:
        """A value from a format such as ``ab_{h32}``; what stands before the first brace is public."""
        made = ""
        rest = spec
        while "{" in rest:
            fixed, _, rest = rest.partition("{")
            field, _, rest = rest.partition("}")
            made += fixed
            if field == "crc":
                made += self.crc62(made.rpartition("_")[2])
            elif field == "uuid":
                made += self.uuid()
            elif field == "json":
                made += self.part({"iat": 1790000000.5, "url": "https://sentry.io", "org": self.chars("l", 9)})
            else:
                made += self.chars(field[0], int(field[1:]))
        made += rest
        return Value(name, made, made[spec.index("{") :])


_WORDS = [
    "correct",
    "horse",
    "battery",
    "staple",
    "orange",
    "kettle",
    "violin",
    "harbour",
    "meadow",
    "pepper",
    "winter",
]
JOSE_KINDS = (
    *("HS256", "HS384", "HS512", "RS256", "PS512", "ES256", "ES512", "EdDSA", "kid", "at+jwt"),
    *("header-spaced", "header-pretty", "jwe-dir", "jwe-rsa", "none", "detached", "nested", "sd-jwt"),
    *(f"paseto-v{n}-{purpose}" for n in (1, 2, 3, 4) for purpose in ("local", "public")),
)
OPAQUE_KINDS = (*("h32", "h40", "h64", "H40", "a20", "a40", "w43", "base64", "uuid", "dotted", "letters", "x32"),)
