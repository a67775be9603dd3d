"""Free text from outside: redacted again, made printable, bounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from bearerwatch.callers import address
from bearerwatch.redact import redact_text

__all__ = ["CLEANERS", "canonical_address", "cleaner", "printable"]

_READ = 4_096
"""How many characters of a text are looked at: more than any bound below, so that redaction sees whole tokens."""
_CACHED = 512
_TOKENISH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=%-")


def printable(text: str) -> str:
    r"""*text* on one line and without terminal control: what is not printable reads ``\x1b`` (CWE-117, CWE-150)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _bounded(text: str) -> str:
    """The first :data:`_READ` characters of *text*, without the piece of a token that the cut may have left."""
    if len(text) <= _READ:
        return text
    keep = _READ
    while keep and text[keep - 1] in _TOKENISH:
        keep -= 1
    return text[:keep] or f"[{len(text)} characters]"


def cleaner(limit: int, *, remember: int = 4_096) -> Callable[[str], str]:
    """A function that makes a text fit to keep: no token, no control character, at most *limit* characters.

    Args:
        limit: in characters.
        remember: how many texts' results are kept; long texts never are, so memory stays bounded.
    """

    def clean(text: str) -> str:
        return printable(redact_text(_bounded(text)))[:limit]

    cached = lru_cache(maxsize=remember)(clean)

    def choose(text: str) -> str:
        return cached(text) if len(text) <= _CACHED else clean(text)

    return choose


_short, _medium = cleaner(256), cleaner(512)
_word = cleaner(32, remember=256)
CLEANERS: dict[str, Callable[[str], str]] = {
    "reason": _short,
    "service": _short,
    "instance": _short,
    "method": _word,
    "route": _medium,
    "path": cleaner(1_024, remember=8_192),
    "scheme": _word,
    "token_kind": _word,
    "token_source": _word,
    "subject_id": _short,
    "client_id": _short,
    "issuer": _medium,
    "scopes": (_long := cleaner(2_048)),
    "required_scopes": _long,
    "user_agent": _medium,
    "detail": cleaner(4_096, remember=256),
    "request_id": _short,
}
"""What makes each free text of an event fit to keep."""


@lru_cache(maxsize=16_384)
def canonical_address(text: str) -> str:
    """The canonical form of an IP address; an IPv4 address mapped into IPv6 is the IPv4 address.

    Raises:
        ValueError: it is none.
    """
    if len(text) > 64:
        raise ValueError("not an IP address")
    return str(address(text.partition("%")[0]))
