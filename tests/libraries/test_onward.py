"""What an application asks of other services says which request it is for: every client there is, on a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3

from bearerwatch.context import parse_traceparent
from bearerwatch.event import AuthEvent
from bearerwatch.integrations.libraries import watch_imports
from desk import Desk, facts
from fakes import opaque

watch_imports()
Headers = dict[str, str]
Ask = Callable[[str, Headers], None]


def by_requests(url: str, headers: Headers) -> None:
    with requests.Session() as session:
        session.get(url, headers=headers, timeout=10)


def by_urllib3(url: str, headers: Headers) -> None:
    with urllib3.PoolManager(headers={"X-Of-All": "1"}) as pool:
        pool.request("GET", url, headers=headers or None, timeout=10)


def by_httpx(url: str, headers: Headers) -> None:
    with httpx.Client(trust_env=False) as client:
        client.get(url, headers=headers)


def by_httpx_async(url: str, headers: Headers) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(url, headers=headers)

    asyncio.run(ask())


def by_httpx2(url: str, headers: Headers) -> None:
    with httpx2.Client(trust_env=False) as client:
        client.get(url, headers=headers)


def by_httpx2_async(url: str, headers: Headers) -> None:
    async def ask() -> None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            await client.get(url, headers=headers)

    asyncio.run(ask())


def by_aiohttp(url: str, headers: Headers) -> None:
    async def ask() -> None:
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
            await response.read()

    asyncio.run(ask())


CLIENTS: list[Ask] = [by_requests, by_urllib3, by_httpx, by_httpx_async, by_httpx2, by_httpx2_async, by_aiohttp]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, list[Headers]]]:
    """Where a server listens, and the headers of what it was asked, names in lower case."""
    asked: list[Headers] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({name.lower(): value for name, value in self.headers.items()})
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/here")
            else:
                self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()
        thread.join()


def during(ask: Callable[[], None], **given: Any) -> AuthEvent:
    """Do *ask* amid a request, and return its event."""
    desk = Desk(trusted_proxies="192.0.2.9")
    exchange = desk.watch.open(facts(authorization=f"Bearer {opaque()}", **given))
    ask()
    exchange.finish(200)
    exchange.end()
    return desk.kept.events[-1]


@pytest.mark.parametrize("client", CLIENTS)
def test_another_service_hears_for_which_request_it_is_asked(client: Ask, server: tuple[str, list[Headers]]) -> None:
    url, asked = server
    event = during(lambda: client(f"{url}/orders", {}))
    heard = asked[-1]
    assert heard["x-request-id"] == event.request_id
    assert parse_traceparent(heard["traceparent"]) == (event.trace_id, event.span_id)
    assert event.trace_id is not None
    if client is by_urllib3:
        assert heard["x-of-all"] == "1"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_trace_that_came_in_goes_on(client: Ask, server: tuple[str, list[Headers]]) -> None:
    url, asked = server
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    event = during(lambda: client(f"{url}/orders", {}), traceparent=f"00-{trace}-00f067aa0ba902b7-00", tracestate=state)
    assert asked[-1]["traceparent"] == f"00-{trace}-{event.span_id}-00"
    assert asked[-1]["tracestate"] == state
    assert (event.trace_id, event.parent_request_id) == (trace, "00f067aa0ba902b7")


@pytest.mark.parametrize("client", CLIENTS)
def test_what_the_application_says_itself_stands_and_what_it_gave_is_left_alone(
    client: Ask, server: tuple[str, list[Headers]]
) -> None:
    url, asked = server
    given = {"X-Request-Id": "of-its-own"}
    during(lambda: client(f"{url}/orders", given))
    assert asked[-1]["x-request-id"] == "of-its-own"
    assert "traceparent" in asked[-1]
    assert given == {"X-Request-Id": "of-its-own"}


@pytest.mark.parametrize("client", CLIENTS)
def test_outside_of_a_request_nothing_is_said(client: Ask, server: tuple[str, list[Headers]]) -> None:
    url, asked = server
    client(f"{url}/orders", {})
    assert {"x-request-id", "traceparent"}.isdisjoint(asked[-1])


@pytest.mark.parametrize("client", [by_requests, by_urllib3, by_aiohttp])
def test_where_it_is_sent_on_it_is_said_once(client: Ask, server: tuple[str, list[Headers]]) -> None:
    url, asked = server
    before = len(asked)
    event = during(lambda: client(f"{url}/moved", {}))
    heard = [headers["x-request-id"] for headers in asked[before:]]
    assert heard == [event.request_id] * 2


def test_who_asks_nobody_has_no_span() -> None:
    event = during(lambda: None)
    assert (event.trace_id, event.span_id) == (None, None)
