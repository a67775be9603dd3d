"""Flask, and any other WSGI application."""

from __future__ import annotations

import io
import wsgiref.validate
from collections.abc import Iterator
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import flask
import pytest
from werkzeug.wsgi import ClosingIterator

from bearerwatch.context import live
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import AuthEvent, Outcome
from bearerwatch.flask import Bearerwatch, WatchedWsgi
from bearerwatch.integrations._start import start
from bearerwatch.testing.events import capture_events
from fakes import opaque
from watched.drive import Request, serve_wsgi
from watched.flask_stack import build as build_flask


@pytest.fixture
def events() -> Iterator[list[AuthEvent]]:
    with capture_events() as caught:
        yield caught


def bearer(token: str | None = None) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token or opaque()}")]


def test_settings_come_from_the_config_and_the_call(events: list[AuthEvent]) -> None:
    app = flask.Flask("my_shop")
    app.config["BEARERWATCH_TRUSTED_PROXIES"] = ["192.0.2.0/24"]
    app.config["BEARERWATCH_SERVICE"] = "from-config"
    Bearerwatch(app, service="from-call")
    serve_wsgi(app, Request(headers=[("X-Forwarded-For", "203.0.113.1")]), events)
    assert (events[0].service, events[0].client_ip) == ("from-call", "203.0.113.1")


def test_the_service_is_called_after_the_application(
    events: list[AuthEvent], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    extension = Bearerwatch()
    apps = [flask.Flask(name) for name in ("_my_shop", "__main__", "kiosk/Bücher")]
    for app in apps:
        extension.init_app(app)
        serve_wsgi(app, Request(), events)
    assert [event.service for event in events] == ["my-shop", "flask", "kiosk-B-cher"]
    monkeypatch.setenv("BEARERWATCH_SERVICE", "of-the-environment")
    app = flask.Flask("my_shop")
    Bearerwatch(app)
    serve_wsgi(app, Request(), events)
    assert events[-1].service == "of-the-environment"
    assert {path.name for path in (tmp_path / "state" / "spool").iterdir()} == {
        "my-shop",
        "flask",
        "kiosk-B-cher",
        "of-the-environment",
    }


def test_a_bad_setting_stops_the_start_not_a_request() -> None:
    with pytest.raises(ConfigurationError, match="trusted_proxies"):
        Bearerwatch(flask.Flask("shop"), trusted_proxies="everyone")


@pytest.mark.parametrize("path", ["/public", "/orders/7", "/stream", "/stream/sized", "/boom", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_both_sides_keep_to_the_wsgi_specification(path: str, method: str) -> None:
    """Wsgiref's validator stands on either side of the watched application."""
    app = build_flask()
    app.wsgi_app._app = wsgiref.validate.validator(app.wsgi_app._app)
    outside = wsgiref.validate.validator(app.wsgi_app)
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
    environ["HTTP_AUTHORIZATION"] = f"Bearer {opaque()}"
    setup_testing_defaults(environ)
    answered: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        answered.append(status)
        return lambda data: None

    body = outside(environ, start_response)
    for _ in body:
        pass
    body.close()
    assert len(answered) == 1


def watched(app: Any) -> WatchedWsgi:
    return WatchedWsgi(app, start("wsgi"))


def test_an_application_that_answers_late(events: list[AuthEvent]) -> None:
    """A generator calls ``start_response`` only when its body is asked for."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("403 Forbidden", [("Content-Length", "2")])
        yield b"no"

    seen = serve_wsgi(watched(app), Request(headers=bearer()), events)
    assert (seen.status, seen.body) == (403, b"no")
    assert seen.headers["x-request-id"] == events[0].request_id
    assert [event.outcome for event in events] == [Outcome.FORBIDDEN]


def test_an_application_that_changes_its_mind(events: list[AuthEvent]) -> None:
    """``exc_info`` replaces the answer as long as no header is sent (PEP 3333)."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        try:
            raise ValueError  # noqa: TRY301
        except ValueError as error:
            start_response("500 Oh no", [("Content-Length", "3")], (type(error), error, None))
        return [b"bad"]

    serve_wsgi(watched(app), Request(headers=bearer()), events)
    assert [(event.outcome, event.status) for event in events] == [(Outcome.ERROR, 500)]


@pytest.mark.parametrize("where", ["call", "iter", "next", "start"])
def test_an_application_that_raises_anywhere_leaves_one_event(events: list[AuthEvent], where: str) -> None:
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            if where == "iter":
                raise KeyError(where)
            return self

        def __next__(self) -> bytes:
            raise KeyError(where)

    def app(environ: Any, start_response: Any) -> Any:
        if where == "call":
            raise KeyError(where)
        start_response("200 OK", [])
        if where == "start":
            raise KeyError(where)
        return Body()

    seen = serve_wsgi(watched(app), Request(headers=bearer()), events)
    assert isinstance(seen.raised, KeyError)
    assert [event.reason for event in events] == ["exception"]


def test_an_application_that_exits_leaves_one_event(events: list[AuthEvent]) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        serve_wsgi(watched(app), Request(headers=bearer()), events)
    assert [event.status for event in events] == [500]


def test_a_body_is_closed_once_even_if_closing_fails(events: list[AuthEvent]) -> None:
    closed: list[int] = []

    class Body(list):
        def close(self) -> None:
            closed.append(1)
            raise OSError("while closing")

    for headers in ([("Content-Length", "1")], []):

        def app(environ: Any, start_response: Any, headers: Any = headers) -> Any:
            start_response("200 OK", headers)
            return Body([b"x"])

        with pytest.raises(OSError, match="while closing"):
            serve_wsgi(watched(app), Request(headers=bearer()), events)
    assert closed == [1, 1]
    assert len(events) == 2


class Otherwise(ClosingIterator):
    """As Werkzeug's would be if it kept its list elsewhere."""


@pytest.mark.parametrize("kind", [ClosingIterator, Otherwise, None])
def test_a_token_is_live_until_its_body_is_closed(events: list[AuthEvent], kind: Any) -> None:
    token, order = opaque(), []

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "1")])
        body = [b"x"]
        return body if kind is None else kind(body, lambda: order.append(live.values()))

    environ: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    setup_testing_defaults(environ)
    body: Any = watched(app)(environ, lambda *args: None)
    assert type(body) is kind or kind is not ClosingIterator  # Werkzeug's own needs no wrapping
    assert list(body) == [b"x"]
    assert live.values() == (token,)
    body.close()
    assert live.values() == ()
    assert order == ([] if kind is None else [(token,)])  # ours comes last


