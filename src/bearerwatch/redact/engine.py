"""The redaction engine: finds tokens in text and puts their fingerprints in their place.

Two stages. The gate is a handful of substring searches; only where an anchor occurs does the exact stage
match a pattern and then ask a validator (a JWT's header must decode to JSON, a keyed value must not be a
word). Live tokens, which no pattern could tell, are removed by value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from bearerwatch import _jws
from bearerwatch.context import live
from bearerwatch.fingerprint import ring
from bearerwatch.redact._accel import anchor_scanner
from bearerwatch.redact.live import LIVE, MIN_LIVE, PASSWORD, LiveText
from bearerwatch.redact.patterns import FORMS, Form

__all__ = ["MIN_LIVE", "Span", "find", "redact_text", "redact_value"]

_PASSWORDS = ("basic", "passw")
_MAX_DEPTH = 8
_MAX_KEY = 64
_ANCHORS: tuple[tuple[str, Form], ...] = tuple((anchor, form) for form in FORMS for anchor in form.anchors)
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_NUMBER = re.compile(r"[0-9.,:%+-]+\Z")
_PARAMETER = re.compile(r"[A-Za-z_-]+=+(?!\Z|=)")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*+")
_MAX_TRIES = 8
_TOKENISH = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


class Span(NamedTuple):
    """Where in a text a token is."""

    start: int
    end: int
    kind: str


def _mixed(value: str) -> bool:
    """Whether *value* looks made up rather than written: digits, or capitals inside it."""
    return any(c.isdigit() for c in value) or (value[1:] != value[1:].lower() and value != value.upper())


def _jose(text: str, start: int, end: int) -> bool:
    dot = text.find(".", start, end)
    return dot > 0 and _jws.header_of(text[start:dot]) is not None


def _strong(text: str, start: int, end: int) -> bool:
    """After ``Bearer``: anything but prose and the parameters of a challenge (RFC 6750 §3)."""
    value = text[start:end]
    return not _PARAMETER.match(value) and (_mixed(value) or len(value) >= 32)


def _weak(text: str, start: int, end: int) -> bool:
    return _strong(text, start, end) and not _NUMBER.match(text[start:end])


def _keyed(text: str, start: int, end: int) -> bool:
    """After ``token=`` and the like: no word, no number, no flag."""
    value = text[start:end]
    if _NUMBER.match(value) or (value.startswith("%") and len(value) < 16):
        return False
    return len(value) >= 32 or _mixed(value)


def _credential(text: str, start: int, end: int) -> bool:
    """After ``Authorization:`` everything that is not plain prose."""
    value = text[start:end]
    if _PARAMETER.match(value):
        return False
    followed = text[end : end + 1]
    return len(value) >= 16 or _mixed(value) or followed in ("", '"', "'", "\\", "\n", "\r")


def _paseto(text: str, start: int, _end: int) -> bool:
    return start >= 2 and text[start - 2 : start] in ("v1", "v2", "v3", "v4")


def _always(_text: str, _start: int, _end: int) -> bool:
    return True


_CHECKS: dict[str, Callable[[str, int, int], bool]] = {
    "always": _always,
    "credential": _credential,
    "jose": _jose,
    "keyed": _keyed,
    "paseto": _paseto,
    "stripe": lambda text, start, _end: start >= 1 and text[start - 1] in "sr",
    "strong": _strong,
    "weak": _weak,
}
_live = LiveText()
_BACK = {"paseto": 2, "stripe": 1}
"""How far before its anchor a form's token begins."""


