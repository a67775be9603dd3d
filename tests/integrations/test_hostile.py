"""Hostile requests: none fails because it is watched, and each leaves its one event."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.asgi import BearerwatchMiddleware
from bearerwatch.event import AuthEvent, Outcome
from bearerwatch.flask import WatchedWsgi
from bearerwatch.integrations._start import start
from bearerwatch.sinks._encode import encode_line
from bearerwatch.testing.events import capture_events
from fakes import b64, jwt, leaked, opaque
from watched.drive import Request, serve_asgi, serve_wsgi


@pytest.fixture
def events() -> Iterator[list[AuthEvent]]:
    with capture_events() as caught:
        yield caught


def deep(opening: bytes, closing: bytes, depth: int = 3000) -> bytes:
    return opening * depth + closing * depth


HEADERS: dict[str, list[tuple[str, str]]] = {
    "1 MB": [("Authorization", "Bearer " + "x" * 1_000_000)],
    "1 MB scheme": [("Authorization", "x" * 1_000_000)],
    "1 MB of spaces": [("Authorization", "Bearer" + " " * 1_000_000 + "x")],
    "1 MB of commas": [("Authorization", "Bearer " + "," * 1_000_000)],
    "1 MB of Bearer": [("Authorization", "Bearer " * 150_000)],
    "1 MB of eyJ": [("Authorization", "Bearer " + "eyJ" * 333_333)],
    "16 kB of dots": [("Authorization", "Bearer " + "." * 16_000)],
    "16 kB of eyJ": [("Authorization", "Bearer " + "eyJ" * 5_000)],
    "NUL": [("Authorization", "Bearer a\x00b")],
    "CRLF": [("Authorization", "Bearer a\r\nX-Evil: 1")],
    "ESC": [("Authorization", "Bearer \x1b[31m\x1b]0;title\x07")],
    "latin": [("Authorization", "Bearer \xff\xfe\xa0\x85")],
    "10,000 headers": [(f"X-Header-{n}", "v" * 20) for n in range(10_000)],
    "10,000 authorizations": [("Authorization", f"Bearer {n:020}") for n in range(10_000)],
    "10,000 forwarded": [("X-Forwarded-For", f"198.51.100.{n % 256}") for n in range(10_000)],
    "1 MB agent": [("User-Agent", "eyJ" * 333_333)],
    "agent of anchors": [("User-Agent", "bearer+a=" * 450)],
    "1 MB request id": [("X-Request-ID", "x" * 1_000_000)],
    "1 MB traceparent": [("traceparent", "0" * 1_000_000)],
    "1 MB forwarded": [("Forwarded", "for=" * 250_000), ("X-Forwarded-For", "1," * 500_000)],
    "deep JSON": [("Authorization", "Bearer " + jwt(header=b'{"alg":' + deep(b"[", b"]") + b"}"))],
    "deep claims": [("Authorization", "Bearer " + jwt(deep(b'{"a":', b"", 1500) + b"1" + b"}" * 1500))],
    "huge header": [("Authorization", "Bearer " + jwt(header=b'{"alg":"HS256","x":"' + b"x" * 9000 + b'"}'))],
    "exp 1e400": [("Authorization", "Bearer " + jwt(b'{"exp":1e400}'))],
    "exp NaN": [("Authorization", "Bearer " + jwt(b'{"exp":NaN}'))],
    "exp huge": [("Authorization", "Bearer " + jwt(b'{"exp":' + b"9" * 5000 + b"}"))],
    "claims of any type": [
        ("Authorization", "Bearer " + jwt({"exp": [], "nbf": {}, "sub": {"a": 1}, "iss": 1, "azp": None, "scope": [1]}))
    ],
    "surrogates in claims": [("Authorization", "Bearer " + jwt(b'{"iss":"\\ud800","sub":"\\udfff\\u0000"}'))],
    "control characters in claims": [
        ("Authorization", "Bearer " + jwt({"iss": "a\r\nb\x1b[0m\u2028", "scope": "\x00"}))
    ],
    "not UTF-8": [("Authorization", "Bearer " + jwt(b'{"iss":"\xff"}', header=b'{"alg":"\xff"}'))],
    "empty names": [("Authorization", ""), ("User-Agent", ""), ("X-Forwarded-For", ""), ("traceparent", "")],
    "a token in the trace": [("traceparent", "00-" + "a" * 32 + "-" + "b" * 16 + "-01" + "x" * 5000)],
}


def plain_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("401 Unauthorized", [("Content-Length", "4"), ("WWW-Authenticate", "Bearer")])
    return [b"body"]


async def plain_asgi(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"4"), (b"www-authenticate", b"Bearer")]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": b"body"})


@pytest.fixture
def servers(events: list[AuthEvent]) -> dict[str, Any]:
    """Both kinds of server before both kinds of application."""
    wsgi, asgi = WatchedWsgi(plain_wsgi, start("hostile", trusted_proxies="192.0.2.9")), None
    asgi = BearerwatchMiddleware(plain_asgi, trusted_proxies="192.0.2.9")
    return {
        "wsgi": lambda request: serve_wsgi(wsgi, request, events),
        "asgi": lambda request: serve_asgi(asgi, request, events),
    }


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
@pytest.mark.parametrize("name", HEADERS)
def test_a_hostile_header(servers: dict[str, Any], events: list[AuthEvent], server: str, name: str) -> None:
    headers = HEADERS[name]
    began = time.process_time()
    seen = servers[server](Request("/x", headers=headers))
    assert time.process_time() - began < 1.0
    assert (seen.status, seen.body, seen.raised) == (401, b"body", None)
    assert len(events) == 1
    line = encode_line(events[0])
    assert line.count(b"\n") == 1
    assert len(line) < 5000
    assert msgspec.json.decode(line, type=AuthEvent).event_id == events[0].event_id
    json.loads(line)
    assert seen.headers["x-request-id"] == events[0].request_id
    assert not [byte for byte in line[:-1] if byte < 32]


@pytest.mark.parametrize("server", ["wsgi", "asgi"])
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/%ff%fe%fd", ""),
        ("/%00%0d%0aSet-Cookie:%20a=b", ""),
        ("/" + "a" * 1_000_000, ""),
        ("/" + "eyJ" * 20_000, ""),
        ("/" + "%f0%9f%94%91" * 500, ""),
        ("/%ed%a0%80", ""),
        ("/x", "access_token=" + "x" * 100_000),
        ("/x", "access_token=%ff%00%ed%a0%80"),
        ("/x", "&".join(f"access_token={n:020}" for n in range(5_000))),
        ("/x", "access_token=" * 5_000),
        ("/x", "\xff\xfe=access_token="),
        ("//evil.test/..//", ""),
        ("", ""),
    ],
)
def test_a_hostile_target(servers: dict[str, Any], events: list[AuthEvent], server: str, path: str, query: str) -> None:
    seen = servers[server](Request(path, query=query))
    assert (seen.status, seen.body) == (401, b"body")
    assert len(events) == 1
    line = encode_line(events[0])
    assert (line.count(b"\n"), len(line) < 5000) == (1, True)
    assert not [byte for byte in line[:-1] if byte < 32]


def test_lone_surrogates_from_a_server_are_passed_on_and_encoded(
    servers: dict[str, Any], events: list[AuthEvent]
) -> None:
    """As gunicorn hands over bytes it cannot decode."""
    app = WatchedWsgi(plain_wsgi, start("hostile"))
    environ: dict[str, Any] = {"PATH_INFO": "/\udcff", "HTTP_USER_AGENT": "\udcfe\ud800", "REQUEST_METHOD": "G\udc80T"}
    environ["HTTP_AUTHORIZATION"] = "Bearer \udcff" + opaque()
    answered: list[Any] = []
    assert app(environ, lambda *args: answered.append(args)) is not None
    assert len(events) == 1
    msgspec.json.decode(encode_line(events[0]), type=AuthEvent)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "none ", " none", "\x00none", "", "HS256\x00"])
@pytest.mark.parametrize("signature", ["", "x", b64(b"\0" * 32)])
def test_every_spelling_of_no_signature(
    servers: dict[str, Any], events: list[AuthEvent], alg: str, signature: str
) -> None:
    token = jwt({"sub": "admin"}, header={"alg": alg}, signature=signature)
    servers["asgi"](Request(headers=[("Authorization", f"Bearer {token}")]))
    assert events[0].outcome is Outcome.INVALID
    assert events[0].reason == ("alg_none" if alg.lower() == "none" else None)
    assert not leaked(token, encode_line(events[0]))


LATIN = st.text(st.characters(max_codepoint=255), max_size=50)
NAMES = st.sampled_from(
    ["Authorization", "User-Agent", "X-Forwarded-For", "Forwarded", "X-Request-ID", "traceparent", "Host", "Cookie"]
)


@given(
    headers=st.lists(st.tuples(NAMES, LATIN | LATIN.map(lambda text: f"Bearer {text}")), max_size=8),
    path=st.binary(max_size=40).map(lambda raw: "/" + "".join(f"%{byte:02x}" for byte in raw)),
    query=LATIN,
    server=st.sampled_from(["wsgi", "asgi"]),
)
def test_any_request_is_answered_as_if_nobody_watched(
    headers: list[tuple[str, str]], path: str, query: str, server: str
) -> None:
    with capture_events() as events:
        watch = {"trusted_proxies": "192.0.2.9"}
        request = Request(path, query=query, headers=headers)
        if server == "wsgi":
            seen = serve_wsgi(WatchedWsgi(plain_wsgi, start("hostile", **watch)), request, events)
        else:
            seen = serve_asgi(BearerwatchMiddleware(plain_asgi, **watch), request, events)
        assert (seen.status, seen.body, seen.raised) == (401, b"body", None)
        assert len(events) == 1
        assert encode_line(events[0]).count(b"\n") == 1


@pytest.mark.usefixtures("swallowing")
@pytest.mark.parametrize("server", ["wsgi", "asgi"])
def test_a_request_we_cannot_read_is_served_all_the_same(
    events: list[AuthEvent], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bearerwatch.observe import Watch

    def fail(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Watch, "open", fail)
    if server == "wsgi":
        seen = serve_wsgi(WatchedWsgi(plain_wsgi, start("hostile")), Request(), events)
    else:
        seen = serve_asgi(BearerwatchMiddleware(plain_asgi), Request(), events)
    assert (seen.status, seen.body, seen.raised) == (401, b"body", None)
    assert events == []
