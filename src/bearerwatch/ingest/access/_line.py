"""What one line of an access log says, whatever server wrote it."""

from __future__ import annotations

import re
from datetime import datetime

from msgspec import Struct

__all__ = ["AccessLine", "Unreadable", "request_line"]

_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}\Z").match
_PROTOCOL = re.compile(r"HTTP/[0-9.]{1,4}\Z").match
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}://[^/?#]*").match


class Unreadable(ValueError):  # noqa: N818 - what is caught a frame up is a line, not a failure
    """A line that is not what its format says.

    Args:
        code: why, in one word.
        reason: what is wrong and what to do, without a word of what the line says.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class AccessLine(Struct):
    """Facts of one request as a server's log has them. Strings as received: nothing is trusted. ``None``: not said."""

    started: datetime | None = None
    """When the request arrived; aware."""
    ended: datetime | None = None
    """When it was answered, or its line written; aware."""
    duration_us: int | None = None
    status: int | None = None
    method: str | None = None
    target: str | None = None
    """Request target (RFC 9112 §3.2), with its query string, percent-encoded."""
    path: str | None = None
    """The path alone, decoded."""
    query: str | None = None
    peer: str | None = None
    """The other end of the connection; perhaps with its port."""
    client: str | None = None
    """The caller, as a server says who was told which proxies to trust."""
    forwarded_for: str | None = None
    forwarded: str | None = None
    user_agent: str | None = None
    authorization: str | None = None
    """The whole header, where a log holds it."""
    asked: bool = False
    """Whether the log would say if there were an ``Authorization`` header."""
    query_token: str | None = None
    """A token that the log has by itself, taken from the query string."""
    request_id: str | None = None
    traceparent: str | None = None
    trace_id: str | None = None


def request_line(text: str) -> tuple[str | None, str | None]:
    """Method and target of a request line (RFC 9112 §3); ``None`` where a client sent none, such as TLS to port 80.

    HTTP/0.9 names no version. An absolute target is cut down to its path and query.
    """
    method, space, rest = text.partition(" ")
    if not space or _METHOD(method) is None:
        return None, None
    target, space, protocol = rest.rpartition(" ")
    if not space or _PROTOCOL(protocol) is None:
        target = rest
    if not target:
        return None, None
    if target[0] != "/":
        absolute = _ABSOLUTE(target)
        if absolute is not None:
            target = target[absolute.end() :]
            if not target.startswith("/"):
                target = f"/{target}"
    return method, target
