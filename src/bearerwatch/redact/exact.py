"""The exact stage: what a form has found where its anchor stands, if its validator agrees.

A validator decides instead of a guess: a JWT's header must decode to JSON, a keyed value must not be a word, and the
name before it must be that of a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from bearerwatch.redact.checks import CHECKS, before
from bearerwatch.redact.columns import COLUMNS
from bearerwatch.redact.commands import COMMANDS
from bearerwatch.redact.documents import DOCUMENTS
from bearerwatch.redact.live import PASSWORD
from bearerwatch.redact.madeup import made_up
from bearerwatch.redact.named import LOOSE
from bearerwatch.redact.names import LONG_TOKEN, NONE, PASSWORD_LIKE, TOKEN_LIKE, secret_name
from bearerwatch.redact.patterns import FORMS, LONG, Form
from bearerwatch.redact.spans import Span
from bearerwatch.redact.transcripts import TRANSCRIPTS

__all__ = ["ANCHORS", "BESIDES", "Candidates"]

ANCHORS: tuple[str, ...] = tuple(dict.fromkeys(anchor for form in FORMS for anchor in form.anchors))
"""What a gate looks for, in lower case: where none is, there is no token."""

_NAMED = frozenset({"named", "near", "option"})
"""Forms that begin with a name, which has to be that of a secret."""
_OF_PEOPLE = frozenset({"chosen", "foreign", "login", "sql", "user", "userinfo"})
"""Forms of what people choose."""
_NAME = re.compile(r"[A-Za-z0-9_-]*")
_FORMS = tuple(tuple(at for at, form in enumerate(FORMS) if anchor in form.anchors) for anchor in ANCHORS)
_ONE_LINE = _NAMED | {"authorization", "bearer", "scheme", "phrase", "foreign", "foreign-key"}
"""Forms that are words and what stands behind them."""
_OPEN = frozenset({"authorization", "bearer", "scheme"})
"""Forms whose value may go on beyond token68."""
_REST = re.compile(r"[^\s\"'`<>&;,%\\\[]*+")
"""What belongs to a secret once it is known to be one: whoever wrote it did not stop at token68."""
_CHOSEN_REST = re.compile(rf"{LOOSE}*+")
"""The same of what people choose, which may have any characters in it, but is not the next field."""
_CLOSED = {quote: re.compile(rf"[^\s\\{quote}]{{0,256}}(?={quote})") for quote in "\"'`"}
"""The rest of a value that is quoted."""
_CHANGED = re.compile(
    r"[\"'`]\s?(?:->|=>|\u2192)\s?[\"'`](?P<t>[^\s\"'`\[<{(]{4,512})(?=[\"'`])|\sto\s(?P<to>[^\s\"'`\[<{(]{6,512})"
)
_NEXT = re.compile(r"[\"'`]?\s?(?:,|;| and| to)\s{0,2}[\"'`]?(?P<t>[A-Za-z0-9._~+/-]{20,512}+={0,2}(?![=:]))")
_CUT = re.compile(r"(?:\[?\.{3}\]?|…|\*{3,12})[A-Za-z0-9_+/=-]{6,512}+")
"""The end of a token whose middle was left out."""
_RUN = re.compile(r"[A-Za-z0-9_-]{20}")
"""In every token that is told by its issuer's mark alone: see :data:`bearerwatch.redact.patterns.LONG`."""
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*+")
_MAX_TRIES = 8
_OF_TOKENS = re.compile(r"tokens?[\"'`]?\.[\"'`]?\Z")
"""The table of a column, as statements name it, in lower case."""
_SIGNED = ("AccessKeyId=", "GoogleAccessId=", "Key-Pair-Id=", "SignedHeaders=")
"""What is in a URL that is signed: whoever has it may open it."""
_ENDED = ("", "\n", "\r", " ", ",", '"', "\\", "]", "}", "\x1b")
"""What may stand behind the end of a string that is a line of its own."""
_MARKS = ("[token ", "[password]")
_STOPS = ".,;:!?"
_BROKEN = re.compile(r"[?&][A-Za-z0-9_.-]{1,64}=\r?\n\Z")
"""Where a URL is broken over lines, which has no spaces: a parameter's value is in the next one."""
_NO_NAMES = {"auth": ("oriz", "entic")}
"""How an anchor goes on where it is no part of a secret's name, though it often stands there."""
_LEAST = 4
_MOST_BEFORE = 80
_ENCODED_BEFORE = re.compile(r"(?:[A-Za-z0-9+/]|%[0-9A-Fa-f]{2})*\Z")
_PARTED = re.compile(r"(?:[+/]|%[0-9A-Fa-f]{2})+")
_WORD = re.compile(r"(?:[A-Za-z][a-z]{2,}|[A-Z]{3,})?\Z")


