"""Spans that start while a request is served: the first without a parent in this process is the request's.

The global provider is given a :class:`RequestSpans` by itself. A provider that is not the global one needs a line:
``provider.add_span_processor(RequestSpans())``. https://opentelemetry.io/docs/specs/otel/trace/sdk/#span-processor
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bearerwatch import _guard
from bearerwatch.context import current
from bearerwatch.correlate.opentelemetry import adopt
from bearerwatch.errors import DidNotEnable

try:
    from opentelemetry.sdk.trace import SpanProcessor
except ImportError:  # pragma: no cover - exercised in a subprocess
    raise DidNotEnable("OpenTelemetry's SDK is not installed: pip install opentelemetry-sdk") from None

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

__all__ = ["RequestSpans"]


class RequestSpans(SpanProcessor):
    """Finds the span of the request at hand, where the instrumentation stands inside of the middleware."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's
        """Make *span* the request's if that has none yet, and if *span* has no parent here."""
        try:
            context = current.get()
            if context is not None and context.span is None and (span.parent is None or span.parent.is_remote):
                adopt(context, span)
        except Exception as error:  # noqa: BLE001 - host boundary: no span fails because of us
            _guard.swallowed("reading a span", error)
