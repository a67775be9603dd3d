"""What is put in a token's place, so that looking again finds nothing."""

from __future__ import annotations

from collections.abc import Callable

from bearerwatch.fingerprint import fingerprint
from bearerwatch.redact.engine import Span, find
from bearerwatch.redact.live import LIVE, LIVE_TEXT, PASSWORD

__all__ = ["cleaned", "same_length", "token_of"]

_ROUNDS = 4
_LEAST = 22
"""Characters in which ``[token `` and a fingerprint's first four digits fit; fewer tell tokens apart too little."""

Mark = Callable[[Span, str, int], str]
"""What was found, how it stands in the text, and in how many bytes -> what is put there."""


def token_of(span: Span, found: str) -> str:
    """The token itself: *found*, unless that is another spelling of it, or a piece of one that is in flight."""
    if span.kind == LIVE:
        return LIVE_TEXT.owner(found) or found
    return found if span.token is None else span.token


def _full(span: Span, found: str, _room: int) -> str:
    """The mark the logging redaction leaves."""
    return "[password]" if span.kind == PASSWORD else f"[token {fingerprint(token_of(span, found))}]"


def _padded(span: Span, found: str, room: int) -> str:
    mark = _full(span, found, room)
    if len(mark) <= room:
        return mark + "*" * (room - len(mark))
    return mark[: room - 1] + "]" if span.kind != PASSWORD and room >= _LEAST else "*" * room


_FULL: tuple[Mark, ...] = (_full,)
_SAME: tuple[Mark, ...] = (_padded, lambda _span, _found, room: "*" * room, lambda _span, _found, room: " " * room)


def cleaned(text: str, begin: int, end: int, spans: list[Span]) -> str:
    """``text[begin:end]`` without the tokens of *spans*, which lie there, and without what only then looks like one.

    A token becomes ``[token <fingerprint>]``, and a password ``[password]``.
    """
    return _until_clean(text, begin, end, spans, marks=_FULL)


def same_length(text: str, begin: int, end: int, spans: list[Span]) -> str:
    """As :func:`cleaned`, with marks as many bytes long as what they stand for: padded with ``*``, or cut.

    A mark that is cut may look like a token where it stands; there it is made of ``*`` alone, or of blanks.
    """
    return _until_clean(text, begin, end, spans, marks=_SAME)


def _until_clean(text: str, begin: int, end: int, spans: list[Span], *, marks: tuple[Mark, ...]) -> str:
    lead, tail = text[:begin], text[end:]
    used = [0] * len(spans)
    while True:
        body, places = _marked(text, begin, end, spans, marks=[marks[which] for which in used])
        again = _within(lead, body, tail)
        worse = [
            place
            for place, (start, stop) in enumerate(places)
            if used[place] < len(marks) - 1 and _touched(again, start, stop)
        ]
        if not worse:
            break
        for place in worse:
            used[place] += 1
    for _ in range(_ROUNDS):
        if not again:
            break
        whole = lead + body + tail
        body, _places = _marked(whole, begin, begin + len(body), again, marks=[marks[-1]] * len(again))
        again = _within(lead, body, tail)
    return body


def _touched(spans: list[Span], start: int, stop: int) -> bool:
    return any(span.start < stop and span.end > start for span in spans)


def _within(lead: str, body: str, tail: str) -> list[Span]:
    """What still looks like a token and lies in *body*."""
    begin, end = len(lead), len(lead) + len(body)
    found = find(lead + body + tail)
    return [
        span._replace(start=max(span.start, begin), end=min(span.end, end))
        for span in found
        if span.start < end and span.end > begin
    ]


def _marked(
    text: str, begin: int, end: int, spans: list[Span], *, marks: list[Mark]
) -> tuple[str, list[tuple[int, int]]]:
    """The new text, and where in the whole of it the marks are."""
    parts: list[str] = []
    places: list[tuple[int, int]] = []
    done = at = begin
    for span, mark in zip(spans, marks, strict=True):
        found = text[span.start : span.end]
        put = mark(span, found, len(found) if found.isascii() else len(found.encode("utf-8", "surrogateescape")))
        parts += (text[done : span.start], put)
        at += span.start - done
        places.append((at, at + len(put)))
        at += len(put)
        done = span.end
    parts.append(text[done:end])
    return "".join(parts), places
