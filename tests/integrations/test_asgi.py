"""ASGI: websockets, and what only a bare application does."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from bearerwatch.asgi import BearerwatchMiddleware
from bearerwatch.context import current, live
from bearerwatch.event import AuthEvent, Outcome
from bearerwatch.fingerprint import ring
from bearerwatch.testing.events import capture_events
from fakes import leaked, opaque
from watched.asgi_stack import starlette
from watched.drive import Request, serve_asgi


@pytest.fixture
def events() -> Iterator[list[AuthEvent]]:
    with capture_events() as caught:
        yield caught


# -- websockets ----------------------------------------------------------------------------------------


def connect(
    app: Any, received: list[Any], *, headers: list[tuple[str, str]] | None = None, query: str = "", path: str = "/ws"
) -> list[Any]:
    """Talk to *app* over a websocket: *received* are the client's messages; returns the application's."""
    if headers is None:
        headers = []
    sent: list[Any] = []
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": ("192.0.2.9", 5),
        "server": ("test", 80),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }
    queue = [{"type": "websocket.connect"}, *received]

    async def receive() -> Any:
        if not queue:
            await asyncio.sleep(30)
        return queue.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        try:
            await asyncio.wait_for(app(scope, receive, send), 2)
        finally:
            assert current.get() is None

    asyncio.run(main())
    assert live.values() == ()
    return sent


TEXT = {"type": "websocket.receive", "text": "hi"}
GONE = {"type": "websocket.disconnect", "code": 1001}


def script(*messages: Any) -> Any:
    """An application that does *messages* in turn: sends a dict, receives at ``"?"``, raises an exception."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in ("?", *messages):
            if message == "?":
                await receive()
            elif isinstance(message, BaseException):
                raise message
            else:
                await send(message)

    return BearerwatchMiddleware(app)


def test_the_application_may_be_given_by_name() -> None:
    """As Starlette did before 0.42."""
    outermost: Any = BearerwatchMiddleware
    with capture_events() as events:
        seen = serve_asgi(outermost(app=starlette()), Request("/"), events)
    assert (seen.raised, len(events)) == (None, 1)


ACCEPT = {"type": "websocket.accept"}
SAY = {"type": "websocket.send", "text": "hello"}


def close(code: int) -> dict[str, Any]:
    return {"type": "websocket.close", "code": code}


@pytest.mark.parametrize(
    ("messages", "received", "token", "outcome", "status", "reason"),
    [
        ([ACCEPT, SAY, "?"], [GONE], True, "success", 101, None),
        ([ACCEPT, SAY, "?"], [GONE], False, "anonymous", 101, None),
        ([ACCEPT, "?", "?"], [TEXT, GONE], True, "success", 101, None),
        ([ACCEPT, "?"], [GONE], True, "success", 101, None),
        ([ACCEPT], [], True, "success", 101, None),
        ([ACCEPT, close(1000)], [], True, "success", 101, None),
        ([ACCEPT, SAY, close(1008)], [], True, "success", 101, None),
        ([ACCEPT, "?", close(1008)], [TEXT], True, "invalid", 401, None),
        ([ACCEPT, close(1008)], [], True, "invalid", 401, None),
        ([ACCEPT, close(1008)], [], False, "missing", 401, None),
        ([ACCEPT, close(3000)], [], True, "invalid", 401, None),
        ([ACCEPT, close(4401)], [], True, "invalid", 401, None),
        ([ACCEPT, close(3003)], [], True, "forbidden", 403, None),
        ([ACCEPT, close(4403)], [], True, "forbidden", 403, None),
        ([ACCEPT, close(4000)], [], True, "success", 101, None),
        ([close(1000)], [], True, "invalid", 403, None),
        ([close(1008)], [], True, "invalid", 403, None),
        ([close(4401)], [], True, "invalid", 403, None),
        ([close(3003)], [], True, "forbidden", 403, None),
        ([close(4403)], [], True, "forbidden", 403, None),
        ([close(1000)], [], False, "missing", 403, None),
        ([{"type": "websocket.close"}], [], False, "missing", 403, None),
        ([], [], True, "forbidden", 403, None),
        (["?"], [GONE], True, "error", 499, "client_closed"),
        ([ACCEPT, RuntimeError("app")], [], True, "error", 500, "exception"),
        ([RuntimeError("app")], [], True, "error", 500, "exception"),
        ([ACCEPT, SAY, RuntimeError("app")], [], True, "success", 101, None),
    ],
)
def test_a_websocket_leaves_one_event(
    events: list[AuthEvent],
    messages: list[Any],
    received: list[Any],
    token: bool,
    outcome: str,
    status: int,
    reason: str | None,
) -> None:
    headers = [("Authorization", f"Bearer {opaque()}")] if token else []
    app = script(*messages)
    if any(isinstance(message, RuntimeError) for message in messages):
        with pytest.raises(RuntimeError):
            connect(app, received, headers=headers)
    else:
        connect(app, received, headers=headers)
    assert [(event.outcome, event.status, event.reason) for event in events] == [(Outcome(outcome), status, reason)]
    assert (events[0].method, events[0].path) == ("GET", "/ws")