class Candidates:
    """The exact stage, for what a gate lets through."""

    __slots__ = ("_ends", "_runs", "_text", "found")

    def __init__(self, text: str) -> None:
        self._text = text
        self._runs = _Runs(text)
        self._ends: dict[int, int] = {}
        """Of what is found, by where it begins: most forms find what another one has found."""
        self.found: list[Span] = []

    def search(self, index: int, low: str, looks: Collection[int] | None = None) -> None:
        """Try the forms of anchor *index* wherever that stands in *low*, the text in lower case.

        Of these those numbered *looks*, if it is known that no other one matches.
        """
        text, anchor = self._text, ANCHORS[index]
        at = low.find(anchor)
        matchers = _MATCHERS[index] or _matchers(index)
        if looks is not None:
            matchers = tuple([matcher for matcher in matchers if matcher[3] in looks])
        resume = [0] * len(matchers)
        no_name, marks = _NO_NAMES.get(anchor), anchor in LONG
        while at >= 0:
            behind = at + len(anchor)
            for number, (form, match, followers, _) in enumerate(matchers):
                if at < resume[number] or (no_name is not None and low.startswith(no_name, behind)):
                    continue
                if form.check == "begins" and not CHECKS["begins"](text, at, behind):
                    continue  # asked first: its pattern may match as much as there is, over and over
                if followers and not _follows(text, at, behind, followers):
                    continue
                matched = match(text, at)
                if matched is not None and marks and not _RUN.search(text, at, matched.end()):
                    resume[number] = matched.end()  # without such a run no gate asks, and one elsewhere says nothing
                    continue
                end = 0 if matched is None else self._take(form, at, matched)
                if end:
                    resume[number] = end
                elif form.id in ("jwt", "claims"):
                    resume[number] = self._runs.after(at)
            at = low.find(anchor, max(at + 1, min(resume)))

    def _take(self, form: Form, at: int, match: re.Match[str]) -> int:
        """Where the token ends that *form* has found where its anchor is, if its validator agrees; else 0."""
        text, name = self._text, form.id
        start, end = match.span("t")
        if name == "authorization" and match["s"] and _folded(text, match.span("s"), start):
            start = match.start("s")
        if text[end - 1] in _STOPS:  # the sentence's, not the token's
            end = start + len(text[start:end].rstrip(_STOPS))
        if name == "jwt" and text.count(".", start, end) == 1 and text.startswith(".", end):
            end += 1  # but of an unsigned JWT the second dot is its own
        if end - start < _LEAST or (name in _ONE_LINE and _apart(text, at, start, end)):
            return 0
        held = NONE
        if name in _NAMED:
            held = _held(text, at, match)
            if held == NONE:
                return 0
        known = self._ends.get(start, 0)
        if known >= end:
            end = known
        else:
            end = _unmarked(text, start, end)
            named = _names_what_was(text, start, end)
            end = 0 if named else _whole(text, form, held, start, end)
            if not end:
                return 0
        password = held == PASSWORD_LIKE or name in _OF_PEOPLE or "basic" in text[at:start].lower()
        kind = PASSWORD if password else name
        if end > known or password:
            self._keep(Span(start - before(text, start, name), end, kind))
        if held != NONE or name == "claims":
            self._further(end, kind)
        return end

    def _keep(self, span: Span) -> None:
        self._ends[span.start] = span.end
        self.found.append(span)

    def _further(self, end: int, kind: str) -> None:
        """What stands behind a secret that ends at *end*: what it has become, or the rest of a list."""
        match = _CHANGED.match(self._text, end)
        if match is not None and (match["t"] or CHECKS["chosen"](self._text, *match.span("to"))):
            self._keep(Span(*match.span(match.lastgroup or "t"), kind))
        match = None if kind == PASSWORD else _NEXT.match(self._text, end)
        while match is not None and made_up(match["t"]):
            self._keep(Span(*match.span("t"), kind))
            match = _NEXT.match(self._text, match.end())


