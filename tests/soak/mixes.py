"""Texts put together at random: what leaks and what looks like it, junk, and all of that cut up and wrapped."""

from __future__ import annotations

import base64
import html
import json
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from bearerwatch import redact_text
from bearerwatch.redact.exact import ANCHORS
from redact.corpus.encodings import ENCODINGS
from redact.corpus.judge import WINDOW, leaked, views
from redact.corpus.leaks import leaks
from redact.corpus.lookalikes import lookalikes
from redact.corpus.values import Case
from soak.rounds import Round

__all__ = ["ALIKE", "Mix", "Mixer", "Secret", "survivors"]

_JUNK: tuple[Callable[[random.Random], str], ...] = (
    lambda rng: chr(rng.randrange(32, 127)),
    lambda rng: rng.choice("\t\n\r\0\x0b\x0c\x1b\x1c\x7f\x85\u2028\\'\"`%&#^=:,;.<>[]{}()|/+~*-_ "),
    lambda rng: rng.choice("aZ09-_=+/. "),
    lambda rng: chr(rng.randrange(0xD800, 0xE000)),
    lambda rng: rng.choice("\u00ad\u200b\u2060\ufeff\u202e\u0130\u1e9e\u0345\u00df\ufb03\uff21\uff1a\u2019\U0001f511"),
    lambda rng: chr(rng.randrange(0x110000)),
    lambda rng: rng.choice(ANCHORS),
    lambda rng: rng.choice((str.upper, str.title))(rng.choice(ANCHORS)),
    lambda rng: rng.choice(("[token ", "[password]", "k0123abcd:", "short:7]", "***", "...", "%25", "\\u00", "&#x", "\x1b[")),
)  # fmt: skip
_BRACKETS = ('{"a":', "[", "(", "\\", '\\"', "%25", '"', "<a>", "{'t': ", "\x1b[1m", "\n ", "&amp;")
_WRAPPINGS: tuple[Callable[[str], str], ...] = (
    json.dumps,
    repr,
    lambda text: repr(text.encode("utf-8", "surrogatepass")),
    lambda text: quote(text.encode("utf-8", "surrogatepass")),
    lambda text: base64.b64encode(text.encode("utf-8", "surrogatepass")).decode(),
    lambda text: text.encode("utf-8", "surrogatepass").hex(),
    html.escape,
    *(lambda text, encode=encode: encode(text.encode("ascii", "replace").decode()) for encode in ENCODINGS.values()),
)
# Surroundings that leave the form whole: what stands in them is what was written, on a line of its own or in a value.
_FRAMES: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: f"2026-03-01 12:00:00,123 INFO app.views: {text}",
    lambda text: f"Mar  1 12:00:00 web1 app[4711]: {text}",
    lambda text: f"{text} took 12 ms",
    lambda text: f"[{text}]",
    lambda text: f"\x1b[32m{text}\x1b[0m",
    lambda text: f"Z\u00fcrich \u2014 {text} \u2713",
    lambda text: f"\udcff {text} \ud800",
    lambda text: json.dumps({"level": "INFO", "message": text, "n": 7}),
    lambda text: f"level=info msg={json.dumps(text)} n=7",
    lambda text: repr({"message": text, "n": 7}),
)


def _traced(text: str) -> str:
    return f'Traceback (most recent call last):\n  File "/srv/app/x.py", line 3, in f\n    f()\nValueError: {text}'


ALIKE = tuple(line for line in lookalikes(99_991) if redact_text(line) == line)
"""Clean lines; of a seed no corpus of leaks has, for those of one seed share what they are made of."""
_LONG = 20_000
_MOST_LINES = 4
_ROUNDS_EACH = 2000
"""For so many rounds one corpus."""


_OWN_LINES = ("body/csv", "body/tsv", "body/table", "encoding/hexdump", "encoding/wrap")
"""What is told by standing at the beginning of its lines, which the surroundings are put before."""
_LAST = ("password/yaml", "password/ldap", "password/prose", "password/german")
"""Where a password of words alone is told by standing at the end of its line, which the surroundings are put behind."""

Secret = tuple[str, ...]
"""The pieces of which none may survive."""


class Mix(NamedTuple):
    """A text, and the secrets in it that stand as they were written."""

    text: str
    secrets: tuple[Secret, ...] = ()


@lru_cache(maxsize=2)
def _corpus(seed: int) -> tuple[Case, ...]:
    return tuple(case for case in leaks(seed) if case.context_free and not _by_its_line(case.id))


def _by_its_line(name: str) -> bool:
    return name.startswith(_OWN_LINES) or (name.startswith(_LAST) and "words-password" in name)


@lru_cache(maxsize=1)
def _shared(seed: int) -> frozenset[str]:
    """Pieces of secrets that are no secret: what the claims of many tokens have in common."""
    one, other = ({piece for case in _corpus(seed + n) for piece in _pieces(case.secret)} for n in range(2))
    return frozenset(one & other)


def _pieces(secret: str) -> list[str]:
    return [secret[at : at + WINDOW] for at in range(max(len(secret) - WINDOW, 0) + 1)]


