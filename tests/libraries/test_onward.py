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

from bearerwatch import _guard
from bearerwatch._hosts import Hosts
from bearerwatch.context import RequestContext, onward_to, parse_traceparent
from bearerwatch.event import AuthEvent
from bearerwatch.integrations.libraries import watch_imports
from desk import Desk, facts
from fakes import leaked, opaque

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
    with httpx.Client(trust_env=False, follow_redirects=True) as client:
        client.get(url, headers=headers)


def by_httpx_async(url: str, headers: Headers) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as client:
            await client.get(url, headers=headers)

    asyncio.run(ask())


def by_httpx2(url: str, headers: Headers) -> None:
    with httpx2.Client(trust_env=False, follow_redirects=True) as client:
        client.get(url, headers=headers)


def by_httpx2_async(url: str, headers: Headers) -> None:
    async def ask() -> None:
        async with httpx2.AsyncClient(trust_env=False, follow_redirects=True) as client:
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
            assert len(self.headers.get_all("X-Request-ID") or ()) <= 1
            asked.append({name.lower(): value for name, value in self.headers.items()})
            moved = self.path.startswith("/moved")
            if moved:
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/moved") or "/here")
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
    exchange = desk.watch.open(facts(**({"authorization": f"Bearer {opaque()}"} | given)))
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


@pytest.mark.parametrize("client", CLIENTS)
def test_where_it_is_sent_on_it_is_said_once(client: Ask, server: tuple[str, list[Headers]]) -> None:
    url, asked = server
    before = len(asked)
    event = during(lambda: client(f"{url}/moved", {}))
    heard = [headers["x-request-id"] for headers in asked[before:]]
    assert heard == [event.request_id] * 2


HOPS = [
    ("*", True, True),
    ("localhost", True, False),
    ("127.0.0.0/8", False, True),
    ("127.0.0.1,localhost", True, True),
    ("*.example.com", False, False),
    ("none", False, False),
]


@pytest.mark.parametrize(("hosts", "first", "then"), HOPS)
@pytest.mark.parametrize("client", CLIENTS)
def test_those_who_are_not_named_hear_nothing_also_by_a_redirect(
    client: Ask, server: tuple[str, list[Headers]], hosts: str, first: bool, then: bool
) -> None:
    url, asked = server
    onward_to(Hosts(tuple(hosts.split(","))))
    before = len(asked)
    event = during(lambda: client(f"{url}/moved{url}/here".replace("127.0.0.1", "localhost", 1), {"Accept": "*/*"}))
    heard = asked[before:]
    assert [headers["host"].partition(":")[0] for headers in heard] == ["localhost", "127.0.0.1"]
    for headers, told in zip(heard, (first, then), strict=True):
        assert {"x-request-id", "traceparent"} & {*headers} == ({"x-request-id", "traceparent"} if told else set())
        assert headers.get("x-request-id") == (event.request_id if told else None)


