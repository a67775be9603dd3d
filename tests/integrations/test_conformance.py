"""The same requests on every framework leave the same events."""

from __future__ import annotations

import gc
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from bearerwatch.context import live
from bearerwatch.event import Outcome
from fakes import b64, leaked
from fakes import opaque as random_token
from watched.policy import issue, opaque

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Case(NamedTuple):
    path: str
    status: int
    outcome: str
    reason: str | None = None
    auth: str | None = None
    query: str = ""
    route: str | None = "orders"
    heard: tuple[str | None, bool] | None = None
    """Reason and ``verified`` as PyJWT, by which the applications check, is heard."""


GOOD = opaque("alice")
CASES = {
    "success": Case("/orders/7", 200, "success", auth=f"Bearer {GOOD}"),
    "success-jwt": Case("/orders/7", 200, "success", auth=f"Bearer {issue()}", heard=(None, True)),
    "success-lower-case": Case("/orders/7", 200, "success", auth=f"bearer {GOOD}"),
    "success-spaces": Case("/orders/7", 200, "success", auth=f"Bearer   {GOOD}  "),
    "success-not-needed": Case("/public", 200, "success", auth=f"Bearer {GOOD}", route="/public"),
    "anonymous": Case("/public", 200, "anonymous", route="/public"),
    "anonymous-no-route": Case("/nowhere", 404, "anonymous", route=None),
    "anonymous-no-route-token": Case("/nowhere", 404, "anonymous", "no_route", auth=f"Bearer {GOOD}", route=None),
    "anonymous-basic": Case("/public", 200, "anonymous", auth="Basic dXNlcjpwYXNzd29yZA==", route="/public"),
    "ignored": Case("/public", 200, "anonymous", "token_ignored", auth="Bearer a b", route="/public"),
    "missing": Case("/orders/7", 401, "missing"),
    "missing-basic": Case("/orders/7", 401, "missing", "wrong_scheme", auth="Basic dXNlcjpwYXNzd29yZA=="),
    "missing-made-up": Case("/orders/7", 401, "missing", "wrong_scheme", auth=f"Sesame {random_token()}"),
    "malformed-empty": Case("/orders/7", 401, "malformed", "empty_token", auth="Bearer"),
    "malformed-empty-space": Case("/orders/7", 401, "malformed", "empty_token", auth="Bearer "),
    "malformed-words": Case("/orders/7", 401, "malformed", "bad_characters", auth="Bearer open sesame please"),
    "malformed-quotes": Case("/orders/7", 401, "malformed", "bad_characters", auth=f'Bearer "{random_token()}"'),
    "malformed-latin": Case("/orders/7", 401, "malformed", "bad_characters", auth=f"Bearer p\xe4ss{random_token()}"),
    "malformed-two-dots": Case("/orders/7", 401, "malformed", "not_jwt", auth=f"Bearer {random_token()}.e30.x"),
    "malformed-header": Case("/orders/7", 401, "malformed", "not_jwt", auth=f"Bearer {b64(b'{cut sh')}.e30.x"),
    "malformed-cut": Case("/orders/7", 401, "malformed", "not_jwt", auth=f"Bearer {issue()[:30]}"),
    "malformed-long": Case("/orders/7", 401, "malformed", "too_long", auth=f"Bearer {'x' * 20_000}"),
    "expired": Case("/orders/7", 401, "expired", "past_exp", f"Bearer {issue(lasts=-60)}", heard=("past_exp", True)),
    "invalid": Case("/orders/7", 401, "invalid", auth=f"Bearer {random_token()}"),
    "invalid-signature": Case(
        "/orders/7", 401, "invalid", auth=f"Bearer {issue(key=b'another key' * 4)}", heard=("bad_signature", False)
    ),
    "invalid-alg-none": Case("/orders/7", 401, "invalid", "alg_none", auth=f"Bearer {issue(algorithm='none')}"),
    "invalid-schemeless": Case("/orders/7", 401, "invalid", "wrong_scheme", auth=issue()),
    "revoked": Case("/orders/7", 401, "revoked", auth=f"Bearer {opaque('mallory')}"),
    "forbidden": Case("/orders/x1", 403, "forbidden", auth=f"Bearer {GOOD}"),
    "insufficient-scope": Case("/admin", 403, "insufficient_scope", auth=f"Bearer {GOOD}", route="/admin"),
    "throttled": Case("/limited", 429, "throttled", auth=f"Bearer {GOOD}", route="/limited"),
    "throttled-anonymous": Case("/limited", 429, "throttled", route="/limited"),
    "error": Case("/broken", 503, "error", auth=f"Bearer {GOOD}", route="/broken"),
    "query": Case("/orders/7", 200, "success", "query_token", query=f"a=b&access_token={GOOD}"),
    "query-encoded": Case("/orders/7", 200, "success", "query_token", query=f"access_token={GOOD.replace('a', '%61')}"),
    "query-invalid": Case("/orders/7", 401, "invalid", "query_token", query=f"access_token={random_token()}"),
    "query-other": Case("/orders/7", 401, "missing", query=f"xaccess_token={random_token()}&access_token="),
    "two-places": Case(
        "/orders/7", 400, "malformed", "multiple_tokens", auth=f"Bearer {GOOD}", query=f"access_token={GOOD}"
    ),
    "empty-answer": Case("/empty", 204, "success", auth=f"Bearer {GOOD}", route="/empty"),
    "inner": Case("/inner/items/5", 200, "anonymous", route="items"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_one_request_leaves_one_event_which_says_what_happened(stack: Any, case: Case) -> None:
    headers = [("User-Agent", "test/1"), ("traceparent", f"00-{TRACE}-{SPAN}-01")]
    if case.auth is not None:
        headers.append(("Authorization", case.auth))
    before = datetime.now(UTC)
    seen, event = stack.one(case.path, query=case.query, headers=headers)
    assert (seen.status, seen.raised) == (case.status, None)
    reason, verified = case.heard or (case.reason, False)
    assert (event.outcome, event.reason, event.status) == (Outcome(case.outcome), reason, case.status)
    assert event.route == stack.templates.get(case.route or "", case.route)
    assert (event.method, event.path, event.user_agent) == ("GET", case.path, "test/1")
    assert (event.client_ip, event.peer_ip) == ("192.0.2.9", "192.0.2.9")
    assert (event.trace_id, event.parent_request_id) == (None, None)  # a stranger chooses no ids
    assert before - timedelta(seconds=1) < event.ts <= datetime.now(UTC)
    assert event.duration_us is not None
    assert 0 <= event.duration_us < 5_000_000
    assert event.verified is verified
    # the answer names its event, which was there before the body was
    assert seen.headers["x-request-id"] == event.request_id
    assert len(event.event_id) == 36
    for step in ("body", "end"):
        if step in dict(seen.trail):
            assert seen.events_at(step) == len(stack.events)


@pytest.mark.parametrize(
    ("auth", "query", "scheme", "kind", "source"),
    [
        (f"Bearer {GOOD}", "", "bearer", "opaque", "header"),
        (f"Bearer {issue()}", "", "bearer", "jwt", "header"),
        (f"JWT {issue()}", "", "jwt", "jwt", "header"),
        (issue(), "", None, "jwt", "header"),
        ("Basic dXNlcjpwYXNzd29yZA==", "", "basic", None, "header"),
        (None, f"access_token={GOOD}", "bearer", "opaque", "query"),
        (None, "", None, None, None),
    ],
)
def test_how_the_token_came(
    stack: Any, auth: str | None, query: str, scheme: str, kind: str | None, source: str | None
) -> None:
    _, event = stack.one("/public", query=query, headers=[("Authorization", auth)] if auth else [])
    assert (event.scheme, event.token_kind, event.token_source) == (scheme, kind, source)
    assert (event.token_id is None) == (kind is None)


def test_what_the_jwt_says_of_itself_is_kept_but_for_its_subject(stack: Any) -> None:
    token = issue(sub="alice@example.org", iss="https://issuer.test", client_id="web", scope="orders:read a b")
    _, event = stack.one("/orders/7", headers=[("Authorization", f"Bearer {token}")])
    assert (event.issuer, event.client_id, event.scopes) == ("https://issuer.test", "web", "orders:read a b")
    assert event.expires_at is not None
    assert event.subject_id is not None
    assert event.subject_id.startswith("sub:k")
    assert "alice" not in repr(event)


def test_the_scope_that_was_missing_is_named(stack: Any) -> None:
    _, event = stack.one("/admin", headers=[("Authorization", f"Bearer {GOOD}")])
    assert event.required_scopes == "admin"


def test_the_challenges_may_stand_in_headers_of_their_own(stack: Any) -> None:
    """RFC 9110 §11.6.1: a list, in one header or several."""
    if stack.name not in ("flask", "starlette", "fastapi"):
        pytest.skip("Django holds one header of a name")
    two = [("www-authenticate", 'Basic realm="x"'), ("www-authenticate", 'Bearer error="insufficient_scope"')]

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        start_response("403 Forbidden", [*two, ("Content-Length", "0")])
        return [b""]

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        headers = [(name.encode(), value.encode()) for name, value in two]
        await send({"type": "http.response.start", "status": 403, "headers": [*headers, (b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    if stack.name == "flask":
        stack.app.wsgi_app._app = wsgi
    else:
        stack.app.middleware_stack = stack.app.build_middleware_stack()
        watched = stack.app.middleware_stack
        while type(watched).__name__ != "BearerwatchMiddleware":
            watched = watched.app
        watched.app = asgi
    _, event = stack.one("/x", headers=[("Authorization", f"Bearer {GOOD}")])
    assert event.outcome is Outcome.INSUFFICIENT_SCOPE


def test_two_authorization_headers_are_two_tokens(stack: Any, caplog: pytest.LogCaptureFixture) -> None:
    first, second = random_token(), random_token()
    seen, event = stack.one(
        "/orders/7", headers=[("Authorization", f"Bearer {first}"), ("Authorization", f"Bearer {second}")]
    )
    assert seen.status == 401
    assert (event.outcome, event.reason) == (Outcome.MALFORMED, "multiple_tokens")


def test_a_view_that_raises_leaves_an_error(stack: Any) -> None:
    seen, event = stack.one("/boom", headers=[("Authorization", f"Bearer {GOOD}")])
    assert (event.outcome, event.status, event.route) == (Outcome.ERROR, 500, "/boom")
    assert event.reason in ("exception", None)
    assert seen.status == 500


def test_head_is_an_ordinary_request(stack: Any) -> None:
    seen, event = stack.one("/public", method="HEAD")
    assert (seen.status, event.method, event.outcome) == (200, "HEAD", Outcome.ANONYMOUS)
    assert event.route == "/public"
    assert seen.headers["x-request-id"] == event.request_id


def test_a_method_that_is_not_allowed_is_not_let_in(stack: Any) -> None:
    _, event = stack.one("/orders/7", method="DELETE", headers=[("Authorization", f"Bearer {random_token()}")])
    assert event.method == "DELETE"


def test_the_end_of_a_stream_comes_after_its_event(stack: Any) -> None:
    seen, event = stack.one("/stream", headers=[("Authorization", f"Bearer {GOOD}")])
    assert seen.body == b"one two three"
    assert (event.outcome, event.status, event.route) == (Outcome.SUCCESS, 200, "/stream")
    assert seen.events_at("body") == 0
    assert seen.events_at("end") == 1
    assert seen.headers["x-request-id"] == event.request_id


def test_a_body_whose_length_is_known_comes_after_its_event(stack: Any) -> None:
    seen, event = stack.one("/stream/sized", headers=[("Authorization", f"Bearer {GOOD}")])
    assert seen.body == b"one two three"
    assert event.outcome is Outcome.SUCCESS
    assert seen.events_at("body") == 1


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_stream_that_breaks_leaves_one_event_that_says_so(stack: Any) -> None:
    seen, event = stack.one("/stream/fails", headers=[("Authorization", f"Bearer {GOOD}")])
    assert seen.body == b"one two "
    assert (event.status, event.reason) == (200, "exception")
    gc.collect()  # Django leaves the request's body file open then, and says so


@pytest.mark.parametrize("path", ["/stream", "/stream/sized"])
def test_a_client_that_leaves_mid_stream_leaves_one_event(stack: Any, path: str) -> None:
    _, event = stack.one(path, leaves_after=1, headers=[("Authorization", f"Bearer {GOOD}")])
    assert (event.outcome, event.status, event.route) == (Outcome.SUCCESS, 200, path)


def test_a_token_is_live_while_its_request_is_and_no_longer(
    stack: Any, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """An opaque token that no pattern could tell is kept out of the application's own log."""
    token = opaque("alice").replace("a", "g")
    handler = logging.StreamHandler()
    logging.getLogger("orders").addHandler(handler)
    try:
        _, event = stack.one("/logs", headers=[("Authorization", f"Bearer {token}")])
    finally:
        logging.getLogger("orders").removeHandler(handler)
    said = capsys.readouterr().err
    assert f"presented: [token {event.token_id}]" in said
    assert not leaked(token, said, caplog.text)
    assert live.values() == ()


def test_requests_are_told_apart(stack: Any) -> None:
    for _ in range(20):
        stack.one()
    assert len({event.event_id for event in stack.events}) == 20
    assert len({event.request_id for event in stack.events}) == 20
    assert [event.event_id for event in stack.events] == sorted(
        (event.event_id for event in stack.events), key=lambda text: text[:13]
    )


@pytest.mark.parametrize("path", ["/nowhere/%e6%97%a5%e6%9c%ac", "/nowhere/caf%c3%a9"])
def test_a_path_is_utf_8(stack: Any, path: str) -> None:
    _, event = stack.one(path)
    assert event.path in ("/nowhere/日本", "/nowhere/café")


def test_broken_utf_8_in_a_path_is_survived(stack: Any) -> None:
    _, event = stack.one("/nowhere/%ff%fe%00%1b[31m")
    assert event.path is not None
    assert event.path.startswith("/nowhere/")


def test_a_request_id_of_a_stranger_is_not_taken(stack: Any) -> None:
    seen, event = stack.one(headers=[("X-Request-ID", "chosen-by-client")])
    assert event.request_id != "chosen-by-client"
    assert re.fullmatch(r"[0-9a-f-]{36}", seen.headers["x-request-id"])


@pytest.mark.parametrize("name", ["flask", "django-sync", "django-async", "starlette", "fastapi"])
def test_a_trusted_proxy_is_believed(build: Any, name: str) -> None:
    stack = build(name, trusted_proxies="192.0.2.0/24")
    seen, event = stack.one(
        headers=[
            ("X-Request-ID", "of-the-proxy-1"),
            ("X-Forwarded-For", "198.51.100.1, 203.0.113.5"),
            ("X-Forwarded-For", "192.0.2.77"),
            ("traceparent", f"00-{TRACE}-{SPAN}-01"),
        ]
    )
    assert seen.headers["x-request-id"] == event.request_id == "of-the-proxy-1"
    assert (event.trace_id, event.parent_request_id) == (TRACE, SPAN)
    assert (event.client_ip, event.peer_ip) == ("203.0.113.5", "192.0.2.9")
    seen, event = stack.one(headers=[("X-Request-ID", "not ok\x1b")])
    assert seen.headers["x-request-id"] == event.request_id != "not ok\x1b"


@pytest.mark.parametrize("name", ["flask", "django-sync", "django-async", "starlette", "fastapi"])
def test_of_two_ids_neither_is_taken(build: Any, name: str) -> None:
    """Nor of two headers with the same: W3C Trace Context §3.2, and which of two proxies is to be believed?"""
    stack = build(name, trusted_proxies="192.0.2.0/24")
    once = [("X-Request-ID", "of-the-proxy-1"), ("traceparent", f"00-{TRACE}-{SPAN}-01")]
    for twice in (once * 2, [*once, ("X-Request-ID", "of-another-1"), ("traceparent", f"00-{SPAN * 2}-{SPAN}-01")]):
        _, event = stack.one(headers=twice)
        assert (event.request_id, event.trace_id, event.parent_request_id) == (event.event_id, None, None)


def test_a_peer_without_an_address_is_no_error(stack: Any) -> None:
    """As behind a Unix socket."""
    _, event = stack.one(peer=None, headers=[("X-Forwarded-For", "203.0.113.5")])
    assert (event.client_ip, event.peer_ip) == (None, None)


def test_watched_twice_is_watched_once(stack: Any, build: Any) -> None:
    if stack.name == "flask":
        from bearerwatch.flask import Bearerwatch, WatchedWsgi

        Bearerwatch().init_app(stack.app)
        inner = stack.app.wsgi_app
        stack.app.wsgi_app = WatchedWsgi(inner, inner._watch)
    elif stack.name in ("starlette", "fastapi"):
        from bearerwatch.asgi import BearerwatchMiddleware

        stack.app.add_middleware(BearerwatchMiddleware)
    else:
        stack.app.load_middleware(is_async=stack.name == "django-async")
    stack.one()
