"""Django: what only it has. The rest is in ``test_conformance``."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bearerwatch import _guard
from bearerwatch.context import live
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import AuthEvent, Outcome
from bearerwatch.testing.events import capture_events
from fakes import jwt, leaked
from fakes import opaque as random_token
from watched import django_stack
from watched.drive import Request, Seen, nothing_held, serve_asgi, serve_wsgi
from watched.policy import opaque

django_stack.configure()

import django  # noqa: E402
from django.apps import apps  # noqa: E402
from django.core.checks import run_checks  # noqa: E402
from django.http import FileResponse, HttpResponse, StreamingHttpResponse  # noqa: E402
from django.test import AsyncClient, Client, override_settings  # noqa: E402
from django.urls import path, re_path  # noqa: E402
from django.utils.functional import SimpleLazyObject  # noqa: E402

from bearerwatch.integrations import django as integration  # noqa: E402
from watched import drf_views  # noqa: E402

Send = Callable[..., Seen]


@pytest.fixture
def events() -> Iterator[list[AuthEvent]]:
    with capture_events() as caught:
        yield caught


@pytest.fixture(autouse=True)
def default_settings() -> None:
    django_stack.configure()


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest, events: list[AuthEvent]) -> Send:
    """Sends a request under WSGI, and under ASGI."""

    def run(target: str, urls: Any = None, *, token: str | None = None, **parts: Any) -> Seen:
        headers = parts.pop("headers", []) + ([("Authorization", f"Bearer {token}")] if token else [])
        with override_settings(ROOT_URLCONF=tuple(urls) if urls is not None else django_stack.ROOT_URLCONF):
            if request.param == "sync":
                return serve_wsgi(django_stack.wsgi(), Request(target, headers=headers, **parts), events)
            return serve_asgi(django_stack.asgi(), Request(target, headers=headers, **parts), events)

    return run


# -- Django REST framework -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "token", "status", "outcome", "verified"),
    [
        ("GET", "/orders/7", "alice", 200, "success", True),
        ("GET", "/public", "alice", 200, "success", True),
        ("GET", "/public", None, 200, "anonymous", False),
        ("GET", "/orders/7", None, 401, "missing", False),
        ("GET", "/orders/7", "nobody", 401, "invalid", False),
        ("GET", "/orders/7", "two words", 401, "malformed", False),
        ("GET", "/orders/x7", "alice", 403, "forbidden", True),
        ("GET", "/limited/7", "alice", 429, "throttled", True),
        ("GET", "/limited/7", None, 401, "missing", False),
        ("POST", "/orders/7", "alice", 500, "error", True),
    ],
)
def test_rest_framework_verifies_tokens_and_the_event_says_so(
    send: Send,
    events: list[AuthEvent],
    method: str,
    target: str,
    token: str | None,
    status: int,
    outcome: str,
    verified: bool,
) -> None:
    held = opaque(token) if token and " " not in token else token
    seen = send(target, drf_views.urlpatterns, token=held, method=method)
    assert seen.status == status
    assert [(event.outcome, event.verified) for event in events] == [(Outcome(outcome), verified)]
    assert events[0].route == target.replace("/x7", "/<order_id>").replace("/7", "/<order_id>")
    assert (events[0].subject_id is not None) == verified
    assert "42" not in (events[0].subject_id or "").split(":")


def test_the_user_of_a_session_is_not_asked(send: Send, events: list[AuthEvent]) -> None:
    """``request.user`` is lazy, and looking at it is a query; the route and the challenge are kept all the same."""

    def view(request: Any) -> HttpResponse:
        request.auth = "somebody"
        request.user = SimpleLazyObject(lambda: pytest.fail("asked"))
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer error_description="revoked"'})

    send("/lazy", [path("lazy", view)], token=random_token())
    assert [(event.outcome, event.route, event.subject_id) for event in events] == [(Outcome.REVOKED, "/lazy", None)]


# -- streams and files ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_a_file_is_an_ordinary_answer(send: Send, events: list[AuthEvent], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    seen = send("/f", [path("f", lambda request: FileResponse((tmp_path / "file").open("rb")))], token=random_token())
    assert seen.body == b"x" * 10_000
    assert seen.events_at("body") == 1
    assert [event.outcome for event in events] == [Outcome.SUCCESS]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_a_stream_of_the_other_kind(send: Send, events: list[AuthEvent]) -> None:
    """A sync iterator under ASGI; Django warns of it, and it works."""
    seen = send("/s", [path("s", lambda request: StreamingHttpResponse(iter([b"a", b"b"])))], token=random_token())
    assert seen.body == b"ab"
    assert seen.events_at("end") == 1
    assert len(events) == 1


def test_an_empty_stream(send: Send, events: list[AuthEvent]) -> None:
    async def nothing() -> Any:
        for piece in ():
            yield piece

    def view(request: Any) -> Any:
        return StreamingHttpResponse(nothing() if hasattr(request, "scope") else iter(()))

    seen = send("/s", [path("s", view)], token=random_token())
    assert (seen.status, seen.body) == (200, b"")
    assert seen.events_at("end") == 1
    assert len(events) == 1


@pytest.mark.skipif(django.VERSION < (5, 0), reason="Django looks out for that since 5.0")
def test_an_async_view_whose_client_leaves_is_no_failure_of_the_service(events: list[AuthEvent]) -> None:
    async def slow(request: Any) -> HttpResponse:
        await asyncio.sleep(30)
        return HttpResponse()

    async def main(app: Any) -> None:
        messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

        async def receive() -> Any:
            message = next(messages)
            if message["type"] == "http.disconnect":
                await asyncio.sleep(0.05)
            return message

        async def send(message: Any) -> None:
            raise AssertionError("nobody is there")

        scope = {"type": "http", "method": "GET", "path": "/slow", "headers": [], "query_string": b"", "asgi": {}}
        scope["headers"] = [(b"authorization", b"Bearer " + random_token().encode())]
        await asyncio.wait_for(app(scope, receive, send), 5)

    with override_settings(ROOT_URLCONF=(path("slow", slow),)):
        asyncio.run(main(django_stack.asgi()))
    assert [(event.outcome, event.status, event.reason) for event in events] == [(Outcome.ERROR, 499, "client_closed")]
    assert events[0].route == "/slow"
    nothing_held()


def test_a_response_may_be_closed_twice_and_closes_what_it_held(events: list[AuthEvent]) -> None:
    class Held:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            self.closed += 1

    held = Held()
    with override_settings(ROOT_URLCONF=(path("s", lambda request: StreamingHttpResponse(held)),)):
        response = Client(headers={"Authorization": f"Bearer {random_token()}"}).get("/s")
        assert len(events) == 0
        response.close()
        assert len(events) == 1
        response.close()
    assert held.closed >= 1
    assert len(events) == 1
    assert live.values() == ()


def test_the_test_clients_work(events: list[AuthEvent]) -> None:
    assert Client().get("/public").headers["X-Request-ID"] == events[0].request_id
    answer = asyncio.run(AsyncClient().get("/async/orders/7", headers={"Authorization": f"Bearer {opaque('alice')}"}))
    assert answer.headers["X-Request-ID"] == events[1].request_id
    assert [event.route for event in events] == ["/public", "/async/orders/<order_id>"]


# -- routes and refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "target", "route"),
    [
        (path("", lambda request: HttpResponse()), "/", "/"),
        (re_path(r"^old/(?P<n>\d+)/$", lambda request, n: HttpResponse()), "/old/7/", r"/old/(?P<n>\d+)/$"),
        (re_path(r"", lambda request: HttpResponse()), "/anything", "/"),
    ],
)
def test_a_route_is_its_pattern(send: Send, events: list[AuthEvent], pattern: Any, target: str, route: str) -> None:
    assert send(target, [pattern]).status == 200
    assert [event.route for event in events] == [route]


def test_what_another_middleware_refuses_leaves_an_event(send: Send, events: list[AuthEvent]) -> None:
    with override_settings(ALLOWED_HOSTS=["shop.test"]):
        seen = send("/public", headers=[("Host", "evil.test")])
    assert seen.status == 400
    assert [(event.outcome, event.status, event.route) for event in events] == [(Outcome.ANONYMOUS, 400, None)]


def test_a_mounted_application_has_its_whole_path(events: list[AuthEvent]) -> None:
    app = django_stack.wsgi()

    def under(environ: Any, start_response: Any) -> Any:
        environ |= {"SCRIPT_NAME": "/shop", "PATH_INFO": "/public"}
        return app(environ, start_response)

    assert serve_wsgi(under, Request("/shop/public"), events).status == 200
    assert [event.path for event in events] == ["/shop/public"]


@pytest.mark.usefixtures("swallowing")
def test_a_route_nobody_can_read_costs_the_event_its_route_alone(send: Send, events: list[AuthEvent]) -> None:
    def view(request: Any) -> Any:
        request.resolver_match = property()  # a route that cannot be read
        return HttpResponse("fine")

    seen = send("/v", [path("v", view)], token=random_token())
    assert (seen.status, seen.body) == (200, b"fine")
    assert [event.route for event in events] == [None]
    assert _guard.counts() == {"reading a route": 1}


@pytest.mark.parametrize(
    ("given", "env", "wanted"),
    [
        ({}, None, True),
        ({"REDACT_LOGS": False}, None, False),
        ({"REDACT_LOGS": "off"}, None, False),
        ({}, "off", False),
        ({"REDACT_LOGS": True}, "off", True),
        ({"REDACT_LOGS": "maybe"}, None, True),
        ({"SEVICE": "x"}, "off", True),
    ],
)
def test_logs_are_redacted_from_the_start_unless_told_otherwise(
    given: dict[str, Any], env: str | None, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if env is not None:
        monkeypatch.setenv("BEARERWATCH_REDACT_LOGS", env)
    with override_settings(BEARERWATCH=given):
        apps.get_app_config("bearerwatch").ready()
    token = jwt()
    line = logging.Handler().format(logging.makeLogRecord({"msg": f"got {token}"}))
    assert (not leaked(token, line)) == wanted


# -- settings and checks -------------------------------------------------------------------------------


def test_settings_come_from_django(events: list[AuthEvent]) -> None:
    app = django_stack.wsgi(SERVICE="billing", TRUSTED_PROXIES=["192.0.2.0/24"])
    serve_wsgi(app, Request(headers=[("X-Forwarded-For", "203.0.113.4")]), events)
    assert (events[0].service, events[0].client_ip) == ("billing", "203.0.113.4")


def test_the_service_is_called_after_the_project(events: list[AuthEvent]) -> None:
    serve_wsgi(django_stack.wsgi(), Request(), events)
    assert events[0].service == "watched"


def test_a_bad_setting_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match="sevice"):
        django_stack.wsgi(SEVICE="billing")


def checked(**bearerwatch: Any) -> list[str]:
    integration.forget_watch()
    with override_settings(BEARERWATCH=bearerwatch):
        found = run_checks()
    assert all(message.hint or "BEARERWATCH_KEYS" in message.msg for message in found)
    return [str(message.id) for message in found]


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARERWATCH_KEYS", "k" * 32)


@pytest.mark.usefixtures("keyed")
def test_a_good_setup_passes_the_checks() -> None:
    assert checked() == []


def test_without_a_key_the_check_names_the_setting() -> None:
    assert checked() == ["bearerwatch.W001"]


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize(
    ("middleware", "found"),
    [
        (["django.middleware.common.CommonMiddleware"], ["bearerwatch.W002"]),
        (["django.middleware.common.CommonMiddleware", "bearerwatch.django.Middleware"], ["bearerwatch.W003"]),
    ],
)
def test_the_middleware_has_to_be_there_and_first(middleware: list[str], found: list[str]) -> None:
    with override_settings(MIDDLEWARE=middleware):
        assert checked() == found


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_trusting_everybody_is_warned_of(network: str) -> None:
    assert checked(TRUSTED_PROXIES=network) == ["bearerwatch.W004"]


@pytest.mark.usefixtures("keyed")
def test_a_spool_that_is_not_writable_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spool").mkdir()
    monkeypatch.setattr(
        os, "access", lambda path, mode: str(path) != str(tmp_path / "spool")
    )  # root may write anywhere
    assert checked(SPOOL_DIR=str(tmp_path / "spool")) == ["bearerwatch.W005"]
    assert checked(SPOOL_DIR=str(tmp_path / "spool"), SINKS="log") == []


@pytest.mark.parametrize("bad", [{"TRUSTED_PROXIES": "all"}, {"SEVICE": "x"}, {"SERVICE": "a/b"}])
def test_a_bad_setting_is_an_error(bad: dict[str, Any]) -> None:
    assert checked(**bad) == ["bearerwatch.E001"]


def test_a_bad_key_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARERWATCH_KEYS", "short")
    assert checked() == ["bearerwatch.E001"]


def test_a_sink_there_is_not_is_an_error() -> None:
    assert "bearerwatch.E001" in checked(SINKS="spool,kafka")
