"""Where in a text its tokens are: by form, as it stands and as it was meant, and by value while they are in flight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bearerwatch.context import live
from bearerwatch.redact.gate import ENCODED, NOISE, PREFILTER, by_search, disguised, encoded, kinds_of
from bearerwatch.redact.live import LIVE_TEXT
from bearerwatch.redact.spans import Span, disjoint
from bearerwatch.redact.views import dumped, listed, undone, view_of, wrapped

__all__ = ["found"]


_DEPTH = 2
"""How often something may be encoded over again."""


def found(text: str) -> list[Span]:
    """Tokens in *text*, in order and without overlap."""
    looks = PREFILTER(text) if text.isascii() else None
    spans: list[Span] = []
    if looks is None or looks or "\n" in text:
        kinds = kinds_of(text)
        spans = _written(text, kinds, looks)
        if disguised(text, kinds) if looks is None else (NOISE in looks or "\n" in text):
            spans += _disguised(text)
    if live:
        spans += [Span(start, end, kind) for start, end, kind in LIVE_TEXT.find(text)]
    return disjoint(spans) if len(spans) > 1 else spans


def _disguised(text: str) -> list[Span]:
    """What is found in *text* as it was meant."""
    meant = undone(text)
    if meant is None:
        return []
    spans = _seen_in(text, meant, joined=True)
    if "\n" in text:  # what is joined may not have belonged together
        apart = undone(text, joined=False)
        if apart is not None and apart != meant:
            spans += _seen_in(text, apart, joined=False)
    return spans


def _seen_in(text: str, meant: str, *, joined: bool) -> list[Span]:
    hidden = _meant(meant)
    view = view_of(text, joined=joined) if hidden else None
    if view is None:
        return []
    return [Span(*view.span(start, end), kind, token or view.text[start:end]) for start, end, kind, token in hidden]


def _meant(text: str, depth: int = _DEPTH) -> list[Span]:
    """What is found in a text that another one stands for."""
    return _written(text, kinds_of(text), PREFILTER(text) if text.isascii() else None, depth)


def _written(text: str, kinds: str, looks: list[int] | None, depth: int = _DEPTH) -> list[Span]:
    """What is a token by its form, as it stands or in a run that is base64 or hex of another text."""
    forms = None if looks is None else [number for number in looks if number < ENCODED]
    spans = [] if forms == [] and "\n" not in text else by_search(text, kinds, forms)
    if depth and (encoded(kinds) if looks is None else ENCODED in looks):
        spans += _within(wrapped(text, [(span.start, span.end) for span in spans]), depth - 1)
        spans += _within(listed(text), depth - 1)
    if depth and "\n" in text:
        spans += _within(dumped(text), 0)
    return spans


def _within(parts: Iterable[tuple[int, int, str]], depth: int) -> Iterator[Span]:
    """Those of the *parts* of a text that stand for another one with a token in it, each as a whole."""
    for start, end, inner in parts:
        hidden = _meant(inner, depth)
        if hidden:
            first = hidden[0]
            yield Span(start, end, first.kind, first.token or inner[first.start : first.end])
