"""Applications that raise with what they were sent, and the real servers that log it: one process each, on loopback."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

from fakes import free_port, jwt, leaked, opaque

__all__ = ["Served", "asgi", "flask", "hold", "wsgi"]

TESTS = Path(__file__).resolve().parent


def flask() -> Any:
    """A Flask application, watched."""
    from flask import Flask, request

    from bearerwatch.flask import Bearerwatch

    app = Flask("quoting")
    Bearerwatch(app)

    @app.get("/fine/<path:anything>")
    def fine(anything: str) -> str:
        return "fine"

    @app.get("/raise/<path:anything>")
    def fail(anything: str) -> str:
        raise ValueError(f"cannot take {request.headers['Authorization']} for {request.url}")

    return app


def wsgi() -> Any:
    """A bare WSGI application, watched: what it raises reaches the server."""
    from bearerwatch.flask import WatchedWsgi
    from bearerwatch.integrations._start import start

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"].startswith("/raise"):
            raise ValueError(f"cannot take {environ}")
        start_response("200 OK", [("Content-Length", "4")])
        return [b"fine"]

    return WatchedWsgi(app, start("quoting"))


def asgi() -> Any:
    """A bare ASGI application, watched."""
    from bearerwatch.asgi import BearerwatchMiddleware

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith("/raise"):
            raise ValueError(f"cannot take {scope['headers']} for {scope['path']}?{scope['query_string']}")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"fine"})

    return BearerwatchMiddleware(app)


class Served:
    """A server, and what it wrote so far. *command* names its port ``{port}``."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.log = folder / "log"
        self.port = free_port()
        environment = os.environ | {
            "PYTHONPATH": str(TESTS),
            "BEARERWATCH_STATE": str(folder),
            "BEARERWATCH_KEYS": "the-key-of-these-servers-alone",
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *(part.format(port=self.port) for part in command)],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        end = time.monotonic() + 30
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError, http.client.HTTPException):
                self.get("/fine/ready", {})
                return self
            time.sleep(0.05)
        self.__exit__()
        raise TimeoutError(f"no answer:\n{self.log.read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def get(self, path: str, headers: dict[str, str]) -> int:
        """Send one request; the status of its answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

    def said(self, *words: str) -> str:
        """What it wrote, once all *words* are in it."""
        end = time.monotonic() + 10
        while True:
            text = self.log.read_text(errors="replace")
            if all(word in text for word in words) or time.monotonic() > end:
                return text
            time.sleep(0.02)


def hold(server: Served, *, bare_path: bool = True) -> str:
    """Send tokens in every place a log may quote, and hold that none is to be read; what was written.

    Args:
        server: a running server.
        bare_path: an opaque token in the path is known to be one when the access log is written.
    """
    bearer, query, referer, path = opaque(), opaque() + "1", opaque() + "1", jwt()
    for place in ("fine", "raise"):
        last = bearer if bare_path else path
        status = server.get(
            f"/{place}/{path}/{last}?access_token={query}",
            {"Authorization": f"Bearer {bearer}", "Referer": f"https://app.test/?access_token={referer}"},
        )
        assert status == (200 if place == "fine" else 500)
    words = ["/fine/[token ", "/raise/[token ", "ValueError: cannot take "]
    said = server.said(*words)
    assert [word for word in words if word not in said] == []
    assert not [piece for token in (bearer, query, referer, path) for piece in leaked(token, said)]
    return said
