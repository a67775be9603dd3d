"""The floor: the least a middleware must do that emits an event for each request.

An id, the HMAC of the token, one record with the fields of an event encoded by msgspec, one ``write`` to a
file opened with ``O_APPEND``, and the id in the answer. No redaction, no route, no outcome, no bounds, no
guard, no fork or rotation: what it costs is what no product can go below.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bearerwatch.event import AuthEvent, Kind, Outcome

__all__ = ["AsgiFloor", "WsgiFloor"]


class _Floor:
    def __init__(self, file: Path) -> None:
        self._handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._encode = msgspec.json.Encoder().encode
        self._key = os.urandom(32)

    def emit(
        self, began: float, request_id: str, method: str, path: str, peer: str, agent: str, token: bytes, status: int
    ) -> None:
        token_id = "k1a2b3c4d:" + hmac.digest(self._key, token, "sha256")[:16].hex()
        event = AuthEvent(  # by position, as the product does it
            Kind.AUTH,
            request_id,
            datetime.fromtimestamp(time.time(), UTC),
            Outcome.SUCCESS,
            None,
            False,
            status,
            int((time.perf_counter() - began) * 1e6),
            1,
            None,
            "bench",
            "host-4711",
            method,
            "/orders/{id}",
            path,
            token_id,
            None,
            token_id,
            "bearer",
            "jwt",
            "header",
            token_id,
            "shop",
            "https://issuer.example",
            "orders:read orders:write",
            None,
            1_800_000_000,
            peer,
            peer,
            agent,
            None,
            None,
            None,
            None,
            None,
            request_id,
        )
        os.write(self._handle, self._encode(event) + b"\n")


class WsgiFloor(_Floor):
    """The floor around a WSGI callable."""

    def __init__(self, app: Callable[..., Iterable[bytes]], file: Path) -> None:
        super().__init__(file)
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = time.perf_counter()
        request_id = os.urandom(16).hex()
        status = 500

        def start(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal status
            status = int(line[:3])
            headers.append(("X-Request-ID", request_id))
            return start_response(line, headers, exc_info)

        body = self._app(environ, start)
        self.emit(
            began,
            request_id,
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ["REMOTE_ADDR"],
            environ["HTTP_USER_AGENT"],
            environ["HTTP_AUTHORIZATION"][7:].encode(),
            status,
        )
        return body


class AsgiFloor(_Floor):
    """The floor around an ASGI callable."""

    def __init__(self, app: Callable[..., Awaitable[None]], file: Path) -> None:
        super().__init__(file)
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        began = time.perf_counter()
        request_id = os.urandom(16).hex()
        headers = dict(scope["headers"])

        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-request-id", request_id.encode()))
                self.emit(
                    began,
                    request_id,
                    scope["method"],
                    scope["path"],
                    scope["client"][0],
                    headers[b"user-agent"].decode("latin-1"),
                    headers[b"authorization"][7:],
                    message["status"],
                )
            await send(message)

        await self._app(scope, receive, watched)
