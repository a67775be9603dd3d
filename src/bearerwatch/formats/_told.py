"""What several formats tell of an event alike."""

from __future__ import annotations

from datetime import UTC
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from bearerwatch.event import Kind

if TYPE_CHECKING:
    from bearerwatch.event import AuthEvent

__all__ = ["instant", "is_address", "on_earth", "others", "summary"]


def instant(event: AuthEvent) -> str:
    """When it happened, by RFC 3339: UTC, with microseconds."""
    ts = event.ts if event.ts.tzinfo is UTC else event.ts.astimezone(UTC)
    return ts.isoformat(timespec="microseconds")[:-6] + "Z"


def summary(event: AuthEvent) -> str:
    """One sentence for people. It holds what a client sent, so that each format has to escape it."""
    if event.kind != Kind.AUTH:
        told = f"a token was kept out of a log at {event.detail}" if event.kind == Kind.LEAK else event.detail
        return event.kind + f": {told}" if told else str(event.kind)
    why = f" ({event.reason})" if event.reason else ""
    asked = " ".join(part for part in (event.method, event.route or event.path) if part)
    answered = f" -> {event.status}" if event.status is not None else ""
    # Added, for to format a member of an enum takes longer than all the rest.
    return (event.outcome or "unknown") + (f"{why}: {asked}{answered}" if asked else f"{why}{answered}")


@lru_cache(maxsize=4096)
def is_address(text: str) -> bool:
    """Whether *text* is an IP address without a zone: receivers refuse records whose address fields hold others."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def on_earth(lat: float | None, lon: float | None) -> bool:
    """Whether both are there and degrees; not-a-number is not."""
    return lat is not None and lon is not None and -90 <= lat <= 90 and -180 <= lon <= 180


def others(event: AuthEvent, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the fields *names* that are known."""
    return {name: value for name in names if (value := getattr(event, name)) is not None}
