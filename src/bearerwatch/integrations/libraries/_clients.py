"""What HTTP clients have in common, and those of one family: httpx, and httpx2, which went on from it."""

from __future__ import annotations

from functools import wraps
from typing import Any

from bearerwatch.context import onward, tells, tells_everybody

__all__ = ["at_last", "tell", "wrap_send"]


def tell(headers: Any, host: str | None) -> None:
    """Say in *headers*, a mutable mapping, to the service at *host* which request it is asked for.

    What stands there stays: what the application says itself, and the trace of another instrumentation.
    """
    told = onward(host)
    if "traceparent" in headers:  # whose tracestate is its own matter
        told.pop("traceparent", None)
        told.pop("tracestate", None)
    for name, value in told.items():
        if name not in headers:
            headers[name] = value


def at_last(headers: Any, host: str | None) -> None:
    """As :func:`tell`, where *headers* may have come along from another host: that sent the request on to this one."""
    if host is None or tells(host):
        tell(headers, host)
        return
    for name, value in onward().items():
        if headers.get(name) == value:
            del headers[name]


def wrap_send(client: Any, later_client: Any) -> None:
    """Wrap ``send`` of a *client* and of its async twin, so that each request says which one of ours it is for."""
    now, later = client.send, later_client.send

    @wraps(now)
    def send(self: Any, request: Any, **more: Any) -> Any:
        tell(request.headers, request.url.host)
        _hook(self, _hop)
        return now(self, request, **more)

    @wraps(later)
    async def send_later(self: Any, request: Any, **more: Any) -> Any:
        tell(request.headers, request.url.host)
        _hook(self, _later_hop)
        return await later(self, request, **more)

    client.send = send
    later_client.send = send_later


def _hook(client: Any, hop: Any) -> None:
    """Have *hop* called for each request that redirects make of one, where not every host is told."""
    if not tells_everybody():
        hooks = client.event_hooks["request"]
        if hop not in hooks:
            hooks.append(hop)


def _hop(request: Any) -> None:
    at_last(request.headers, request.url.host)


async def _later_hop(request: Any) -> None:
    at_last(request.headers, request.url.host)
