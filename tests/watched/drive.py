"""Drivers: a WSGI and an ASGI server of one request, which note how many events there were at every step."""

from __future__ import annotations

import asyncio
import gc
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from bearerwatch.context import current, live
from bearerwatch.event import AuthEvent

__all__ = ["Request", "Seen", "nothing_held", "serve_asgi", "serve_wsgi"]


@dataclass
class Request:
    """A request, as a client sends it."""

    path: str = "/public"
    query: str = ""
    method: str = "GET"
    headers: Sequence[tuple[str, str]] = ()
    peer: str | None = "192.0.2.9"
    leaves_after: int | None = None
    """Pieces of the body after which the client is gone."""


@dataclass
class Seen:
    """What the server saw of the answer, with the number of events at each step."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trail: list[tuple[str, int]] = field(default_factory=list)
    """``start``, ``body`` (a piece was handed over), ``end``, ``closed``; each with the events so far."""
    raised: BaseException | None = None

    def events_at(self, step: str) -> int:
        """The events there were when *step* first happened."""
        return next(count for name, count in self.trail if name == step)


def serve_wsgi(app: Callable[..., Any], request: Request, events: list[AuthEvent]) -> Seen:
    """Serve as PEP 3333 has it; nothing of ours may be left afterwards."""
    seen = Seen()
    raw = unquote_to_bytes(request.path)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": raw.decode("latin-1"),
        "QUERY_STRING": request.query,
        "SERVER_NAME": "test",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.peer or "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        key = f"HTTP_{name.upper().replace('-', '_')}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        seen.status = int(status.split(maxsplit=1)[0])
        seen.headers = {name.lower(): value for name, value in headers}
        seen.trail.append(("start", len(events)))
        return lambda _: None

    body = None
    try:
        body = app(environ, start_response)
        for number, piece in enumerate(body, 1):
            if piece:
                seen.trail.append(("body", len(events)))
                seen.body += piece
            if request.leaves_after == number:
                break
        else:
            seen.trail.append(("end", len(events)))
    except Exception as error:
        seen.raised = _bare(error)
    finally:
        if hasattr(body, "close"):
            body.close()
        seen.trail.append(("closed", len(events)))
    if seen.raised is not None:
        environ.clear()  # as a server is done with it
    nothing_held()
    return seen


def _bare(error: BaseException) -> BaseException:
    """*error* without the tracebacks that would keep alive what the framework left open."""
    error.__context__ = error.__cause__ = None
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():  # as old Starlette's streams raise
        _bare(inner)
    return error.with_traceback(None)


def nothing_held() -> None:
    """Fail if a request that is over has left anything behind. What raised is forgotten when its traceback is."""
    assert current.get() is None
    if live.values():
        gc.collect()
    assert live.values() == ()


def serve_asgi(app: Callable[..., Any], request: Request, events: list[AuthEvent]) -> Seen:
    """Serve as the ASGI specification has it; nothing of ours may be left afterwards."""
    seen = asyncio.run(_serve_asgi(app, request, events))
    nothing_held()
    return seen


async def _serve_asgi(app: Callable[..., Any], request: Request, events: list[AuthEvent]) -> Seen:
    seen = Seen()
    raw = unquote_to_bytes(request.path)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": raw.decode("utf-8", "replace"),
        "raw_path": raw,
        "query_string": request.query.encode("latin-1"),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers],
        "client": None if request.peer is None else (request.peer, 50_000),
        "server": ("test", 80),
        "state": {},
    }
    gone = asyncio.Event()
    sent_body = False

    async def receive() -> dict[str, Any]:
        nonlocal sent_body
        if not sent_body:
            sent_body = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    pieces = 0

    async def send(message: Any) -> None:
        nonlocal pieces
        if message["type"] == "http.response.start":
            seen.status = message["status"]
            seen.headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
            seen.trail.append(("start", len(events)))
        elif message["type"] == "http.response.body":
            if message.get("body"):
                pieces += 1
                seen.trail.append(("body", len(events)))
                seen.body += message["body"]
            if not message.get("more_body", False):
                seen.trail.append(("end", len(events)))
                gone.set()
            elif request.leaves_after == pieces:
                gone.set()
                await asyncio.sleep(0.05)

    try:
        await app(scope, receive, send)
    except Exception as error:
        seen.raised = _bare(error)
    seen.trail.append(("closed", len(events)))
    assert current.get() is None
    return seen