@pytest.mark.parametrize("wrapper", [FileWrapper, lambda file, size=8192: FileWrapper(file, size), None])
def test_a_file_is_left_to_the_server_that_can_send_it(events: list[AuthEvent], wrapper: Any) -> None:
    """Gunicorn's wrapper is a class, uWSGI's a function; the server has to get its own object back."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "4")])
        return (environ["wsgi.file_wrapper"] or FileWrapper)(io.BytesIO(b"file"))

    given: list[Any] = []

    def server(environ: Any, start_response: Any) -> Any:
        environ["wsgi.file_wrapper"] = wrapper
        given.append(watched(app)(environ, start_response))
        return given[-1]

    seen = serve_wsgi(server, Request(headers=bearer()), events)
    assert seen.body == b"file"
    assert len(events) == 1
    if wrapper is FileWrapper:
        assert type(given[0]) is FileWrapper


def test_a_status_of_no_number_is_an_error(events: list[AuthEvent]) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("2x0 Odd", [])
        return [b""]

    assert isinstance(serve_wsgi(watched(app), Request(), events).raised, ValueError)  # the server's own
    assert [event.status for event in events] == [500]


def test_the_answer_of_a_watched_application_is_untouched() -> None:
    """But for the one header, whatever the application."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "5"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")])
        return [b"he", b"", b"llo"]

    got: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        got.extend((status, headers))
        return None

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    body = watched(app)(environ, start_response)
    assert list(body) == [b"he", b"", b"llo"]
    assert got[0] == "200 OK"
    assert got[1][:-1] == [("Content-Length", "5"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")]
    assert got[1][-1][0] == "X-Request-ID"


def test_a_bare_environ_is_enough(events: list[AuthEvent]) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "0")])
        return []

    watched(app)({}, lambda *args: None)
    assert [event.outcome for event in events] == [Outcome.ANONYMOUS]


def test_flask_test_client_and_streamed_context(events: list[AuthEvent]) -> None:
    app = build_flask()

    @app.get("/context")
    def context() -> flask.Response:
        def pieces() -> Iterator[str]:
            yield flask.request.path
            yield "!"

        return flask.Response(flask.stream_with_context(pieces()))

    with app.test_client() as client:
        answer = client.get("/context", headers=bearer())
        assert answer.data == b"/context!"
        assert answer.headers["X-Request-ID"] == events[0].request_id
    assert len(events) == 1


def test_decide_reaches_the_event(events: list[AuthEvent]) -> None:
    import bearerwatch

    app = build_flask(plain_subjects=True)

    @app.before_request
    def check() -> None:
        bearerwatch.decide("success", subject="alice", client_id="cli", scopes="a b")

    serve_wsgi(app, Request(headers=bearer()), events)
    event = events[0]
    assert (event.outcome, event.verified, event.subject_id, event.client_id, event.scopes) == (
        Outcome.SUCCESS,
        True,
        "alice",
        "cli",
        "a b",
    )
