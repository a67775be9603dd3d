"""What a JOSE compact serialisation says of itself, unverified (RFC 7515 §7.1, RFC 7516 §7.1)."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

__all__ = [
    "MAX_LENGTH",
    "TOKEN68",
    "Unverified",
    "header_of",
    "is_header",
    "json_object",
    "parse",
    "scopes_in",
    "signing_input",
]

MAX_LENGTH = 16_384
"""Characters past which a credential is not parsed: no issuer makes such tokens."""
TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*\Z")
"""What every token consists of (RFC 9110 §11.2, RFC 6750 §2.1)."""
_USUAL_HEADER = 512

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]*)(\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*)?\Z")


class Unverified(NamedTuple):
    """Header and claims as the token itself states them. Nothing here is established."""

    kind: str
    """``jwt`` (also for a JWS with another payload) or ``jwe``."""
    header: dict[str, Any]
    claims: dict[str, Any]
    """Empty when the payload is detached, encrypted or not a JSON object."""
    signing_input: str | None
    """``header.payload``; ``None`` where a fingerprint has to cover the whole credential."""


def json_object(segment: str) -> dict[str, Any] | None:
    """The JSON object that a base64url *segment* is of, or ``None``."""
    try:
        raw = binascii.a2b_base64(segment.replace("-", "+").replace("_", "/") + "==="[: -len(segment) % 4])
        value = msgspec.json.decode(raw)
    except (ValueError, msgspec.DecodeError, RecursionError):  # binascii.Error is a ValueError, msgspec's from 0.21 on
        return None
    return value if isinstance(value, dict) else None


def header_of(segment: str) -> dict[str, Any] | None:
    """The JOSE header in a base64url *segment*, or ``None`` if it is none."""
    header = json_object(segment)
    return header if header and ("alg" in header or "enc" in header or "typ" in header) else None


@lru_cache(maxsize=64)
def _is_header(segment: str) -> bool:
    return header_of(segment) is not None


def is_header(segment: str) -> bool:
    """Whether a base64url *segment* is a JOSE header. An issuer's are all alike, so the latest are remembered."""
    return _is_header(segment) if len(segment) <= _USUAL_HEADER else header_of(segment) is not None


def signing_input(token: str) -> str | None:
    """As :attr:`Unverified.signing_input` of what :func:`parse` says; the claims are not read for it."""
    if len(token) > MAX_LENGTH:
        return None
    match = _COMPACT.match(token)
    if match is None or match[4] is not None or not match[2] or not is_header(match[1]):
        return None
    return token[: match.end(2)]


def parse(token: str) -> Unverified | None:
    """Read *token* without verifying it; ``None`` when it is no JWS or JWE in compact form."""
    if len(token) > MAX_LENGTH:
        return None
    match = _COMPACT.match(token)
    if match is None:
        return None
    header = header_of(match[1])
    if header is None:
        return None
    if match[4] is not None:
        return Unverified("jwe", header, {}, None)
    if not match[2]:  # detached payload (RFC 7515 appendix F): the header alone tells tokens apart too little
        return Unverified("jwt", header, {}, None)
    return Unverified("jwt", header, json_object(match[2]) or {}, f"{match[1]}.{match[2]}")


def scopes_in(claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The scopes that a token says it has: ``scope`` (RFC 8693 §4.2), ``scp`` or ``scopes``; ``None`` without any."""
    for name in ("scope", "scp", "scopes"):
        said = claims.get(name)
        if isinstance(said, str):
            return tuple(said.split())
        if isinstance(said, list):
            return tuple(one for one in said if isinstance(one, str))
    return None