def _follows(text: str, at: int, behind: int, followers: str) -> bool:
    """Whether what stands *behind* a scheme at *at* may be a gap; a plus is none amid a run of base64."""
    first = text[behind : behind + 1]
    if first == "+":
        run = _ENCODED_BEFORE.search(text, max(at - _MOST_BEFORE, 0), at)
        before = run[0] if run is not None else ""
        if not before:
            return text[max(at - 7, 0) : at].lower() != "sha256:"
        words = _PARTED.split(before)
        return not words[-1] and all(_WORD.match(word) for word in words[:-1])
    return first in followers or not first.isascii()


_Matcher = tuple[Form, Callable[[str, int], re.Match[str] | None], str, int]
_MATCHERS: list[tuple[_Matcher, ...]] = [()] * len(ANCHORS)


def _matchers(index: int) -> tuple[_Matcher, ...]:
    """The forms of an anchor, what may follow it at once, and their numbers; compiled when it first occurs."""
    found = _MATCHERS[index] = tuple(
        (FORMS[at], FORMS[at].pattern.match, FORMS[at].followers, at) for at in _FORMS[index]
    )
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


def _folded(text: str, word: tuple[int, int], start: int) -> bool:
    """Whether the *word* before what begins at *start* is no scheme, but the beginning of it: the line was folded."""
    return text[word[1] : start].strip(" \t") != "" and CHECKS["credential"](text, *word)


def _names_what_was(text: str, start: int, end: int) -> bool:
    """Whether what ends at *end* is the name or scheme of what a mark of ours has taken the place of."""
    if text.startswith(_MARKS, end):
        return text[end - 1] in "=:+"
    if text[end : end + 1] != ":" or not text.startswith(_MARKS, end + 1):
        return False
    name = _NAME.match(text[max(end - 40, start) : end][::-1])
    return name is not None and secret_name(name[0][::-1]) != NONE


def _unmarked(text: str, start: int, end: int) -> int:
    """*end*, or where before it a mark of ours begins: what stands behind is another secret's."""
    at = text.find("[", start, end)
    while at >= 0 and not text.startswith(_MARKS, at):
        at = text.find("[", at + 1, end)
    return end if at < 0 else at


def _apart(text: str, at: int, start: int, end: int) -> bool:
    """Whether what stands between *start* and *end* begins another line than the name at *at*, and says no more of it.

    It goes on there if that line is indented (as YAML, XML and folded headers do, RFC 9112 §5.2), and has no name of
    its own; if it is one string; or behind an empty line (multipart/form-data, RFC 7578 §4.2).
    """
    line = text.rfind("\n", at, start) + 1
    if not line:
        return False
    if line == start and _BROKEN.search(text, max(at - _MOST_BEFORE, 0), line):
        return False
    if text[line] in " \t<":
        return text[end : end + 1] in (":", "=")
    if text[line] in "\"'" and start == line + 1 and text[end + 1 : end + 2] in _ENDED:
        return False  # as interpreters show what they were asked for
    return not text.startswith(("\n", "\r\n"), max(line - 2, at)) or '"' not in text[at:line]


def _whole(text: str, form: Form, held: int, start: int, end: int) -> int:
    """Where the token ends that stands between *start* and *end*, or goes on beyond; 0 if it is none."""
    if end - start < _LEAST:
        return 0
    quote = text[start - 1 : start]
    closed = _CLOSED[quote].match(text, end) if held != NONE and quote and quote in "\"'`" else None
    if closed is not None:
        end = closed.end()
    check = form.check
    if check == "keyed":
        check = "weak" if held == LONG_TOKEN else check
        if held == PASSWORD_LIKE:
            said = form.id == "named" and quote == " " and text[start - 2 : start - 1].isalpha()
            check = "chosen" if said else "password"
    if not CHECKS[check](text, start, end):
        return 0
    if closed is None and (held != NONE or form.id in _OPEN):
        rest = (_CHOSEN_REST if held == PASSWORD_LIKE else _REST).match(text, end)
        end += 0 if rest is None else len(rest[0].rstrip(")]}.:,;|!?"))
    cut = _CUT.match(text, end)
    return end if cut is None else cut.end()


