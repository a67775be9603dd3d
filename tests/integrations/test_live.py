"""How long a token is live: until the last who could log it has done so, and not longer."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path
from werkzeug.wsgi import ClosingIterator

from bearerwatch.asgi import BearerwatchMiddleware
from bearerwatch.context import live
from bearerwatch.flask import WatchedWsgi
from bearerwatch.integrations._start import start
from bearerwatch.redact import redact_text
from fakes import leaked, opaque
from watched import django_stack
from watched.drive import nothing_held


def raising_wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    raise KeyError(environ["HTTP_AUTHORIZATION"].split()[1])


async def raising_asgi(scope: Any, receive: Any, send: Any) -> None:
    raise KeyError(dict(scope["headers"])[b"authorization"].decode().split()[1])


def by_wsgi(token: str) -> None:
    app = WatchedWsgi(raising_wsgi, start("live"))
    app({"HTTP_AUTHORIZATION": f"Bearer {token}", "REQUEST_METHOD": "GET"}, lambda *args: None)


def by_asgi(token: str, kind: str = "http") -> None:
    async def nothing(*args: Any) -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": kind, "path": "/", "method": "GET", "headers": [(b"authorization", f"Bearer {token}".encode())]}
    asyncio.run(BearerwatchMiddleware(raising_asgi)(scope, nothing, nothing))


def by_websocket(token: str) -> None:
    by_asgi(token, "websocket")


@pytest.mark.parametrize("serve", [by_wsgi, by_asgi, by_websocket])
def test_what_a_server_prints_of_an_exception_has_no_token(serve: Callable[[str], None]) -> None:
    """The server prints it after the application, and we around it, are done."""
    token = opaque()
    try:
        serve(token)
    except KeyError:
        printed = redact_text(traceback.format_exc())
        assert "KeyError" in printed
        assert not leaked(token, printed)
    else:
        pytest.fail("nothing was raised")
    nothing_held()


def test_a_body_that_cannot_be_closed_holds_no_token_for_ever() -> None:
    def close() -> None:
        raise OSError("while closing")

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "1")])
        return ClosingIterator([b"x"], close)

    environ = {"HTTP_AUTHORIZATION": f"Bearer {opaque()}", "REQUEST_METHOD": "GET"}
    body: Any = WatchedWsgi(app, start("live"))(environ, lambda *args: None)
    with pytest.raises(OSError, match="while closing"):
        body.close()
    del body
    environ.clear()
    nothing_held()


def test_a_client_that_leaves_while_django_logs_leaves_no_token_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django logs a refusal after the middleware, in a thread; cancelled there, it closes no response."""
    logging_began, goes_on = asyncio.Event(), threading.Event()

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            loop.call_soon_threadsafe(logging_began.set)
            goes_on.wait(5)

    loop = asyncio.new_event_loop()

    async def refused(request: Any) -> HttpResponse:
        return HttpResponse(status=401)

    async def main(app: Any) -> None:
        async def receive() -> Any:
            if logging_began.is_set():
                return {"type": "http.disconnect"}
            if not asked:
                asked.append(1)
                return {"type": "http.request"}
            await logging_began.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            return None

        asked: list[int] = []
        headers = [(b"authorization", b"Bearer " + opaque().encode())]
        scope = {"type": "http", "method": "GET", "path": "/no", "headers": headers, "query_string": b"", "asgi": {}}
        serving = asyncio.ensure_future(app(scope, receive, send))
        await logging_began.wait()
        await asyncio.sleep(0.05)
        goes_on.set()
        await asyncio.wait([serving], timeout=5)

    handler = Slow()
    app = django_stack.asgi()
    logger = logging.getLogger("django.request")
    monkeypatch.setattr(logger, "propagate", False)  # pytest keeps records, and they refer to the request
    monkeypatch.setattr(logger, "level", logging.WARNING)
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    logger.addHandler(handler)
    try:
        with override_settings(ROOT_URLCONF=(path("no", refused),)):
            loop.run_until_complete(asyncio.wait_for(main(app), 10))
    finally:
        logger.removeHandler(handler)
        loop.close()
    gc.collect()
    assert live.values() == ()
