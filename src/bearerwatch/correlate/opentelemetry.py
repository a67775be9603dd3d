"""OpenTelemetry: a request's event and lines have the ids of its spans, and its span says what became of the token.

Loaded by the application's own import of ``opentelemetry.trace``, and by nothing of ours. Spans come from whatever
instrumentation the application uses. Outside of ours the span is there when a request begins; inside of ours it is
found as it starts, by a processor that the global provider is given at the first request.
https://opentelemetry.io/docs/specs/semconv/registry/attributes/enduser/
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from bearerwatch import _guard, _trace
from bearerwatch.errors import DidNotEnable

try:
    from opentelemetry import trace
except ImportError:  # pragma: no cover - exercised in a subprocess
    raise DidNotEnable("OpenTelemetry is not installed: pip install opentelemetry-api") from None

if TYPE_CHECKING:
    from bearerwatch.context import RequestContext
    from bearerwatch.event import AuthEvent

__all__ = ["ATTRIBUTES", "OpenTelemetry", "adopt"]

ATTRIBUTES = {
    "bearerwatch.auth.outcome": "outcome",
    "bearerwatch.auth.reason": "reason",
    "bearerwatch.auth.verified": "verified",
    "bearerwatch.auth.scheme": "scheme",
    "bearerwatch.auth.token_kind": "token_kind",
    "bearerwatch.auth.token_id": "token_id",
    "enduser.pseudo.id": "subject_id",
}
"""What a span is told of its request's event; ``enduser.id`` where subjects are recorded as they are."""
_SDK = "opentelemetry.sdk.trace"


class OpenTelemetry:
    """The tracer of an application that uses OpenTelemetry; see :class:`bearerwatch._trace.Tracer`."""

    def __init__(self) -> None:
        self._followed: object = None

    def active(self) -> _trace.Span | None:
        """The active span, if there is one of this process's own."""
        try:
            return _place(trace.get_current_span())
        except Exception as error:  # noqa: BLE001 - host boundary: a log call never raises because of us
            _guard.swallowed("reading a span", error)
            return None

    def recording(self) -> bool:
        """Whether the SDK is there; its interfaces alone, which many libraries import, record nothing."""
        return _SDK in sys.modules

    def begun(self, context: RequestContext) -> None:
        """See :meth:`bearerwatch._trace.Tracer.begun`."""
        try:
            if _SDK in sys.modules:
                self._follow()
            span = trace.get_current_span()
            if span is not trace.INVALID_SPAN:
                adopt(context, span)
        except Exception as error:  # noqa: BLE001 - host boundary: no request fails because of us
            _guard.swallowed("reading a span", error)

    def finished(self, context: RequestContext, event: AuthEvent, *, plain: bool) -> None:
        """See :meth:`bearerwatch._trace.Tracer.finished`."""
        try:
            span = context.span
            if not span.is_recording():
                return  # not sampled, or over
            known = {name: getattr(event, field) for name, field in ATTRIBUTES.items()}
            if plain:
                known["enduser.id"] = known.pop("enduser.pseudo.id")
            known["bearerwatch.request_id"] = event.request_id
            span.set_attributes({name: value for name, value in known.items() if value is not None})
        except Exception as error:  # noqa: BLE001 - as above
            _guard.swallowed("telling a span", error)

    def _follow(self) -> None:
        """Have the global provider tell us of spans that start; once for each that is set."""
        provider: Any = trace.get_tracer_provider()
        if provider is self._followed:
            return
        self._followed = provider
        if hasattr(provider, "add_span_processor"):
            from bearerwatch.correlate.spans import RequestSpans  # noqa: PLC0415 - needs the SDK

            provider.add_span_processor(RequestSpans())


def adopt(context: RequestContext, span: Any) -> None:
    """Make *span*, if it is a valid one, that of the request *context* is about."""
    place = _place(span)
    if place is None:
        return
    context.span = span
    context.trace_id, context.span_id, context.trace_flags, context.tracestate = place
    context.passed = None
    if span.is_recording():
        span.set_attribute("bearerwatch.request_id", context.request_id)
        if context.token_id is not None:
            span.set_attribute("bearerwatch.auth.token_id", context.token_id)


def _place(span: Any) -> _trace.Span | None:
    known = span.get_span_context()
    if not known.is_valid or known.is_remote:  # a caller's, which is handed through where nothing is recorded
        return None
    state = known.trace_state.to_header() if known.trace_state else None
    return _trace.Span(f"{known.trace_id:032x}", f"{known.span_id:016x}", f"{known.trace_flags & 0xFF:02x}", state)
