"""Secrets that are told by the place they stand in, where no name stands right before them.

The second argument of a call, what follows ``-p`` of a certain command, the answer to a question of a protocol: a
table of :class:`Place`, and what makes spans of it. Commands have a table of their own
(:mod:`bearerwatch.redact.commands`), and so has what stands in columns (:mod:`bearerwatch.redact.columns`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from bearerwatch.redact.checks import CHECKS
from bearerwatch.redact.live import PASSWORD
from bearerwatch.redact.madeup import compact, made_up
from bearerwatch.redact.spans import Span
from bearerwatch.redact.strings import asked

__all__ = [
    "STRING",
    "VALUE",
    "Besides",
    "Check",
    "Place",
    "besides",
    "closing",
    "given",
    "hard",
    "made",
    "phrase",
    "sasl",
    "taken",
]

Check = Callable[[str, int, int], bool]
Besides = tuple[str, Callable[[str], list[Span]], str]
"""An anchor in lower case, what finds spans in a text that has it, and how such a place looks."""

VALUE = r"(?P<t>[^\s\"'`\\]{4,200})"
STRING = r"(?P<t>[^\"'`\r\n\\]{4,200})"
"""Of what is between quotes."""
_LEAST = 4
_LONG = 16
_STOPS = ".,;:!?)]}"
_QUOTES = ("'", '"', "`")
_VARIABLE = re.compile(
    r"\$(?![0-9a-z]{1,8}\$)|[<`(]|\{(?!SHA|SSHA)|%[A-Za-z({]|&lt;|\*{2}|\.{2}|-|@|~?/|\.{1,2}/|[A-Za-z]:\\|\[token|\[password|(?:k[0-9a-f]{8}|short):[0-9a-f]"
    r"|(?:file|env|fd|arn|vault|op|ref):|.{0,80}(?:\$\{|\{\{|\.\.\.|\*{3}|://)|[A-Za-z_.]{1,60}\(|[A-Z][A-Z_]*\Z"
)
"""How something begins that stands for a value, and is none; and a path."""
_MANUAL = re.compile(
    r"(?i:(?:(?:a|access|account|acme|admin|api|app|auth|bind|client|community|current|db|example|foo|bar|key|ldap|my|new|old|plain|"
    r"pre|registry|repo|root|sample|secret|shared|some|ssh|strong|super|test|the|user|vault|your)[_-]?){0,4}"
    r"(?:absent|auth|changeit|changeme|code|credentials?|default|empty|example|false|foo|foobar|file|hash|hidden|here|key|login|masked|"
    r"mode|name|nil|none|null|pass|passcode|passphrase|passwd|password|passwort|pin|present|private|prompt|psk|public|pwd?|"
    r"redacted|required|removed|secret|stdin|string|text|token|true|undefined|user|username|value|x{3,})s?[_-]?(?:here|string|text|value|[0-9]{0,2})?)\Z"
)
"""What manuals write where a value belongs."""
_FILE = re.compile(
    r"[\w.-]+\.(?:7z|cer|cfg|conf|crt|csv|env|gpg|gz|html?|ini|jks|js|json|key|log|md|p12|pem|pfx|py|rar|rs|sh|sql|tar|ts|txt|xml|ya?ml|zip)\Z"
)
_CLOSING = re.compile(r"[\"')\]]{0,2}\s{0,4}(?:[\r\n\"']|\\r|\\n|\Z|encrypted|privilege|role|nt-encrypted|mschap)")
"""What may stand behind a secret that is the last thing a line says."""
_NUMBERS = re.compile(r"[0-9]{1,5}(?:[:.,/-][0-9:.]*)?(?:/[a-z]{1,4})?\Z")


def given(text: str, start: int, end: int) -> bool:
    """Where certainly a secret stands, unless it is a variable, a path or a word of a manual."""
    value = text[start:end]
    return (
        len(value) >= _LEAST
        and len(set(value)) > 2
        and (
            not _VARIABLE.match(value)
            or (value[0] == "-" and compact(value.strip("-").replace("-", "").replace("_", "")))
        )
        and not _MANUAL.match(value)
        and not _NUMBERS.match(value)
        and not _FILE.match(value)
    )


def hard(text: str, start: int, end: int) -> bool:
    """Where words stand as well: what is made up, or a word with more than letters in it."""
    value = text[start:end]
    return (
        given(text, start, end)
        and "/" not in value.strip("/=")
        and not (value.isalpha() and value.islower() and len(value) < _LONG)
        and CHECKS["password"](text, start, end)
    )


def closing(text: str, start: int, end: int) -> bool:
    """What ends its line or a quotation, unless it is as :func:`given` says; amid a line what is made up."""
    return (given if _CLOSING.match(text, end) else made)(text, start, end)


def sasl(text: str, start: int, end: int) -> bool:
    """Whether it is base64 of what a client answers (RFC 4954 §4)."""
    try:
        answer = base64.b64decode(text[start:end], validate=True)
    except binascii.Error:
        return False
    return all(byte == 0 or 31 < byte < 127 for byte in answer) and not text[start:end].isupper()


def made(text: str, start: int, end: int) -> bool:
    """What is made up, and nothing less."""
    return given(text, start, end) and made_up(text[start:end])


def phrase(text: str, start: int, end: int) -> bool:
    """As many words as BIP-39 has."""
    return text.count(" ", start, end) + 1 in (12, 15, 18, 21, 24)


class Place(NamedTuple):
    """Where a secret stands."""

    id: str
    anchors: tuple[str, ...]
    """Lower case; one of them stands in every text with such a place."""
    regex: str
    """Its group ``t`` is the secret."""
    source: str
    check: Check = given
    kind: str = PASSWORD
    beside: tuple[str, ...] = ()
    """One of them stands in the text as well: where looking for that saves most of the work."""


def besides(places: Iterable[Place]) -> tuple[Besides, ...]:
    """For the gate: what finds the spans of *places*, by anchor."""
    groups: dict[str, list[Place]] = {}
    for place in places:
        for anchor in place.anchors:
            groups.setdefault(anchor, []).append(place)
    return tuple((anchor, _finder(tuple(group)), _either(group)) for anchor, group in groups.items())


def _either(places: Iterable[Place]) -> str:
    return "|".join(f"(?:{re.sub('[?]P<[a-z]+>', '', place.regex)})" for place in places)


def _finder(places: tuple[Place, ...]) -> Callable[[str], list[Span]]:
    tried: list[tuple[Place, Callable[[str], bool], Callable[[str], Iterator[re.Match[str]]]]] = []

    def find(text: str) -> list[Span]:
        if not tried:  # at first use: importing the app side has to be quick
            tried.extend((place, asked(place.regex), re.compile(place.regex).finditer) for place in places)
        low = text.lower()
        return [
            Span(*span, place.kind)
            for place, may, matches in tried
            if may(low) and (not place.beside or any(sign in text for sign in place.beside))
            for match in matches(text)
            if (span := taken(text, *match.span("t"), place.check)) is not None
        ]

    return find


def taken(text: str, start: int, end: int, check: Check) -> tuple[int, int] | None:
    """Where the secret is that stands between *start* and *end*, without what ends the sentence."""
    if text[end : end + 1] not in _QUOTES:
        while end > start and text[end - 1] in _STOPS:
            end -= 1
    return (start, end) if check(text, start, end) else None