def survivors(secrets: Sequence[Secret], text: str) -> list[Secret]:
    """Those of *secrets* of which a piece can still be read in *text*; if that is long, only as it stands there."""
    left, found = list(secrets), []
    for view in [text] if len(text) > _LONG or not left else views(text):
        found += [secret for secret in left if any(piece in view for piece in secret)]
        left = [secret for secret in left if secret not in found]
    return found


class Mixer:
    """Makes texts; each call makes another one. The same round makes the same."""

    def __init__(self, turn: Round) -> None:
        self.rng = random.Random(str(turn))
        self._corpus = turn.seed + 2 * (turn.number // _ROUNDS_EACH)

    def __call__(self) -> Mix:
        """Any of the kinds below."""
        kind = self.rng.random()
        if kind < 0.5:
            return self.whole()
        return Mix(self.junk() if kind < 0.6 else self.torn() if kind < 0.9 else self.nested())

    def case(self) -> Case:
        """A leaking text that is redacted when nothing is around it; how many are not is the corpus' own test."""
        while True:
            case = self.rng.choice(_corpus(self._corpus))
            if leaked(case.secret, redact_text(case.text)) is None:
                return case

    def secret(self, text: str) -> Secret:
        """The pieces of *text*, but for what is in many others."""
        shared = _shared(self._corpus)
        return tuple(piece for piece in _pieces(text) if piece not in shared)

    def line(self) -> Mix:
        """One line, or one value, in which a leaking text stands whole."""
        while "\n" in (case := self.case()).text or "\r" in case.text:
            pass
        return Mix(self.rng.choice(_FRAMES)(case.text), (self.secret(case.secret),))

    def whole(self) -> Mix:
        """Leaking texts that stand whole: within a line or a value, and with other lines before and behind."""
        cases = [self.case() for _ in range(self.rng.choice((1, 1, 1, 2, 3)))]
        lines = [self.rng.choice((*_FRAMES, _traced))(case.text) for case in cases]
        for _ in range(self.rng.randrange(_MOST_LINES)):
            line = self.rng.choice(ALIKE) if self.rng.random() < 0.8 else self.junk(20).replace("\n", " ")
            lines.insert(self.rng.randrange(len(lines) + 1), line)
        text = self.rng.choice(("\n", "\r\n", "\n\n")).join(lines)
        return Mix(text, tuple(self.secret(case.secret) for case in cases))

    def around(self, lines: tuple[str, ...]) -> str:
        """One of *lines*, in surroundings that say nothing."""
        return self.rng.choice(_FRAMES)(self.rng.choice(lines))

    def junk(self, most: int = 300) -> str:
        """Characters and anchors of one kind or of several."""
        kinds = self.rng.choices(_JUNK, k=self.rng.randrange(1, 4))
        return "".join(self.rng.choice(kinds)(self.rng) for _ in range(self.rng.randrange(most)))

    def torn(self) -> str:
        """Pieces of whatever there is, glued, cut, doubled and changed, and some of it wrapped."""
        pieces = [self._piece() for _ in range(self.rng.randrange(1, 6))]
        text = self.rng.choice(("", " ", "\n", ",", "=", ".")).join(pieces)
        for _ in range(self.rng.choice((0, 1, 2, 8))):
            text = self._changed(text)
        return text

    def nested(self) -> str:
        """Something deep within others, in other spellings over one another, or many times."""
        rng, text = self.rng, self._piece()
        how = rng.randrange(3)
        if how == 0:
            depth = rng.choice((3, 30, 300, 3000))
            return rng.choice(_BRACKETS) * depth + text + rng.choice((*_BRACKETS, "}", "]", ")")) * depth
        if how == 1:
            for _ in range(rng.randrange(1, 6)):
                text = rng.choice(_WRAPPINGS)(text[:20_000])
            return text[:200_000]
        return self.unit() * rng.choice((10, 100, 1000)) + text

    def unit(self) -> str:
        """A few characters that, said over and over, may cost much."""
        return (self.junk(12) if self.rng.random() < 0.5 else self._piece()[: self.rng.randrange(1, 40)]) or "a"

    def _piece(self) -> str:
        rng = self.rng
        text = rng.choice((self._other, lambda: rng.choice(ALIKE), self.junk))()
        if rng.random() < 0.3:
            begin = rng.randrange(len(text) + 1)
            text = text[begin : begin + rng.randrange(1, len(text) + 2)]
        return rng.choice(_WRAPPINGS)(text) if rng.random() < 0.3 else text

    def _other(self) -> str:
        """A leaking text with secrets of its own: what is torn may survive."""
        return self.rng.choice(_corpus(self._corpus + 1)).text

    def _changed(self, text: str) -> str:
        rng = self.rng
        begin = rng.randrange(len(text) + 1)
        end = min(len(text), begin + rng.choice((1, 1, 3, 20)))
        other = rng.choice(
            ("", "", text[begin:end] * 2, text[begin:end].swapcase(), text[begin:end][::-1], self.junk(4))
        )
        return text[:begin] + other + text[end:]
