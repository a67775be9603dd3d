"""Past the quota: like events become one event with a count, so that a flood blinds nobody."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from bearerwatch.event import AuthEvent

__all__ = ["Overflow"]

_EVERY = 10.0
_MAX_KEYS = 5_000
_LIKE = (
    "kind",
    "outcome",
    "reason",
    "status",
    "service",
    "method",
    "route",
    "client_ip",
    "token_id",
    "presented_id",
    "detail",
)


class Overflow:
    """Counts events that agree in what matters and gives them back as one each ten seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # only ever taken past the quota
        self._held: dict[tuple[Any, ...], tuple[AuthEvent, int]] = {}
        self._flush_at: float | None = None
        self._over = False

    def take(self, event: AuthEvent, now: float) -> list[AuthEvent]:
        """Count *event*; returns the counted events that are due (usually none)."""
        key = tuple(getattr(event, name) for name in _LIKE)
        with self._lock:
            if self._over:
                return [event]
            if self._flush_at is None:
                self._flush_at = now + _EVERY
            first, count = self._held.get(key, (event, 0))
            self._held[key] = (first, count + event.count)
            if now < self._flush_at and len(self._held) < _MAX_KEYS:
                return []
            self._flush_at = now + _EVERY
            return self._drain()

    def flush(self) -> list[AuthEvent]:
        """Everything held, as counted events. Nothing is held any more from then on."""
        with self._lock:
            self._over = True
            return self._drain()

    def _drain(self) -> list[AuthEvent]:
        held, self._held = self._held, {}
        return [msgspec.structs.replace(event, count=count) for event, count in held.values()]
