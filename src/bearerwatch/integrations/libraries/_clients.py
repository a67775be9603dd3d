"""What HTTP clients have in common, and those of one family: httpx, and httpx2, which went on from it."""

from __future__ import annotations

from collections.abc import Container
from functools import wraps
from typing import Any

from bearerwatch import _guard
from bearerwatch.context import current, onward, tells, tells_everybody

__all__ = ["TELLING", "at_last", "news", "tell", "wrap_send"]

TELLING = "telling another service"
"""What is counted where it fails."""


def news(said: Container[str], host: str | None = None) -> dict[str, str]:
    """The headers that tell the service at *host* which request it is asked for, but for those in *said*.

    So what stands there stays: what the application says itself, and the trace of another instrumentation.

    Args:
        said: headers, or their names in lower case.
        host: as of :func:`~bearerwatch.context.onward`.
    """
    told = onward(host)
    if "traceparent" in said:  # whose tracestate is its own matter
        told.pop("traceparent", None)
        told.pop("tracestate", None)
    return {name: value for name, value in told.items() if name not in said and name.lower() not in said}


def tell(headers: Any, host: str | None = None) -> None:
    """Say so in *headers*, a mutable mapping."""
    for name, value in news(headers, host).items():
        headers[name] = value


def at_last(headers: Any, host: str | None) -> None:
    """As :func:`tell`, where *headers* may have come along from another host: that sent the request on to this one."""
    try:
        if host is None or tells(host):
            tell(headers, host)
            return
        for name, value in onward().items():
            if headers.get(name) == value:
                del headers[name]
    except Exception as error:  # noqa: BLE001 - as below
        _guard.swallowed(TELLING, error)


def wrap_send(client: Any, later_client: Any) -> None:
    """Wrap ``send`` of a *client* and of its async twin, so that each request says which one of ours it is for."""
    now, later = client.send, later_client.send

    @wraps(now)
    def send(self: Any, request: Any, **more: Any) -> Any:
        if current.get() is not None:
            _tell(self, request, _hop)
        return now(self, request, **more)

    @wraps(later)
    async def send_later(self: Any, request: Any, **more: Any) -> Any:
        if current.get() is not None:
            _tell(self, request, _later_hop)
        return await later(self, request, **more)

    client.send = send
    later_client.send = send_later


def _tell(client: Any, request: Any, hop: Any) -> None:
    try:
        if not tells_everybody():
            hooks = client.event_hooks["request"]  # they are called for each request that redirects make of one
            if hop not in hooks:
                hooks.append(hop)
            tell(request.headers, request.url.host)
        elif not _append(request.headers):
            tell(request.headers)
    except Exception as error:  # noqa: BLE001 - host boundary: no call fails because of us
        _guard.swallowed(TELLING, error)


def _append(headers: Any) -> bool:
    """As :func:`tell`, onto the list that a ``Headers`` keeps: its own ways take longer than all the rest.

    ``False`` where that list is not what it was: names as given, in lower case, and values; all bytes.
    """
    kept = getattr(headers, "_list", None)
    if type(kept) is not list or not kept or len(kept[0]) != 3:
        return False
    said = [name for _, name, _ in kept]
    told = onward()
    if b"x-request-id" not in said:
        kept.append((b"X-Request-ID", b"x-request-id", told["X-Request-ID"].encode()))
    if b"traceparent" not in said:
        kept.append((b"traceparent", b"traceparent", told["traceparent"].encode()))
        if "tracestate" in told and b"tracestate" not in said:
            kept.append((b"tracestate", b"tracestate", told["tracestate"].encode()))
    return True


def _hop(request: Any) -> None:
    at_last(request.headers, request.url.host)


async def _later_hop(request: Any) -> None:
    at_last(request.headers, request.url.host)
