"""The exact stage: what a form has found where its anchor stands, if its validator agrees.

A validator decides instead of a guess: a JWT's header must decode to JSON, a keyed value must not be a word, and the
name before it must be that of a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bearerwatch import _jws
from bearerwatch.redact.live import PASSWORD
from bearerwatch.redact.madeup import made_up, parameter
from bearerwatch.redact.names import LONG_TOKEN, NONE, PASSWORD_LIKE, TOKEN_LIKE, secret_name
from bearerwatch.redact.patterns import FORMS, Form
from bearerwatch.redact.spans import Span

__all__ = ["ANCHORS", "Candidates"]

ANCHORS: tuple[str, ...] = tuple(dict.fromkeys(anchor for form in FORMS for anchor in form.anchors))
"""What a gate looks for, in lower case: where none is, there is no token."""

_NAMED = frozenset({"named", "option"})
"""Forms that begin with a name, which has to be that of a secret."""
_OF_PEOPLE = frozenset({"user", "userinfo"})
"""Forms of what people choose."""
_NAME = re.compile(r"[A-Za-z0-9_-]*")
_FORMS = tuple(tuple(form for form in FORMS if anchor in form.anchors) for anchor in ANCHORS)
_OPEN = frozenset({"authorization", "bearer", "scheme"})
"""Forms whose value may go on beyond token68."""
_REST = re.compile(r"[^\s\"'`<>&;,%\\\[]{0,4096}+")
"""What belongs to a secret once it is known to be one: whoever wrote it did not stop at token68."""
_GLUED = re.compile(r"[a-z][0-9]+[a-z]+[0-9]")
_BREAKS = re.compile(r"[_./-]")
_PHRASE = re.compile(r"[a-z]+(?:-[a-z]+)+[0-9]+\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+\Z")
_ODD_WORD = re.compile(r"[A-Za-z][0-9]+|[0-9][A-Za-z]")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*+")
_MAX_TRIES = 8


def _jose(text: str, start: int, end: int) -> bool:
    dot = text.find(".", start, end)
    return dot > 0 and _jws.header_of(text[start:dot]) is not None


def _strong(text: str, start: int, end: int) -> bool:
    """After ``Bearer``: anything but prose, masks and the parameters of a challenge (RFC 6750 §3)."""
    return made_up(text[start:end])


def _weak(text: str, start: int, end: int) -> bool:
    return end - start >= 16 and made_up(text[start:end])


def _keyed(text: str, start: int, end: int) -> bool:
    """After ``token=`` and the like: no word, no number, no path, no call."""
    value = text[start:end]
    if text.startswith("(", end) or (value.startswith("%") and len(value) < 16):
        return False
    return made_up(value) or (len(value) >= 12 and value.islower() and _GLUED.search(value) is not None)


def _password(text: str, start: int, end: int) -> bool:
    """After ``password=``: people choose words with something added; words alone, and paths, are the program's."""
    value = text[start:end]
    if (
        text.startswith("(", end)
        or len(set(value)) <= 2
        or "***" in value
        or parameter(value)
        or value.startswith(("$", "%(", "/", "./", "~/", "!", "*"))
    ):
        return False
    if made_up(value):
        return True
    if len(_BREAKS.split(value)) >= 3 and not _PHRASE.match(value):
        return False
    return _ODD_WORD.search(value) is not None or not (value.isidentifier() or value.isalpha() or _PLAIN.match(value))


def _credential(text: str, start: int, end: int) -> bool:
    """After ``Authorization:`` everything that is not plain prose."""
    return end - start >= 4 and made_up(text[start:end]) and not text.startswith("(", end)


def _paseto(text: str, start: int, end: int) -> bool:
    if start < 2 or text[start - 2 : start] not in ("v1", "v2", "v3", "v4"):
        return False
    return made_up(text[text.index(".", start + 1) + 1 : end])


def _always(_text: str, _start: int, _end: int) -> bool:
    return True


def _begins(text: str, start: int, _end: int) -> bool:
    """What stands before an issuer's mark is no part of a longer word."""
    before = text[start - 1 : start]
    return not (before.isalnum() and before.isascii())


def _telegram(text: str, start: int, _end: int) -> bool:
    return _back(text, start, "telegram") >= 8


def _terraform(text: str, start: int, _end: int) -> bool:
    return _back(text, start, "terraform") == 14


def _back(text: str, start: int, form_id: str) -> int:
    """How many characters of its token stand before a form's anchor."""
    fixed = _BACK.get(form_id)
    if fixed is not None:
        return fixed
    wanted = _BEFORE.get(form_id)
    if wanted is None:
        return 0
    found = wanted.match(text[max(start - 20, 0) : start][::-1])
    return len(found[0]) if found is not None else 0


