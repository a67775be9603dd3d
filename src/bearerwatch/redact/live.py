"""Live tokens in text, by value: whole, in other spellings, and in pieces.

No pattern can tell an opaque token, nor the third part of a JWT that somebody split at its dots. But while its
request is in flight the token is known, and no run of twelve of its characters has any business in a log.

The index holds every second run of seven characters (*gram*) of each token, and every third one of a text is looked
up in it. Any stretch of twelve holds six of them, one after the other, and of six in a row one is both: so no stretch
of twelve is missed wherever it is cut out and put, and a text is looked through once, however many tokens are live.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote

from bearerwatch import _jws
from bearerwatch.context import live

__all__ = ["LIVE", "LIVE_TEXT", "MIN_LIVE", "PASSWORD", "LiveText"]

MIN_LIVE = 12
"""Pieces shorter than this are left: they would wipe common words, and tell little."""

LIVE = "live"
PASSWORD = "password"  # noqa: S105 - the name of a kind
_GRAM = 7
_STRIDE = 2
"""From one gram of a token that is known to the next."""
_STEP = 3
"""From one gram of a text that is looked up to the next. Both, having no common divisor, meet within six."""
_COARSE = 64
"""Distance of the grams of a spelling that turns up whole or not at all."""
_MOST_COARSE = 256
_MOST_SHARING = 32
"""Credentials of one origin have much in common: so many are compared where that stands in a text."""
_MOST = 300_000
"""Characters of tokens to know in full, some 25 MB of index. Past that, those that are over are forgotten."""
_RUN = re.compile(r"[A-Za-z0-9._~+/=%-]{12,}")
_WHOLE = re.compile(r"[A-Za-z0-9._~+/=%-]*\Z")


class _Spelling(NamedTuple):
    """One way in which a credential may turn up."""

    text: str
    credential: str
    public: int
    """Characters at its beginning that tell nothing."""


class LiveText:
    """Finds live credentials in text. What it has worked out about one is kept for a while after that is over."""

    def __init__(self) -> None:
        self._forget()
        _all.add(self)

    def _forget(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may log amid learning
        self._known: set[str] = set()
        self._grams: dict[str, _Spelling] = {}
        self._shared: set[str] = set()
        """Grams that more than one credential has."""
        self._odd: list[_Spelling] = []
        self._room = _MOST
        self._synced = False

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Start, end and kind of every trace of live credentials in *text*; they may overlap."""
        if live.fresh or not self._synced:
            self._catch_up()
        for spelling in self._odd:  # a secret with a space in it, say: few are
            at = text.find(spelling.text)
            if at >= 0 and spelling.credential in live.values():
                while at >= 0:
                    yield at, at + len(spelling.text), self._kind(spelling.credential)
                    at = text.find(spelling.text, at + len(spelling.text))
        known = self._grams.keys()
        for run in _RUN.finditer(text):
            begin, end = run.span()
            if not known.isdisjoint([text[at : at + _GRAM] for at in range(begin, end - _GRAM + 1, _STEP)]):
                yield from self._in_run(text, begin, end)

    def _in_run(self, text: str, begin: int, end: int) -> Iterator[tuple[int, int, str]]:
        run = text[begin:end]
        if run in self._known and run in live.values():
            yield begin, end, self._kind(run)
            return
        at = begin
        while at <= end - _GRAM:
            spelling = self._grams.get(text[at : at + _GRAM])
            found = None if spelling is None else self._around(text, at, spelling)
            at += _STEP
            if found is not None:
                yield found
                at += max(0, found[1] - _GRAM + 1 - at) // _STEP * _STEP

    def _around(self, text: str, at: int, spelling: _Spelling) -> tuple[int, int, str] | None:
        """The trace of live credentials whose gram stands at *at*; *spelling* is one that has it."""
        gram = text[at : at + _GRAM]
        credentials = live.values()
        alive = spelling.credential in credentials
        candidates = [spelling] if alive else []
        if not alive or gram in self._shared:
            having = (one for one in credentials if gram in one and one != spelling.credential)
            candidates += [_Spelling(one, one, _public(one)) for one in islice(having, _MOST_SHARING)]
        start, stop, kind = len(text), 0, LIVE
        for candidate in candidates:
            extent = _extent(text, at, candidate)
            if extent is not None:
                start, stop = min(start, extent[0]), max(stop, extent[1])
                if self._kind(candidate.credential) == PASSWORD:
                    kind = PASSWORD
        return (start, stop, kind) if stop else None

    @staticmethod
    def _kind(credential: str) -> str:
        return PASSWORD if credential in live.passwords() else LIVE

    def owner(self, found: str) -> str | None:
        """The credential that *found* is a spelling or a piece of."""
        credentials = live.values()
        if found in credentials:
            return found
        for at in range(min(len(found) - _GRAM + 1, _COARSE)):
            spelling = self._grams.get(found[at : at + _GRAM])
            if spelling is not None and spelling.credential in credentials and found in spelling.text:
                return spelling.credential
        for spelling in self._odd:
            if spelling.text == found and spelling.credential in credentials:
                return spelling.credential
        for piece in (found, found[:MIN_LIVE], found[-MIN_LIVE:]):
            for credential in credentials:
                if piece in credential:
                    return credential
        return None

    # -- learning ----------------------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Learn the credentials that have come since the last look.

        Each stays in the queue until it is learned: whoever looks meanwhile waits for the lock.
        """
        with self._lock:
            if not self._synced:
                self._synced = True
                for credential in live.values():
                    self._learn(credential)
            fresh = live.fresh
            while fresh:
                with suppress(StopIteration, RuntimeError):  # another thread has changed it meanwhile
                    ticket, credential = next(iter(fresh.items()))
                    self._learn(credential)
                    fresh.pop(ticket, None)

    def _learn(self, credential: str) -> None:
        if credential in self._known:
            return
        if len(credential) > self._room:
            self._renew()
        self._add(credential)

    def _renew(self) -> None:
        """Forget credentials that are over. Those that live are never forgotten."""
        self._known, self._grams, self._shared, self._odd = set(), {}, set(), []
        self._room = _MOST
        for credential in dict.fromkeys(live.values()):
            self._add(credential)
        self._room = max(self._room, _MOST // 4)  # should nearly all of them live: not for each newcomer

    def _add(self, credential: str) -> None:
        full = self._room > 0
        self._room -= len(credential)
        grams = self._grams
        spellings = _spellings(credential)
        for number, spelling in enumerate(spellings):
            text = spelling.text
            if not _WHOLE.match(text):
                self._odd = [*self._odd, spelling]
            last = len(text) - _GRAM
            if number == 0 and full:
                for at in range(spelling.public, last + 1, _STRIDE):
                    gram = text[at : at + _GRAM]
                    other = grams.get(gram)
                    if other is None or other.credential == credential:
                        grams[gram] = spelling
                    else:
                        self._shared.add(gram)
                continue
            step = max(_COARSE, last // _MOST_COARSE)
            for place in range(spelling.public, last + 1, step):
                for at in range(place, min(place + _STEP, last + 1)):  # one of them is looked up
                    grams.setdefault(text[at : at + _GRAM], spelling)
        self._known.add(credential)


_all: weakref.WeakSet[LiveText] = weakref.WeakSet()


def _after_fork() -> None:
    for text in list(_all):  # another thread of the parent may have held the lock
        text._forget()  # noqa: SLF001 - its own kind


os.register_at_fork(after_in_child=_after_fork)


def _extent(text: str, at: int, spelling: _Spelling) -> tuple[int, int] | None:
    """All around *at* that *text* and *spelling* have in common, in stretches that are long enough to tell."""
    spelled, gram = spelling.text, text[at : at + _GRAM]
    best: tuple[int, int] | None = None
    place = spelled.find(gram)
    while place >= 0:
        left = 0
        while left < place and left < at and spelled[place - left - 1] == text[at - left - 1]:
            left += 1
        right = _GRAM
        most = min(len(spelled) - place, len(text) - at)
        while right < most and spelled[place + right] == text[at + right]:
            right += 1
        # of what lies in the part that tells nothing, eleven characters count
        telling = place + right - max(place - left, spelling.public)
        if telling >= MIN_LIVE:
            best = (min(best[0], at - left), max(best[1], at + right)) if best else (at - left, at + right)
        place = spelled.find(gram, place + 1)
    return best


def _public(credential: str) -> int:
    """Where the part begins whose pieces tell something: a JOSE header is the same text in nearly every token."""
    head, dot, _ = credential.partition(".")
    return len(head) - MIN_LIVE + 1 if dot and len(head) >= MIN_LIVE and _jws.header_of(head) is not None else 0


def _spellings(credential: str) -> list[_Spelling]:
    """The spellings under which *credential* itself may turn up in a line; as it is comes first."""
    spelled: list[str] = []
    try:
        spelled += [quote(credential, safe=""), json.dumps(credential)[1:-1], repr(credential)[1:-1]]
        raw = credential.encode()
        spelled.append(repr(raw)[2:-1])
        for shift in range(3):  # base64 of any text holding it, at each of the three alignments
            wrapped = base64.b64encode(b"\0" * shift + raw).decode()
            core = wrapped[(0, 2, 3)[shift] : len(wrapped) - (0 if (shift + len(raw)) % 3 == 0 else 4)]
            if len(core) >= MIN_LIVE:
                spelled += [core, core.replace("+", "-").replace("/", "_")]
        spelled.append(repr(credential.encode("latin-1"))[2:-1])  # as a header's bytes are shown
    except UnicodeEncodeError:  # lone surrogates, or beyond Latin-1: what came before will do
        pass
    first = _Spelling(credential, credential, _public(credential))
    others = [text for text in dict.fromkeys(spelled) if text != credential]
    return [first, *(_Spelling(text, credential, 0) for text in others)]


LIVE_TEXT = LiveText()
"""Of this process."""