def test_the_event_of_a_websocket_is_there_before_the_first_word(events: list[AuthEvent]) -> None:
    at: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        at.append(len(events))
        await send(SAY)
        at.append(len(events))

    connect(BearerwatchMiddleware(app), [])
    assert at == [0, 1]


def test_an_accepted_websocket_is_told_its_request_id(events: list[AuthEvent]) -> None:
    sent = connect(script({**ACCEPT, "headers": [(b"x-app", b"1")]}), [])
    assert sent[0]["headers"] == [(b"x-app", b"1"), (b"x-request-id", (events[0].request_id or "").encode())]


def test_a_websocket_may_be_refused_with_an_answer(events: list[AuthEvent]) -> None:
    """The extension ``websocket.http.response``."""
    refusal = {
        "type": "websocket.http.response.start",
        "status": 401,
        "headers": [(b"www-authenticate", b'Bearer error="invalid_token", error_description="expired"')],
    }
    sent = connect(
        script(refusal, {"type": "websocket.http.response.body", "body": b"no"}),
        [],
        headers=[("Authorization", f"Bearer {opaque()}")],
    )
    assert [(event.outcome, event.status) for event in events] == [(Outcome.EXPIRED, 401)]
    assert dict(sent[0]["headers"])[b"x-request-id"].decode() == events[0].request_id
    assert sent[1]["body"] == b"no"


def test_a_cancelled_websocket_leaves_one_event(events: list[AuthEvent]) -> None:
    with pytest.raises(TimeoutError):
        connect(script(ACCEPT, "?"), [])
    assert [event.status for event in events] == [101]


