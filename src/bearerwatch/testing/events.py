"""Events in tests: make one, or catch those that the code under test makes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.observe import Watch, new_id

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["capture_events", "make_event"]


def make_event(**fields: Any) -> AuthEvent:
    """An event as a service would make it: a successful ``GET`` with a token, now.

    Args:
        fields: fields to set otherwise; see :class:`~bearerwatch.event.AuthEvent`.

    Raises:
        TypeError: there is no field of that name.
    """
    event_id = new_id(int(time.time() * 1000))
    values: dict[str, Any] = {
        "kind": Kind.AUTH,
        "event_id": event_id,
        "ts": datetime.now(UTC),
        "outcome": Outcome.SUCCESS,
        "status": 200,
        "duration_us": 1500,
        "service": "app",
        "instance": "host-1",
        "method": "GET",
        "route": "/orders/{order_id}",
        "path": "/orders/7",
        "token_id": f"k00000000:{1:032x}",
        "presented_id": f"k00000000:{2:032x}",
        "scheme": "bearer",
        "token_kind": "opaque",
        "token_source": "header",
        "client_ip": "192.0.2.1",
        "peer_ip": "192.0.2.1",
        "request_id": event_id,
    }
    return AuthEvent(**(values | fields))


@contextmanager
def capture_events(kind: Kind | None = Kind.AUTH) -> Iterator[list[AuthEvent]]:
    """The events made in this process meanwhile, in order, whichever thread made them.

    They still go to the sinks that are configured.

    Args:
        kind: only of this kind; ``None`` for all.

    Yields:
        A list that grows.
    """
    caught: list[AuthEvent] = []
    emit = Watch.emit

    def emit_too(watch: Watch, event: AuthEvent) -> None:
        if kind is None or event.kind is kind:
            caught.append(event)
        emit(watch, event)

    with patch.object(Watch, "emit", emit_too):
        yield caught
