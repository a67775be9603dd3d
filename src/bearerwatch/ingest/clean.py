"""Free text from outside: redacted again, made printable, bounded."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from bearerwatch.redact import redact_text

__all__ = ["cleaner", "printable"]

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
