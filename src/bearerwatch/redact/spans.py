"""Where in a text a token is."""

from __future__ import annotations

from typing import NamedTuple

from bearerwatch.redact.live import PASSWORD

__all__ = ["Span", "disjoint"]


class Span(NamedTuple):
    """Where in a text a token is."""

    start: int
    end: int
    kind: str
    token: str | None = None
    """The token, where the text has it in another spelling."""


def disjoint(spans: list[Span]) -> list[Span]:
    """Overlapping spans joined into one, so that no piece of a token survives beside its marker."""
    spans.sort(key=lambda span: (span.start, -span.end, span.token is not None))
    joined = [spans[0]]
    for span in spans[1:]:
        last = joined[-1]
        if span.start < last.end:
            kind = PASSWORD if PASSWORD in (last.kind, span.kind) else last.kind
            joined[-1] = Span(last.start, max(last.end, span.end), kind, _longer(last, span))
        else:
            joined.append(span)
    return joined


def _longer(one: Span, other: Span) -> str | None:
    """Of two spans that overlap, the token of the one that has more of it; ``None`` is what stands in the text."""
    if one.end - one.start >= other.end - other.start:
        return one.token
    return other.token
