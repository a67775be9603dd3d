"""Streams: what is logged while a body is made, after its view has returned, is of the same request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from bearerwatch import install_logging
from bearerwatch.asgi import BearerwatchMiddleware
from bearerwatch.context import current
from bearerwatch.event import AuthEvent
from bearerwatch.flask import Bearerwatch
from bearerwatch.testing.events import capture_events
from logged import Keeper
from watched import django_stack
from watched.drive import Request, Seen, serve_asgi, serve_wsgi

django_stack.configure()

from django.http import StreamingHttpResponse  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.urls import path  # noqa: E402

Serve = Callable[[Request, list[AuthEvent]], Seen]


def pieces(log: logging.Logger, *, fails: bool = False) -> Iterator[bytes]:
    try:
        for number in range(3):
            log.info("piece %d", number)
            yield b"piece"
            log.info("after piece %d", number)
        if fails:
            raise RuntimeError
    finally:
        log.info("over")


async def later(log: logging.Logger, *, fails: bool = False) -> AsyncIterator[bytes]:
    for piece in pieces(log, fails=fails):
        await asyncio.sleep(0)
        yield piece


def on_flask(log: logging.Logger, **how: Any) -> Serve:
    app = flask.Flask(__name__)
    app.add_url_rule("/stream", view_func=lambda: flask.Response(pieces(log, **how)))
    Bearerwatch(app)
    return lambda request, events: serve_wsgi(app, request, events)


def on_starlette(log: logging.Logger, **how: Any) -> Serve:
    async def stream(_request: Any) -> StreamingResponse:
        return StreamingResponse(later(log, **how))

    app = BearerwatchMiddleware(Starlette(routes=[Route("/stream", stream)]))
    return lambda request, events: serve_asgi(app, request, events)


def on_django(log: logging.Logger, **how: Any) -> Serve:
    urls = (path("stream", lambda _request: StreamingHttpResponse(pieces(log, **how))),)

    def serve(request: Request, events: list[AuthEvent]) -> Seen:
        with override_settings(ROOT_URLCONF=urls):
            return serve_wsgi(django_stack.wsgi(), request, events)

    return serve


def on_django_async(log: logging.Logger, **how: Any) -> Serve:
    async def stream(_request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(later(log, **how))

    def serve(request: Request, events: list[AuthEvent]) -> Seen:
        with override_settings(ROOT_URLCONF=(path("stream", stream),)):
            return serve_asgi(django_stack.asgi(), request, events)

    return serve


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Django leaves a file open as it fails
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("build", [on_flask, on_starlette, on_django, on_django_async])
def test_every_line_of_a_stream_is_of_its_request(
    build: Callable[..., Serve], fails: bool, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARERWATCH_KEYS", "a-fingerprint-key-for-tests-alone")
    install_logging()
    keeper = Keeper()
    log.addHandler(keeper)
    with capture_events() as events:
        seen = build(log, fails=fails)(Request("/stream"), events)
    assert (seen.body, len(events)) == (b"piece" * 3, 1)
    records: list[Any] = keeper.records
    assert [record.getMessage() for record in records][-1] == "over"
    assert len(records) == 7
    assert {record.request_id for record in records} == {events[0].request_id}
    assert (events[0].reason == "exception") is fails
    assert current.get() is None


@pytest.mark.parametrize("build", [on_flask, on_django])
def test_between_the_pieces_the_server_is_on_its_own(
    build: Callable[..., Serve], log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may serve another request in the same thread before it asks for the next piece."""
    monkeypatch.setenv("BEARERWATCH_KEYS", "a-fingerprint-key-for-tests-alone")
    serve = build(log)
    with capture_events() as events:
        seen = serve(Request("/stream", leaves_after=1), events)
    assert (seen.body, len(events), current.get()) == (b"piece", 1, None)


@pytest.mark.parametrize("build", [on_flask, on_django])
def test_where_the_client_leaves_the_last_line_is_of_its_request_too(
    build: Callable[..., Serve], log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARERWATCH_KEYS", "a-fingerprint-key-for-tests-alone")
    install_logging()
    keeper = Keeper()
    log.addHandler(keeper)
    with capture_events() as events:
        build(log)(Request("/stream", leaves_after=1), events)
    records: list[Any] = keeper.records
    assert [record.getMessage() for record in records] == ["piece 0", "over"]
    assert {record.request_id for record in records} == {events[0].request_id}
