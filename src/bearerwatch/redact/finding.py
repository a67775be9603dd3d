"""Where in a text its tokens are: by form, as it stands and as it was meant, and by value while they are in flight."""

from __future__ import annotations

from bearerwatch.context import live
from bearerwatch.redact.gate import encoded, formed, kinds_of
from bearerwatch.redact.live import LIVE_TEXT
from bearerwatch.redact.spans import Span, disjoint
from bearerwatch.redact.views import noisy, undone, view_of, wrapped

__all__ = ["found"]


def found(text: str) -> list[Span]:
    """Tokens in *text*, in order and without overlap."""
    kinds = kinds_of(text)
    spans = formed(text, kinds)
    if noisy(text):
        meant = undone(text)
        if meant is not None and formed(meant, kinds_of(meant)):
            view = view_of(text)
            if view is not None:
                spans += [
                    Span(*view.span(start, end), kind, view.text[start:end])
                    for start, end, kind, _ in formed(view.text, kinds_of(view.text))
                ]
    if encoded(kinds):
        for start, end, inner in wrapped(text, [(span.start, span.end) for span in spans]):
            hidden = formed(inner, kinds_of(inner))
            if hidden:
                spans.append(Span(start, end, hidden[0].kind, inner[hidden[0].start : hidden[0].end]))
    if live:
        spans += [Span(start, end, kind) for start, end, kind in LIVE_TEXT.find(text)]
    return disjoint(spans) if len(spans) > 1 else spans