_CHECKS: dict[str, Callable[[str, int, int], bool]] = {
    "always": _always,
    "begins": _begins,
    "credential": _credential,
    "jose": _jose,
    "keyed": _keyed,
    "paseto": _paseto,
    "password": _password,
    "stripe": lambda text, start, end: start >= 1 and text[start - 1] in "sr" and _begins(text, start - 1, end),
    "secret": lambda text, start, end: len(set(text[start:end])) > 2,
    "strong": _strong,
    "telegram": _telegram,
    "terraform": _terraform,
    "weak": _weak,
}
_BACK = {"paseto": 2, "stripe": 1}
"""How far before its anchor a form's token begins."""
_BEFORE = {"telegram": re.compile(r"[0-9]{1,12}"), "terraform": re.compile(r"[A-Za-z0-9]{14}")}
"""What of a form's token stands before its anchor, where that is not always as long."""


class Candidates:
    """The exact stage, for what a gate lets through."""

    __slots__ = ("_resume", "_runs", "_text", "found")

    def __init__(self, text: str) -> None:
        self._text = text
        self._runs = _Runs(text)
        self._resume: dict[tuple[int, str], int] = {}
        self.found: list[Span] = []

    def take(self, index: int, at: int) -> int:
        """Try the forms of anchor *index*, which stands at *at*; returns where to look for it next."""
        text, resumes = self._text, self._resume
        follower = text[at + _LENGTHS[index] : at + _LENGTHS[index] + 1]
        for form, match, followers in _MATCHERS[index] or _matchers(index):
            if followers and follower not in followers and follower.isascii():
                continue
            if resumes and at < resumes.get((index, form.id), 0):
                continue
            matched = match(text, at)
            span = None if matched is None else _exact(text, form, at, matched)
            if span is not None:
                self.found.append(span)
                resumes[index, form.id] = max(span.end, at + 1)
            elif form.id == "jwt":
                resumes[index, form.id] = self._runs.after(at)
        if not resumes:
            return at + 1
        return max(at + 1, min(resumes.get((index, form.id), 0) for form in _FORMS[index]))


_Matcher = tuple[Form, Callable[[str, int], re.Match[str] | None], str]
_LENGTHS = [len(anchor) for anchor in ANCHORS]
_MATCHERS: list[tuple[_Matcher, ...]] = [()] * len(ANCHORS)


def _matchers(index: int) -> tuple[_Matcher, ...]:
    """The forms of an anchor, and what may follow it at once; compiled when it first occurs."""
    found = _MATCHERS[index] = tuple((form, form.pattern.match, form.followers) for form in _FORMS[index])
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

    def after(self, at: int) -> int:
        """The first place to try after *at*."""
        text = self._text
        if at >= self._end:
            run = _BASE64URL.match(text, at)
            self._end = run.end() if run is not None else at + 1
            self._tried = 0
        self._tried += 1
        if self._tried < _MAX_TRIES and text.startswith(".", self._end):
            return at + 1
        return self._end


def _exact(text: str, form: Form, at: int, match: re.Match[str]) -> Span | None:
    """The exact stage: what *form* has found where its anchor is, if its validator agrees."""
    start, end = match.span("t")
    end -= len(text[start:end]) - len(text[start:end].rstrip(".,;:!?"))  # the sentence's, not the token's
    if form.id == "jwt" and text.count(".", start, end) == 1 and text.startswith(".", end):
        end += 1  # but of an unsigned JWT the second dot is its own
    if end <= start:
        return None
    named = form.id in _NAMED
    held = _held(text, at, match) if named else NONE
    if named and held == NONE:
        return None
    check = "password" if held == PASSWORD_LIKE else "weak" if held == LONG_TOKEN else form.check
    if not _CHECKS[check](text, start, end):
        return None
    if named or form.id in _OPEN:
        rest = _REST.match(text, end)
        if rest is not None:
            end += len(rest[0].rstrip(")]}.:,;|!?"))
    password = held == PASSWORD_LIKE or form.id in _OF_PEOPLE or "basic" in text[at:start].lower()
    return Span(start - _back(text, start, form.id), end, PASSWORD if password else form.id)


def _held(text: str, at: int, match: re.Match[str]) -> int:
    """What the field is for whose name has an anchor at *at*."""
    before = None if text.startswith(" --", at) else _NAME.match(text[max(at - 40, 0) : at][::-1])
    left = before[0][::-1] if before else ""
    name = left + match["n"]
    begin = at - len(left)
    if text[match.end("n") : match.end("n") + 1] == ">" and text[begin - 1 : begin] == "/":
        return NONE  # the end of an element
    if text.endswith("://", 0, begin):
        return NONE  # the user of a URL, whose password has a form of its own
    if text[begin - 1 : begin] == ":" and text[match.end("n") : match.end("n") + 1] == ":":
        return NONE  # one of many fields between colons
    if name.lower() == "code":
        return TOKEN_LIKE if "grant_type" in text or "state=" in text else NONE
    return secret_name(name)