@pytest.mark.parametrize("client", [by_requests, by_urllib3])
def test_behind_a_proxy_it_is_the_service_that_counts(
    client: Ask, server: tuple[str, list[Headers]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy is asked for the whole address."""
    url, asked = server
    monkeypatch.setenv("http_proxy", url)
    onward_to(Hosts(("orders.internal",)))
    if client is by_urllib3:
        with urllib3.ProxyManager(url) as pool:
            event = during(lambda: pool.request("GET", "http://orders.internal/here", timeout=10) and None)
            assert asked[-1]["x-request-id"] == event.request_id
            during(lambda: pool.request("GET", "http://others.example.com/here", timeout=10) and None)
    else:
        event = during(lambda: client("http://orders.internal/here", {}))
        assert asked[-1]["x-request-id"] == event.request_id
        during(lambda: client("http://others.example.com/here", {}))
    assert {"x-request-id", "traceparent"}.isdisjoint(asked[-1])


@pytest.mark.parametrize("client", CLIENTS)
def test_a_credential_never_goes_along(client: Ask, server: tuple[str, list[Headers]]) -> None:
    url, asked = server
    before = len(asked)
    token = opaque()
    during(lambda: client(f"{url}/moved", {}), authorization=f"Bearer {token}")
    assert not leaked(token, repr(asked[before:]))
    assert all("authorization" not in headers for headers in asked[before:])


@pytest.mark.parametrize("client", CLIENTS)
def test_a_trace_the_application_names_itself_stands_without_our_state(
    client: Ask, server: tuple[str, list[Headers]]
) -> None:
    url, asked = server
    own = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    during(
        lambda: client(f"{url}/orders", {"traceparent": own}),
        traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
        tracestate="rojo=1",
    )
    assert asked[-1]["traceparent"] == own
    assert "tracestate" not in asked[-1]


@pytest.mark.parametrize("given", [{"x-request-id": "of-its-own"}, [("X-Request-ID", "of-its-own")], {}, None])
def test_what_a_session_of_aiohttp_says_stands_unless_the_call_says_otherwise(
    server: tuple[str, list[Headers]], given: Any
) -> None:
    url, asked = server

    async def ask() -> None:
        of_session = {"X-Request-ID": "of-the-session", "X-Of-All": "1"}
        async with aiohttp.ClientSession(headers=of_session) as session, session.get(url, headers=given) as response:
            await response.read()

    during(lambda: asyncio.run(ask()))
    assert asked[-1]["x-request-id"] == ("of-its-own" if given else "of-the-session")
    assert (asked[-1]["x-of-all"], "traceparent" in asked[-1]) == ("1", True)


def test_headers_that_aiohttp_cannot_take_are_its_own_matter(server: tuple[str, list[Headers]]) -> None:
    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(TypeError):
                await session.get(server[0], headers=7)  # type: ignore[arg-type]

    during(lambda: asyncio.run(ask()))


@pytest.mark.parametrize(
    "given",
    [
        {"x-request-id": "of-its-own"},
        {b"X-Request-ID": b"of-its-own"},
        urllib3.HTTPHeaderDict([("X-REQUEST-ID", "of-its-own"), ("Accept", "a/b"), ("Accept", "c/d")]),
    ],
)
def test_whatever_kind_of_headers_urllib3_is_given_a_name_is_said_once(
    server: tuple[str, list[Headers]], given: Any
) -> None:
    url, asked = server
    with urllib3.PoolManager() as pool:
        during(lambda: pool.request("GET", url, headers=given, timeout=10) and None)
    assert asked[-1]["x-request-id"] == "of-its-own"
    assert "traceparent" in asked[-1]


@pytest.mark.parametrize("hosts", ["*", "localhost"])
@pytest.mark.parametrize("client", CLIENTS)
def test_no_call_fails_because_of_us(
    client: Ask, server: tuple[str, list[Headers]], hosts: str, monkeypatch: pytest.MonkeyPatch, swallowing: None
) -> None:
    url, asked = server
    onward_to(Hosts((hosts,)))
    monkeypatch.setattr(RequestContext, "begin_trace", lambda _: 1 / 0)
    during(lambda: client(f"{url}/moved".replace("127.0.0.1", "localhost"), {"Accept": "*/*"}))
    assert asked[-1]["host"].startswith("localhost")
    assert "traceparent" not in asked[-1]
    assert _guard.counts()["telling another service"] >= 1


@pytest.mark.parametrize("client", CLIENTS)
def test_where_only_some_are_told_it_is_said_once_and_what_is_said_stands(
    client: Ask, server: tuple[str, list[Headers]]
) -> None:
    url, asked = server
    onward_to(Hosts(("127.0.0.1",)))
    during(lambda: client(f"{url}/orders", {"x-request-id": "of-its-own"}))
    assert asked[-1]["x-request-id"] == "of-its-own"
    assert "traceparent" in asked[-1]


def test_who_asks_nobody_has_no_span() -> None:
    event = during(lambda: None)
    assert (event.trace_id, event.span_id) == (None, None)
