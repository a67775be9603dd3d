"""OpenTelemetry: events and lines have the ids of its spans, and they have the outcome; by its interfaces alone.

https://opentelemetry-python.readthedocs.io/en/latest/api/trace.html
"""

from __future__ import annotations

from bearerwatch import _trace
from bearerwatch.correlate.opentelemetry import OpenTelemetry

__all__ = ["DISTRIBUTION", "TESTED", "install"]

DISTRIBUTION, TESTED = "opentelemetry-api", ("1.30", "1.45")


def install() -> None:
    """From now on the application's tracer is asked."""
    if _trace.tracer is None:
        _trace.tracer = OpenTelemetry()