def _lower(text: str) -> str:
    """Lower-case ASCII only, so that offsets stay those of *text* (``str.lower`` may lengthen others)."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


def find(text: str) -> list[Span]:
    """Tokens in *text*, in order and without overlap."""
    scan = _scanner()
    found = _by_scan(text, scan) if scan is not None and text.isascii() else _by_search(text)
    if live:
        found += [Span(start, end, kind) for start, end, kind in _live.find(text)]
    return _disjoint(found) if len(found) > 1 else found


@cache
def _scanner() -> Callable[[str], list[tuple[int, int]]] | None:
    return anchor_scanner([anchor for anchor, _ in _ANCHORS])


def _by_search(text: str) -> list[Span]:
    """The gate in pure Python: one substring search an anchor."""
    low = _lower(text)
    found: list[Span] = []
    runs = _Runs(text)
    for anchor, form in _ANCHORS:
        at = low.find(anchor)
        while at >= 0:
            span = _exact(text, form, at)
            if span is not None:
                found.append(span)
            at = low.find(anchor, runs.after(form, at) if span is None else max(span.end, at + 1))
    return found


def _by_scan(text: str, scan: Callable[[str], list[tuple[int, int]]]) -> list[Span]:
    """The gate on Hyperscan: every anchor in one pass."""
    found: list[Span] = []
    resume: dict[int, int] = {}
    runs = _Runs(text)
    for index, at in scan(text):
        if at >= resume.get(index, 0):
            form = _ANCHORS[index][1]
            span = _exact(text, form, at)
            if span is not None:
                found.append(span)
            resume[index] = runs.after(form, at) if span is None else max(span.end, at + 1)
    return found


class _Runs:
    """Where to look on after an anchor that was none, so that a line made of anchors takes no longer than others.

    A run of base64url characters that no dot follows holds no JWT wherever in it one begins; and in one that
    a dot does follow, a few beginnings are tried, for what may be glued before a token.
    """

    __slots__ = ("_end", "_text", "_tried")

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self._tried = 0

    def after(self, form: Form, at: int) -> int:
        """The first place to try after *at*."""
        text = self._text
        if form.id != "jwt" or not text.startswith("eyJ", at):
            return at + 1
        if at >= self._end:
            run = _BASE64URL.match(text, at)
            self._end = run.end() if run is not None else at + 1
            self._tried = 0
        self._tried += 1
        if self._tried < _MAX_TRIES and text.startswith(".", self._end):
            return at + 1
        return self._end


def _exact(text: str, form: Form, at: int) -> Span | None:
    """The exact stage: *form* matched where its anchor is, and its validator asked."""
    match = form.pattern.match(text, at)
    if match is None:
        return None
    start, end = match.span("t")
    end -= len(text[start:end]) - len(text[start:end].rstrip(".,;:"))  # the sentence's, not the token's
    if form.id == "jwt" and text.count(".", start, end) == 1 and text.startswith(".", end):
        end += 1  # but of an unsigned JWT the second dot is its own
    if end <= start or not _CHECKS[form.check](text, start, end):
        return None
    lead = text[at:start].lower()
    kind = PASSWORD if any(word in lead for word in _PASSWORDS) else form.id
    return Span(start - _BACK.get(form.id, 0), end, kind)


def _disjoint(spans: list[Span]) -> list[Span]:
    """Overlapping spans joined into one, so that no piece of a token survives beside its marker."""
    spans.sort()
    joined = [spans[0]]
    for span in spans[1:]:
        last = joined[-1]
        if span.start < last.end:
            kind = PASSWORD if PASSWORD in (last.kind, span.kind) else last.kind
            joined[-1] = Span(last.start, max(last.end, span.end), kind)
        else:
            joined.append(span)
    return joined


def redact_text(text: str) -> str:
    """*text* with each token replaced by ``[token <fingerprint>]``, and each password by ``[password]``.

    Doing it twice changes nothing. Tokens are told by form (:mod:`bearerwatch.redact.patterns`) and, while
    a request is in flight, by value: whole, encoded, or any piece of 12 characters or more.
    """
    spans = find(text)
    return _replace(text, spans) if spans else text


def _replace(text: str, spans: list[Span]) -> str:
    token_id = ring().token_id
    pieces: list[str] = []
    done = 0
    for start, end, kind in spans:
        pieces.append(text[done:start])
        if kind == PASSWORD:  # the fingerprint of a password would be an oracle for guessing it
            pieces.append("[password]")
        else:
            found = text[start:end]
            whole = (_live.owner(found) or found) if kind == LIVE else found
            pieces += ("[token ", token_id(whole), "]")
        done = end
    pieces.append(text[done:])
    return "".join(pieces)


def redact_value(value: Any, *, depth: int = 0) -> Any:
    """A copy of *value* without tokens, or *value* itself when it holds none. The caller's is never changed.

    Strings, bytes, dicts, lists, tuples and sets are looked into, to a bounded depth; a dict's value is read
    together with its key, as ``{"access_token": ...}`` would be. What lies deeper is shown as text if it holds
    one.
    """
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        text = value.decode("latin-1")
        clean = redact_text(text)
        return value if clean == text else clean.encode("latin-1", "replace")
    if not isinstance(value, dict | list | tuple | set | frozenset):
        return value
    if depth >= _MAX_DEPTH:
        text = repr(value)
        clean = redact_text(text)
        return value if clean == text else clean
    if isinstance(value, dict):
        pairs = [(redact_value(key, depth=depth + 1), _keyed_value(key, item, depth)) for key, item in value.items()]
        unchanged = all(a is c and b is d for (a, b), (c, d) in zip(pairs, value.items(), strict=True))
        return value if unchanged else dict(pairs)
    before = list(value)
    items = [redact_value(item, depth=depth + 1) for item in before]
    if all(a is b for a, b in zip(items, before, strict=True)):
        return value
    if isinstance(value, tuple):
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return items
    return set(items) if isinstance(value, set) else frozenset(items)


def _keyed_value(key: Any, value: Any, depth: int) -> Any:
    if not isinstance(value, str) or not isinstance(key, str) or len(key) > _MAX_KEY:
        return redact_value(value, depth=depth + 1)
    lead = len(key) + 1
    spans = [Span(max(span.start - lead, 0), span.end - lead, span.kind) for span in find(f"{key}={value}")]
    spans = [span for span in spans if span.end > span.start]
    return _replace(value, spans) if spans else value
