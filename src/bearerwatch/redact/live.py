"""Live tokens in text, by value: whole, in other spellings, and in pieces.

No pattern can tell an opaque token, nor the third part of a JWT that somebody split at its dots. But while its
request is in flight the token is known, and no run of twelve of its characters has any business in a log.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from bearerwatch import _jws
from bearerwatch.context import live

__all__ = ["LIVE", "MIN_LIVE", "PASSWORD", "LiveText"]

MIN_LIVE = 12
"""Pieces shorter than this are left: they would wipe common words, and tell little."""

LIVE = "live"
PASSWORD = "password"  # noqa: S105 - the name of a kind
_MAX_KNOWN = 512
_RUN = re.compile(r"[A-Za-z0-9._~+/=-]{12,}")


class LiveText:
    """Finds live credentials in text. What it has worked out about a credential is kept while that is live."""

    __slots__ = ("_known", "_windows")

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}
        self._windows: dict[str, str] = {}

    def find(self, text: str, credentials: Sequence[str]) -> Iterator[tuple[int, int, str]]:
        """Start, end and kind of every trace of *credentials* in *text*; they may overlap."""
        passwords = live.passwords()
        for credential in credentials:
            known = self._known.get(credential)
            if known is None:
                known = self._learn(credential, credentials)
            kind = PASSWORD if credential in passwords else LIVE
            for spelling in known:
                at = text.find(spelling)
                while at >= 0:
                    yield at, at + len(spelling), kind
                    at = text.find(spelling, at + len(spelling))
        windows = self._windows
        for run in _RUN.finditer(text):
            begin, limit = run.start(), run.end() - MIN_LIVE
            at = begin
            while at <= limit:
                piece = text[at : at + MIN_LIVE]
                owner = windows.get(piece)
                if owner is not None and owner not in credentials:  # that one is over; another may share the piece
                    owner = next((credential for credential in credentials if piece in credential), None)
                if owner is None:
                    at += 1
                    continue
                end = at + MIN_LIVE
                while end < run.end() and windows.get(text[end - MIN_LIVE + 1 : end + 1]) is not None:
                    end += 1
                yield at, end, PASSWORD if owner in passwords else LIVE
                at = end

    def owner(self, found: str) -> str | None:
        """The credential that *found* is a spelling or a piece of."""
        credentials = live.values()
        for credential in credentials:
            if found in self._known.get(credential, ()):
                return credential
        return next((credential for credential in credentials if found[:MIN_LIVE] in credential), None)

    def _learn(self, credential: str, credentials: Sequence[str]) -> tuple[str, ...]:
        if len(self._known) >= _MAX_KNOWN:  # most of them are over: begin again with those in flight
            self._known, self._windows = {}, {}
            for other in credentials[-_MAX_KNOWN // 2 :]:
                self._add(other)
        return self._add(credential)

    def _add(self, credential: str) -> tuple[str, ...]:
        known = self._known[credential] = _spellings(credential)
        windows = self._windows
        for at in range(_private(credential), len(credential) - MIN_LIVE + 1):
            windows[credential[at : at + MIN_LIVE]] = credential
        return known


def _private(credential: str) -> int:
    """Where the part begins whose pieces tell something: a JOSE header is the same text in nearly every token."""
    head, dot, _ = credential.partition(".")
    return len(head) - MIN_LIVE + 1 if dot and len(head) >= MIN_LIVE and _jws.header_of(head) is not None else 0


def _spellings(credential: str) -> tuple[str, ...]:
    """The spellings under which *credential* itself may turn up in a line."""
    spelled = [credential]
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
    return tuple(dict.fromkeys(spelled))
