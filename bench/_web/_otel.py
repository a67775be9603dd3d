"""OpenTelemetry's two set-ups: the API alone, and the SDK with a batching exporter to memory."""

from __future__ import annotations

from typing import Any

from bench._web import _between

__all__ = ["provider"]


def provider(variant: str) -> Any:
    """The tracer provider of *variant*."""
    from opentelemetry.trace import NoOpTracerProvider  # noqa: PLC0415

    if variant == "OpenTelemetry no-op":
        return NoOpTracerProvider()
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _between.rounds.append(exporter.clear)
    return provider