def k8s(token: str) -> str:
    return "base64url.bearer.authorization.k8s.io." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "offer",
    [
        lambda token: f"bearer, {token}",
        lambda token: f"graphql-ws, Bearer,{token}",
        lambda token: f"access_token, {token}",
        lambda token: f"{k8s(token)}, base64.binary.k8s.io",
    ],
)
def test_a_token_may_come_as_a_subprotocol(
    events: list[AuthEvent], offer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Browsers can set no header; the token has the id it has in a header."""
    token = opaque(41)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        logging.getLogger("ws").warning("presented %s as %s", token, dict(scope["headers"])[b"sec-websocket-protocol"])
        await receive()
        await send(close(1000))

    connect(BearerwatchMiddleware(app), [], headers=[("Sec-WebSocket-Protocol", offer(token))])
    assert [(event.outcome, event.token_source) for event in events] == [(Outcome.INVALID, "subprotocol")]
    assert events[0].token_id == ring().token_id(token)
    said = caplog.text
    assert "presented [token k" in said
    assert not leaked(token, said)
    assert not leaked(k8s(token).rpartition(".")[2][:-2], said)


@pytest.mark.parametrize("offer", ["graphql-ws", "bearer", "", ",,,", "base64url.bearer.authorization.k8s.io."])
def test_a_subprotocol_may_be_just_one(events: list[AuthEvent], offer: str) -> None:
    connect(script(ACCEPT), [], headers=[("Sec-WebSocket-Protocol", offer)])
    assert [event.outcome for event in events] == [Outcome.ANONYMOUS]


def test_tokens_in_several_places_of_a_websocket_are_all_live(
    events: list[AuthEvent], caplog: pytest.LogCaptureFixture
) -> None:
    header, query, protocol = opaque(), opaque(), opaque()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        logging.getLogger("ws").warning("got %s %s %s", header, query, protocol)
        await send(close(1008))

    connect(
        BearerwatchMiddleware(app),
        [],
        headers=[("Authorization", f"Bearer {header}"), ("Sec-WebSocket-Protocol", f"bearer, {protocol}")],
        query=f"access_token={query}",
    )
    said = caplog.text
    assert not [piece for token in (header, query, protocol) for piece in leaked(token, said)]
    assert events[0].reason == "multiple_tokens"


def test_websockets_of_fastapi_have_their_routes(events: list[AuthEvent]) -> None:
    app = FastAPI()
    router = APIRouter()

    @router.websocket("/rooms/{room}")
    async def room(socket: WebSocket, room: str) -> None:
        await socket.accept()
        await socket.send_text(room)
        await socket.close()

    app.include_router(router, prefix="/chat")
    app.add_middleware(BearerwatchMiddleware)
    with TestClient(app) as client:
        with client.websocket_connect("/chat/rooms/blue") as socket:
            assert socket.receive_text() == "blue"
        for headers in ({}, {"Authorization": f"Bearer {opaque()}"}):
            with pytest.raises(WebSocketDisconnect), client.websocket_connect("/nowhere", headers=headers):
                pass
    assert [(event.route, event.status, event.outcome.value, event.reason) for event in events] == [
        ("/chat/rooms/{room}", 101, "anonymous", None),
        (None, 403, "anonymous", None),
        (None, 403, "anonymous", "no_route"),
    ]


# -- routes --------------------------------------------------------------------------------------------


async def page(request: Any) -> Any:
    return PlainTextResponse("page")


async def other_page(request: Any) -> Any:
    return PlainTextResponse("other")


def routed(tmp_path: Any) -> Starlette:
    (tmp_path / "file.txt").write_text("static")
    return Starlette(
        routes=[
            Route("/a", page),
            Route("/b/{name}", page),
            Mount("/static", StaticFiles(directory=tmp_path)),
            Mount(
                "/tenants/{tenant}", routes=[Route("/users/{user}", page), Mount("/deep", routes=[Route("/x", page)])]
            ),
            Mount("/plain", app=BearerwatchMiddleware(PlainTextResponse("mounted"))),
            Host("api.test", app=Router([Route("/c", page)])),
        ]
    )


ROUTES = {
    "/a": "/a",
    "/b/7": "/b/{name}",
    "/static/file.txt": "/static",
    "/tenants/acme/users/7": "/tenants/{tenant}/users/{user}",
    "/tenants/acme/deep/x": "/tenants/{tenant}/deep/x",
    "/plain/anything": "/plain",
    "/c": "/c",
    "/tenants/acme/nothing": "/tenants/{tenant}",
    "/nothing": None,
}


@pytest.mark.parametrize(("path", "route"), ROUTES.items())
def test_a_route_is_its_template_wherever_it_is_mounted(
    events: list[AuthEvent], tmp_path: Any, path: str, route: str | None
) -> None:
    app = routed(tmp_path)
    app.add_middleware(BearerwatchMiddleware)
    seen = serve_asgi(app, Request(path, headers=[("Host", "api.test" if path == "/c" else "test")]), events)
    assert seen.status == (404 if "nothing" in path else 200)
    assert [event.route for event in events] == [route]


def test_a_starlette_that_names_no_route_is_asked_for_the_endpoint(events: list[AuthEvent], tmp_path: Any) -> None:
    """As before 1.0: ``scope`` held the endpoint and the router, but no route."""

    class Forgetful(dict):
        def __setitem__(self, key: Any, value: Any) -> None:
            if key != "route":
                super().__setitem__(key, value)

    app = routed(tmp_path)
    inner = BearerwatchMiddleware(app)

    async def outside(scope: Any, receive: Any, send: Any) -> None:
        await inner(Forgetful(scope), receive, send)

    serve_asgi(outside, Request("/a"), events)
    app.routes.append(Route("/later", other_page))
    serve_asgi(outside, Request("/later"), events)
    for path in ROUTES:
        serve_asgi(outside, Request(path, headers=[("Host", "api.test" if path == "/c" else "test")]), events)
    serve_asgi(outside, Request("/b/7", method="PUT"), events)
    assert [event.route for event in events] == ["/a", "/later", *ROUTES.values(), "/b/{name}"]


def test_routers_included_in_included_routers(events: list[AuthEvent]) -> None:
    inner, middle, app = APIRouter(prefix="/inner"), APIRouter(prefix="/middle/{m}"), FastAPI()

    @inner.get("/leaf/{x}")
    def leaf(x: int, m: int) -> int:
        return x

    mounted = FastAPI()
    mounted.include_router(inner, prefix="/m/{m}")
    middle.include_router(inner)
    app.include_router(middle, prefix="/api")
    app.include_router(middle, prefix="/v2")
    app.mount("/mounted", mounted)
    app.add_middleware(BearerwatchMiddleware)
    for path in ("/api/middle/1/inner/leaf/2", "/v2/middle/1/inner/leaf/2", "/mounted/m/1/inner/leaf/2"):
        assert serve_asgi(app, Request(path), events).status == 200
    assert serve_asgi(app, Request("/api/middle/1/inner/leaf/2", method="PUT"), events).status == 405
    assert [event.route for event in events] == [
        "/api/middle/{m}/inner/leaf/{x}",
        "/v2/middle/{m}/inner/leaf/{x}",
        "/mounted/m/{m}/inner/leaf/{x}",
        "/api/middle/{m}/inner/leaf/{x}",
    ]


def test_behind_a_prefix_of_the_server(events: list[AuthEvent]) -> None:
    """``root_path`` is the server's, not the application's."""
    app = starlette()

    async def prefixed(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/prefix", "path": f"/prefix{scope['path']}"}, receive, send)

    assert serve_asgi(prefixed, Request("/inner/items/5"), events).status == 200
    assert [event.route for event in events] == ["/inner/items/{item_id:int}"]


# -- bare applications ---------------------------------------------------------------------------------


def bare(*messages: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            if isinstance(message, BaseException):
                raise message
            await send(message)

    return BearerwatchMiddleware(app)


def begun(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


END = {"type": "http.response.body"}


@pytest.mark.parametrize(
    ("messages", "status", "reason"),
    [
        ([begun(), END], 200, None),
        ([{"type": "http.response.start", "status": 200}, END], 200, None),
        ([begun(), {"type": "http.response.pathsend", "path": "/x"}], 200, None),
        ([begun(), {**END, "more_body": True}, END, END], 200, None),
        ([begun(204)], 204, None),
        ([begun(304), END], 304, None),
        ([begun()], 200, None),
        ([], 500, "exception"),
        ([RuntimeError("x")], 500, "exception"),
        ([begun(), RuntimeError("x")], 200, "exception"),
        ([begun(200, (b"Content-Length", b"1")), RuntimeError("x")], 200, None),
        ([{"type": "http.response.push", "path": "/x", "headers": []}, begun(), END], 200, None),
    ],
)
def test_however_an_application_answers_there_is_one_event(
    events: list[AuthEvent], messages: list[Any], status: int, reason: str | None
) -> None:
    app = bare(*messages)
    if messages and messages[0].__class__ is dict and "headers" not in messages[0]:
        messages = [{**messages[0], "headers": []}, *messages[1:]]
    serve_asgi(app, Request(headers=[("Authorization", f"Bearer {opaque()}")]), events)
    assert [(event.status, event.reason) for event in events] == [(status, reason)]


def test_a_request_that_is_cancelled_was_left_by_its_client(events: list[AuthEvent]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(30)

    async def outside(scope: Any, receive: Any, send: Any) -> None:
        async with asyncio.timeout(0.01):
            await BearerwatchMiddleware(app)(scope, receive, send)

    seen = serve_asgi(outside, Request(), events)
    assert isinstance(seen.raised, TimeoutError)
    assert [(event.outcome, event.status, event.reason) for event in events] == [(Outcome.ERROR, 499, "client_closed")]


def test_lifespan_and_what_is_not_known_are_passed_through(events: list[AuthEvent]) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], await receive()))
        await send("sent")

    async def receive() -> str:
        return "received"

    async def send(message: Any) -> None:
        seen.append(message)

    for kind in ("lifespan", "of.the.future"):
        asyncio.run(BearerwatchMiddleware(app)({"type": kind}, receive, send))
    assert seen == [("lifespan", "received"), "sent", ("of.the.future", "received"), "sent"]
    assert events == []


def test_the_header_list_of_the_application_is_not_changed(events: list[AuthEvent]) -> None:
    headers = [(b"x-a", b"1")]
    message = {"type": "http.response.start", "status": 200, "headers": headers}
    seen = serve_asgi(bare(message, END), Request(), events)
    assert headers == [(b"x-a", b"1")]
    assert message["headers"] is headers
    assert seen.headers["x-request-id"] == events[0].request_id


def test_headers_may_be_any_iterable(events: list[AuthEvent]) -> None:
    message = {"type": "http.response.start", "status": 401, "headers": iter([(b"www-authenticate", b"Bearer")])}
    seen = serve_asgi(bare(message, END), Request(), events)
    assert seen.headers["www-authenticate"] == "Bearer"
    assert events[0].outcome is Outcome.MISSING


def test_the_context_lasts_as_long_as_the_application(events: list[AuthEvent]) -> None:
    ids: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def inner() -> None:
            context = current.get()
            assert context is not None
            ids.append(context.request_id)

        await begun_and_ended(send)
        await asyncio.gather(inner(), inner())  # a background task, after the answer

    async def begun_and_ended(send: Any) -> None:
        await send(begun(200, (b"content-length", b"0")))
        await send(END)

    serve_asgi(BearerwatchMiddleware(app), Request(), events)
    assert ids == [events[0].request_id] * 2


def test_outermost_it_names_the_request_even_on_the_answer_to_an_exception(events: list[AuthEvent]) -> None:
    """``add_middleware`` puts it inside of what Starlette answers exceptions with."""
    inside = starlette()
    seen = serve_asgi(inside, Request("/boom"), events)
    assert (seen.status, "x-request-id" in seen.headers) == (500, False)
    outside = BearerwatchMiddleware(starlette())
    seen = serve_asgi(outside, Request("/boom"), events)
    assert seen.headers["x-request-id"] == events[-1].request_id
    assert [event.outcome for event in events] == [Outcome.ERROR] * 2
