"""The redaction engine: finds tokens in text and puts their fingerprints in their place.

Two stages. The gate (:mod:`~bearerwatch.redact.gate`) is a handful of substring searches; only where an anchor occurs
does the exact stage (:mod:`~bearerwatch.redact.exact`) match a pattern and then ask a validator. Text that is escaped,
coloured, wrapped or encoded is looked at as it was meant, too (:mod:`~bearerwatch.redact.views`). Live tokens, which no
pattern could tell, are removed by value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bearerwatch.fingerprint import ring
from bearerwatch.redact.live import LIVE, LIVE_TEXT, MIN_LIVE, PASSWORD
from bearerwatch.redact.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MIN_LIVE", "PLACEHOLDER", "Span", "find", "redact_text", "replaced", "without"]

PLACEHOLDER = "[redaction-error]"
"""What is written when redaction itself fails: it fails closed."""

_MOST_ROUNDS = 8
_APART = frozenset(" \t\r\n\"'`,;)]}&<\\|") | {""}
"""What stands behind a secret that ends where it should."""
_JOINS = frozenset("-_./+~")
"""What stands before one that begins amid something else: signs of tokens that no name or scheme ends with."""

_found: Callable[[str], list[Span]] | None = None


def find(text: str) -> list[Span]:
    """Tokens in *text*, in order and without overlap."""
    global _found  # noqa: PLW0603
    if _found is None:  # at first use: importing the app side has to be quick
        from bearerwatch.redact.finding import found  # noqa: PLC0415

        _found = found
    return _found(text)


def redact_text(text: str) -> str:
    """*text* with each token replaced by ``[token <fingerprint>]``, and each password by ``[password]``.

    Doing it twice changes nothing. Tokens are told by form (:mod:`bearerwatch.redact.patterns`) and, while
    a request is in flight, by value: whole, encoded, or any piece of 12 characters or more.
    """
    spans = find(text)
    return without(text, spans) if spans else text


def without(text: str, spans: list[Span]) -> str:
    """*text* with something else in place of *spans*, and of what only then looks like a token."""
    clean = replaced(text, spans)
    if any(_glued(text, span) for span in spans):
        for _ in range(_MOST_ROUNDS):  # with its neighbour gone, what was glued to a secret may look like one as well
            spans = find(clean)
            if not spans:
                break
            clean = replaced(clean, spans)
    return clean


def _glued(text: str, span: Span) -> bool:
    if span.token is not None and "\n" in text:  # a line of what was encoded over several
        return True
    before = text[span.start - 1 : span.start]
    return text[span.end : span.end + 1] not in _APART or before.isalnum() or before in _JOINS


def replaced(text: str, spans: list[Span]) -> str:
    """*text* with something else in place of *spans*."""
    token_id = ring().token_id
    pieces: list[str] = []
    done = 0
    for start, end, kind, token in spans:
        pieces.append(text[done:start])
        if kind == PASSWORD:  # the fingerprint of a password would be an oracle for guessing it
            pieces.append("[password]")
        else:
            found = text[start:end] if token is None else token
            whole = (LIVE_TEXT.owner(found) or found) if kind == LIVE else found
            pieces += ("[token ", token_id(whole), "]")
        done = end
    pieces.append(text[done:])
    return "".join(pieces)