_COOKIE = re.compile(r"(?i:cookie)[\\\"']{0,4}\s?[:=,]\s?[\\\"']{0,4}(?P<pairs>[^\r\n\"'\\]{1,8192})")
_PAIR = re.compile(r"(?P<n>[A-Za-z0-9_.%-]{1,80}+)=(?P<t>[A-Za-z0-9_.%+/=|~:-]{24,4096}+)")
_HARMLESS = re.compile(
    r"(?i:_+(?:ga|gid|gcl|utm|fbp|fbc|hj|pk|clck|cf_bm)|ajs_|amp|optan|consent|optimizely|mp_|visitor)"
)
"""Beginnings of names of cookies that say who looks, to those who count, and let nobody in."""


def _cookies(text: str) -> list[Span]:
    """The values in headers of cookies in *text* that look made up, whatever they are called (RFC 6265 §4.2)."""
    return [
        Span(*pair.span("t"), "cookie")
        for header in _COOKIE.finditer(text)
        for pair in _PAIR.finditer(text, *header.span("pairs"))
        if not _HARMLESS.match(pair["n"]) and made_up(pair["t"]) and not pair["t"].startswith("[token ")
    ]


_PRIVATE = re.compile(r"[\"'](?:d|p|q|dp|dq|qi|k)[\\]{0,6}[\"']\s{0,4}:\s{0,4}[\\]{0,6}[\"'](?P<t>[A-Za-z0-9_-]{20,})")


def _private_members(text: str) -> list[Span]:
    """The private members of JSON Web Keys in *text* (RFC 7518 §6.2.2, §6.3.2, §6.4)."""
    return [Span(*match.span("t"), "jwk") for match in _PRIVATE.finditer(text)]


BESIDES: tuple[tuple[str, Callable[[str], list[Span]], str], ...] = (
    ("cookie", _cookies, _COOKIE.pattern),
    ("kty", _private_members, _PRIVATE.pattern),
    *COMMANDS,
    *TRANSCRIPTS,
    *DOCUMENTS,
    *COLUMNS,
)
"""What is told by its place: the anchor, in lower case, what finds it, and how such a place looks."""


def _key(text: str, name: str, begin: int) -> int:
    """What the field is for that is called ``key`` alone: what stands before it tells."""
    before = text[max(begin - 20, 0) : begin].lower()
    if name == "key" and before.rstrip("\\\"': =").endswith("authorization"):
        return LONG_TOKEN
    if before.endswith(("api ", "access ", "secret ", "unseal ")) or _OF_TOKENS.search(before):
        return TOKEN_LIKE
    return LONG_TOKEN if before.endswith(("with ", "using ", "tunnel ")) else secret_name(name)


def _held(text: str, at: int, match: re.Match[str]) -> int:
    """What the field is for whose name has an anchor at *at*."""
    leading = None if text.startswith("--", at) else _NAME.match(text[max(at - 40, 0) : at][::-1])
    left = leading[0][::-1] if leading else ""
    name = left + match["n"]
    begin = at - len(left)
    if text[match.end("n") : match.end("n") + 1] == ">" and text[begin - 1 : begin] == "/":
        return NONE  # the end of an element
    if (
        name == "password"
        and text.startswith("[password]", begin - 1)
        and not text.startswith(" =>", at + len("password]"))
        and not (text.startswith("=", at + len("password]")) and text[begin - 2 : begin - 1].isalnum())
    ):
        return NONE  # a mark of ours, unless it is as PHP prints arrays, and forms name members
    if text.endswith(("://", "checksum/"), 0, begin):
        return NONE  # the user of a URL, whose password has a form of its own, and a digest
    if text[begin - 2 : begin] == "::" and begin > 2 and text[begin - 3].isalnum():
        return NONE  # a type within others
    between = text[begin - 1 : begin] == ":" and text[match.end("n") : match.end("n") + 1] == ":"
    if between and begin > 1 and text[begin - 2] not in " \t\n":
        return NONE  # one of many fields between colons, and no field of reStructuredText
    if name in ("key", "code") and text[begin - 1 : begin] in ("?", "&"):
        return LONG_TOKEN
    if name.lower() == "key":
        return _key(text, name, begin)
    if name.lower() == "signature":  # of a URL that whoever has it may open
        return TOKEN_LIKE if any(beside in text for beside in _SIGNED) else LONG_TOKEN if "eyJ" in text else NONE
    if name.lower() == "code":
        return TOKEN_LIKE if "grant_type" in text or "state=" in text else NONE
    return secret_name(name)
