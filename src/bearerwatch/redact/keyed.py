"""What a value under a name is: ``{"token": ...}`` says more than its text does.

In a line of text nobody knows where a value ends; in a dict it is known. So a value under a secret's name is taken
whole, unless it is plainly written (words, a message, a path), a mask, a number or a flag.
"""

from __future__ import annotations

import re

from bearerwatch.redact.engine import Span, find, redact_text, replaced, without
from bearerwatch.redact.live import PASSWORD
from bearerwatch.redact.madeup import made_up
from bearerwatch.redact.names import LONG_TOKEN, NONE, PASSWORD_LIKE, TOKEN_LIKE, secret_name
from bearerwatch.redact.spans import disjoint

__all__ = ["DENIED", "REDACTED", "held_by", "holds_number", "inherited", "keyed_text"]

DENIED = 9
"""A name the application forbids: whatever it holds goes, and has no fingerprint, for it may be easy to guess."""
REDACTED = "[redacted]"

_MAX_NAME = 64
_LONG = 16
_LONG_NUMBER = 20
_PIN = 6
_FEW_WORDS = 4
_KIND = "named"
_DONE = re.compile(r"\[token |\[password\]|\[redact|k[0-9a-f]{8}:[0-9a-f]{32}|short:[0-9]")
_SCHEME = re.compile(
    r"\s*(?:(?i:apikey|basic|bearer|digest|dpop|hawk|jwt|negotiate|ntlm|oauth|token)\s+)?(?=\S)", re.ASCII
)
_ANY_SCHEME = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9-]{1,20}\s+)?(?=\S)", re.ASCII)
_WORD = re.compile(r"[^\s,;\"'()\[\]{}<>]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.,]*(?:Z|[+-][0-9:]+)?)?\Z")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VALUES = _words(
    "value values val raw plain plaintext data string str text content current previous old new primary secondary "
    "default access refresh bearer b64 base64 encoded hex"
)
"""Names of what is but the value of what is named further out: ``{"token": {"value": ...}}``."""
_ABOUT = _words(
    "id ids uuid guid pk hash digest sha sha1 sha256 md5 etag checksum fingerprint thumbprint kid jti alg algorithm "
    "typ type kind name title label description message detail error url uri href link path host hostname domain email "
    "user username owner subject sub issuer iss audience aud scope scopes version revision commit created updated "
    "expires expiry exp iat nbf at on time date timestamp ttl age status state length size count prefix last4 "
    "trace span traceparent request correlation service provider backend engine device os model agent ip address "
    "pod node cluster region namespace image file filename module function method route"
)
"""Names of what is told about a secret, without being it: ``{"token": {"id": ..., "created_at": ...}}``."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*|[0-9]+")


def held_by(name: str) -> int:
    """What a field called *name* holds; as :func:`~bearerwatch.redact.names.secret_name`, and ``Authorization``."""
    if len(name) > _MAX_NAME or "[" in name or "=" in name:  # a text that was redacted, say
        return NONE
    return TOKEN_LIKE if name.lower().endswith("authorization") else secret_name(name)


def inherited(name: str, held: int) -> int:
    """What a field called *name* holds within something that is *held* under a secret's name."""
    if held in (NONE, DENIED) or name.lower() in _VALUES or name.isdecimal():
        return held
    words = _WORDS.findall(name)
    return NONE if words and words[-1].lower() in _ABOUT else LONG_TOKEN


def holds_number(number: float, held: int) -> str | None:
    """What to write for a *number* under a secret's name; ``None`` where it is a number and no secret."""
    if held == DENIED:
        return REDACTED
    if not isinstance(number, int) or abs(number) < 10 ** (_PIN - 1):
        return None
    if held == PASSWORD_LIKE:
        return "[password]"
    long = 10 ** (_LONG_NUMBER - 1) if held == LONG_TOKEN else 10 ** (_LONG - 1)
    if abs(number) < long:
        return None
    text = hex(number) if number.bit_length() > 4096 else str(number)  # str() refuses longer ones
    return replaced(text, [Span(0, len(text), _KIND)])


def keyed_text(text: str, name: str, held: int) -> str:
    """*text*, which stands under *name*, without its tokens."""
    if held == DENIED:
        return REDACTED if text else text
    if not name or len(name) > _MAX_NAME or _DATE.match(text):
        return redact_text(text)
    lead = len(name) + 1
    spans = [span._replace(start=max(span.start - lead, 0), end=span.end - lead) for span in find(f"{name}={text}")]
    spans = [span for span in spans if span.end > span.start]
    if " " in text:  # a line, perhaps, whose beginning tells as well
        spans += find(text)
    if held and _DONE.search(text) is None:
        spans += _whole(text, name, held)
    spans = disjoint(spans) if len(spans) > 1 else spans
    return without(text, spans) if spans else text


def _whole(text: str, name: str, held: int) -> list[Span]:
    """What of *text* is a secret because of where it stands, to its very end."""
    if held == PASSWORD_LIKE:
        words = text.split()
        if (len(words) <= _FEW_WORDS and any(_chosen(word) for word in words)) or "PRIVATE KEY-----" in text:
            return [Span(0, len(text), PASSWORD)]
        return []
    scheme = (_ANY_SCHEME if name.lower().endswith("authorization") else _SCHEME).match(text)
    start = scheme.end() if scheme is not None else 0
    rest = text[start:].rstrip()
    if rest and _WORD.fullmatch(rest):
        return [Span(start, start + len(rest), _KIND)] if _issued(rest, held) else []
    return [Span(*word.span(), _KIND) for word in _WORD.finditer(text, start) if _issued(word[0], LONG_TOKEN)]


def _chosen(word: str) -> bool:
    """Whether *word* may be a password: anything but a word of a language, a path or a mask."""
    if word.isdecimal():
        return len(word) >= _PIN
    return bool(find(f"password={word}"))


def _issued(word: str, held: int) -> bool:
    """Whether *word* may be a token: made up, and long where the name alone says little."""
    if "://" in word or _DATE.match(word):
        return False
    if len(word) >= _LONG and made_up(word):
        return True
    if held == LONG_TOKEN:
        return word.isdecimal() and len(word) >= _LONG_NUMBER
    return bool(find(f"token={word}")) or (word.isdecimal() and len(word) >= _LONG)
