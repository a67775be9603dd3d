"""HTTP clients of one family: httpx, and httpx2, which went on from it under a name of its own."""

from __future__ import annotations

from functools import wraps
from typing import Any

from bearerwatch.context import onward

__all__ = ["wrap_send"]


def wrap_send(client: Any, later_client: Any) -> None:
    """Wrap ``send`` of a *client* and of its async twin, so that each request says which one of ours it is for."""
    now, later = client.send, later_client.send

    @wraps(now)
    def send(self: Any, request: Any, **more: Any) -> Any:
        _tell(request)
        return now(self, request, **more)

    @wraps(later)
    async def send_later(self: Any, request: Any, **more: Any) -> Any:
        _tell(request)
        return await later(self, request, **more)

    client.send = send
    later_client.send = send_later


def _tell(request: Any) -> None:
    for name, value in onward().items():
        request.headers.setdefault(name, value)
