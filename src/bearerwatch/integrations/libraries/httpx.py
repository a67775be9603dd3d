"""httpx: what is asked of other services says for which request.

Its event hooks are a client's own; ``send``, which every request of both clients passes, is wrapped.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import httpx

from bearerwatch.context import onward

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "httpx", ("0.27", "0.28")
PATCHES = ("httpx.Client.send", "httpx.AsyncClient.send")


def install() -> None:
    """Wrap ``send`` of both clients."""
    now, later = httpx.Client.send, httpx.AsyncClient.send

    @wraps(now)
    def send(self: Any, request: Any, **more: Any) -> Any:
        _tell(request)
        return now(self, request, **more)

    @wraps(later)
    async def send_later(self: Any, request: Any, **more: Any) -> Any:
        _tell(request)
        return await later(self, request, **more)

    httpx.Client.send = send  # type: ignore[method-assign]
    httpx.AsyncClient.send = send_later  # type: ignore[method-assign]


def _tell(request: Any) -> None:
    for name, value in onward().items():
        request.headers.setdefault(name, value)
