"""Introspection against a real server on loopback that misbehaves on demand, for threads and for coroutines alike."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

import fakes
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import REASONS, Outcome
from bearerwatch.fingerprint import fingerprint
from bearerwatch.verify._asked import Asked as AskedOf
from bearerwatch.verify.guard import Guard
from bearerwatch.verify.introspection import (
    BearerToken,
    ClientSecretBasic,
    ClientSecretPost,
    Introspection,
    PrivateKeyJwt,
)
from bearerwatch.verify.verdict import Verdict
from verify.introspected import ACTIVE, Clock, Server, http

UNAVAILABLE = (Outcome.ERROR, "introspection_unavailable")


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


Ask = Callable[..., Any]


@pytest.fixture(params=["threads", "coroutines"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Asks about one token, or about several at once: the same of both kinds."""
    used: list[Introspection] = []
    if request.param == "threads":

        def now(introspection: Introspection, *tokens: str) -> Any:
            used.append(introspection)
            if len(tokens) == 1:
                return introspection(tokens[0])
            with ThreadPoolExecutor(64) as pool:
                return list(pool.map(introspection, tokens))

        yield now
        for introspection in used:
            introspection.close()
        return
    with asyncio.Runner() as runner:

        async def all_of(introspection: Introspection, tokens: tuple[str, ...]) -> list[Verdict]:
            return await asyncio.gather(*map(introspection.averify, tokens))

        def later(introspection: Introspection, *tokens: str) -> Any:
            used.append(introspection)
            found = runner.run(all_of(introspection, tokens))
            return found[0] if len(tokens) == 1 else found

        yield later
        for introspection in used:
            runner.run(introspection.aclose())


SECRET = "open-sesame/+"


def make(server: Server, **changes: Any) -> Introspection:
    values: dict[str, Any] = {"auth": ClientSecretBasic("orders", SECRET), "audience": "orders", "seconds": 2}
    return Introspection(server.url, **(values | changes))


def said(verdict: Verdict) -> tuple[Outcome, str | None]:
    assert verdict.reason is None or verdict.reason in REASONS
    return verdict.outcome, verdict.reason


def test_a_good_token_is_good_and_asked_about_once(server: Server, ask: Ask, clock: Clock) -> None:
    server.answer = ACTIVE | {"exp": clock.now + 600, "iss": "https://login.example.org", "jti": "7"}
    introspection = make(server, issuer="https://login.example.org", clock=clock)
    token = fakes.opaque()
    for _ in range(3):
        verdict = ask(introspection, token)
        assert said(verdict) == (Outcome.SUCCESS, None)
    assert (verdict.subject, verdict.client_id, verdict.scopes) == ("u-1", "web", ("read", "list"))
    assert (verdict.verified, verdict.expires_at, verdict.issuer) == (
        True,
        int(clock.now + 600),
        "https://login.example.org",
    )
    assert verdict.claims["jti"] == "7"
    [asked] = server.asked
    assert asked.line == "POST /introspect HTTP/1.1"
    assert asked.form == {"token": token, "token_type_hint": "access_token"}
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "empty_token"),
        ("a token", "bad_characters"),
        ("käse-und-brot-ohne-ende", "bad_characters"),
        ("\ud800" * 20, "bad_characters"),
        ("a\r\nX: y", "bad_characters"),
        ("=aaaaaaaaaaaaaaaa", "bad_characters"),
        ("x" * 20_000, "too_long"),
    ],
)
def test_what_cannot_be_a_token_asks_nobody(server: Server, ask: Ask, token: str, reason: str) -> None:
    assert said(ask(make(server), token)) == (Outcome.MALFORMED, reason)
    assert server.asked == []


@pytest.mark.parametrize(
    ("changes", "outcome", "reason"),
    [
        ({"active": False}, Outcome.INVALID, "inactive"),
        ({"aud": "billing"}, Outcome.INVALID, "wrong_audience"),
        ({"aud": ["billing", "orders"]}, Outcome.SUCCESS, None),
        ({"aud": None}, Outcome.INVALID, "missing_claim"),
        ({"iss": "https://evil.example.org"}, Outcome.INVALID, "wrong_issuer"),
        ({"iss": None}, Outcome.INVALID, "missing_claim"),
        ({"exp": Clock.now - 1}, Outcome.EXPIRED, "past_exp"),
        ({"exp": Clock.now + 0.5}, Outcome.SUCCESS, None),
        ({"nbf": Clock.now + 3600}, Outcome.INVALID, "not_yet_valid"),
        ({"exp": str(int(Clock.now + 99))}, Outcome.INVALID, "bad_claim"),
        ({"exp": True}, Outcome.INVALID, "bad_claim"),
        ({"scope": {"read": 1}}, Outcome.INVALID, "bad_claim"),
        ({"sub": ["u-1"]}, Outcome.INVALID, "bad_claim"),
        ({"aud": [1]}, Outcome.INVALID, "bad_claim"),
        ({"token_type": "refresh_token"}, Outcome.INVALID, "wrong_type"),
        ({"typ": "Refresh"}, Outcome.INVALID, "wrong_type"),
        ({"token_use": "id"}, Outcome.INVALID, "wrong_type"),
        ({"token_type": "Bearer"}, Outcome.SUCCESS, None),
        ({"tenant": None}, Outcome.INVALID, "missing_claim"),
    ],
)
def test_what_the_server_says_is_checked(
    server: Server, ask: Ask, clock: Clock, changes: dict[str, Any], outcome: Outcome, reason: str | None
) -> None:
    answer = ACTIVE | {"iss": "https://login.example.org", "tenant": "t"} | changes
    server.answer = {name: value for name, value in answer.items() if value is not None}
    introspection = make(server, issuer="https://login.example.org", required=("tenant",), clock=clock)
    assert said(ask(introspection, fakes.opaque())) == (outcome, reason)


GARBAGE: dict[str, Any] = {
    "500": [http(b"{}", "500 Internal Server Error")],
    "401": [http(b'{"error":"invalid_client"}', "401 Unauthorized")],
    "400": [http(b'{"active":true}', "400 Bad Request")],
    "204": [b"HTTP/1.1 204 No Content\r\n\r\n"],
    "html": [http(b"<html>", Content_Type="text/html")],
    "no type": [http(b'{"active":true}', Content_Type="")],
    "signed": [http(b"e30.e30.", Content_Type="application/token-introspection+jwt")],
    "redirect": [http(b"", "307 Temporary Redirect", Location="/introspect?again")],
    "active is a word": [http(b'{"active":"true"}')],
    "active is 1": [http(b'{"active":1}')],
    "active is missing": [http(b'{"sub":"u-1"}')],
    "active twice": [http(b'{"active":false,"active":true}')],
    "a list": [http(b'[{"active":true}]')],
    "half": [http(b'{"active":true', Content_Length="500")],
    "not utf-8": [http(b'{"active":true,"sub":"\xff"}')],
    "deep": [http(b'{"active":true,"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}")],
    "infinity": [http(b'{"active":true,"exp":Infinity}')],
    "compressed": [http(b"\x1f\x8b\x08", Content_Encoding="gzip")],
    "no http": [b"SSH-2.0-x\r\n"],
    "header without end": [b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 300_000],
    "nothing": [],
    "reset": None,
    "length is no number": [http(b'{"active":true}', Content_Length="1e9")],
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_what_is_no_answer_lets_nobody_in(
    server: Server, ask: Ask, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    server.answer = (lambda _: None) if GARBAGE[kind] is None else GARBAGE[kind]
    token = fakes.opaque()
    verdict = ask(make(server), token)
    assert said(verdict) == UNAVAILABLE
    assert verdict.retry_after is not None
    heard = capfd.readouterr().err
    assert heard.count("gave no answer of use") == 1
    assert not fakes.leaked(token, heard)
    assert SECRET not in heard
    assert len(server.asked) <= 2  # once more at most, where a kept connection may have been hung up on


@pytest.mark.parametrize("length", ["", "100000000"])
def test_a_hundred_megabytes_are_not_read(server: Server, ask: Ask, length: str) -> None:
    piece = b" " * 1_000_000
    server.answer = [http(b"", Content_Length=length), *[piece] * 100]
    assert said(ask(make(server), fakes.opaque())) == UNAVAILABLE
    time.sleep(0.05)
    assert server.sent < 20_000_000  # what the sockets between us hold


@pytest.mark.parametrize("part", ["head", "body", "chunks", "never"])
def test_a_byte_now_and_then_does_not_hold_a_request_up(server: Server, ask: Ask, part: str) -> None:
    body = b'{"active":true,"aud":"orders"}'
    slow = [item for byte in http(body) for item in (bytes([byte]), 0.05)]
    chunked = http(b"", Content_Length="", Transfer_Encoding="chunked")
    server.answer = {
        "head": slow,
        "body": [http(body)[: -len(body)], *slow[-2 * len(body) :]],
        "chunks": [chunked, *[b"1\r\n \r\n", 0.05] * 100],
        "never": [60.0],
    }[part]
    introspection = make(server, seconds=0.4)
    began = time.monotonic()
    assert said(ask(introspection, fakes.opaque())) == UNAVAILABLE
    assert 0.3 < time.monotonic() - began < 1.5


def test_a_thousand_requests_of_one_token_are_one_question(server: Server, ask: Ask) -> None:
    server.answer = lambda _: [0.3, http(json.dumps(ACTIVE).encode())]
    introspection = make(server, seconds=10)
    verdicts = ask(introspection, *[fakes.opaque()] * 1000)
    assert {said(verdict) for verdict in verdicts} == {(Outcome.SUCCESS, None)}
    assert (len(server.asked), introspection.asked) == (1, 1)


def test_who_comes_when_the_answer_has_just_been_there_does_not_ask_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    introspection = make(server)
    token, first = fakes.opaque(), introspection._first

    def late(*passed: Any) -> Any:
        monkeypatch.setattr(introspection, "_first", first)
        assert introspection(token).accepted  # by another thread, between our two looks
        return first(*passed)

    monkeypatch.setattr(introspection, "_first", late)
    assert introspection(token).accepted
    assert introspection.asked == 1
    introspection.close()


def test_who_waits_asks_anew_when_the_one_who_asked_has_left(server: Server) -> None:
    async def both() -> Verdict:
        introspection = make(server)
        token = fakes.opaque()
        first = asyncio.ensure_future(introspection.averify(token))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(introspection.averify(token))
        await asyncio.sleep(0.05)
        server.answer = ACTIVE
        first.cancel()
        verdict = await second
        await introspection.aclose()
        return verdict

    server.answer = [60.0]
    assert said(asyncio.run(both())) == (Outcome.SUCCESS, None)


def test_an_answer_is_kept_for_so_long_and_never_past_exp(server: Server, ask: Ask, clock: Clock) -> None:
    server.answer = ACTIVE | {"exp": clock.now + 20}
    introspection = make(server, ttl=8, inactive_ttl=2, clock=clock, monotonic=clock)
    good, bad = fakes.opaque(), fakes.opaque()
    assert ask(introspection, good).accepted
    clock.now += 7
    assert ask(introspection, good).accepted
    assert introspection.asked == 1
    clock.now += 2
    assert ask(introspection, good).accepted
    assert introspection.asked == 2
    clock.now += 7
    server.answer = {"active": False}
    assert ask(introspection, good).accepted  # the second answer is 7 seconds old
    clock.now += 4
    assert said(ask(introspection, good)) == (Outcome.EXPIRED, "past_exp")  # kept, but past exp
    assert introspection.asked == 2
    assert said(ask(introspection, bad)) == (Outcome.INVALID, "inactive")
    assert said(ask(introspection, bad)) == (Outcome.INVALID, "inactive")
    assert introspection.asked == 3
    clock.now += 3
    server.answer = ACTIVE
    assert ask(introspection, bad).accepted
    introspection.forget()
    server.answer = {"active": False}
    assert not ask(introspection, bad).accepted


def test_a_changed_signature_is_another_token(server: Server, ask: Ask) -> None:
    token = fakes.jwt()
    head, _, _ = token.rpartition(".")
    introspection = make(server)
    assert ask(introspection, token).accepted
    server.answer = {"active": False}
    assert said(ask(introspection, f"{head}.{fakes.b64(b'another signature')}")) == (Outcome.INVALID, "inactive")


def test_made_up_tokens_push_no_good_one_out_and_take_no_more_room(server: Server) -> None:
    introspection = make(server, size=16)
    good = [fakes.opaque() for _ in range(8)]
    assert all(introspection(token).accepted for token in good)
    server.answer = {"active": False}
    for _ in range(60):
        introspection(fakes.opaque())
    asked = introspection.asked
    assert all(introspection(token).accepted for token in good)
    assert introspection.asked == asked
    assert len(introspection._remembered.refused) <= 16
    introspection.close()


def test_a_server_that_fails_is_left_in_peace_and_tried_again(
    server: Server, ask: Ask, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    server.answer = GARBAGE["500"]
    introspection = make(server, fail_after=3, pause=5, monotonic=clock, clock=clock)
    for _ in range(3):
        assert said(ask(introspection, fakes.opaque())) == UNAVAILABLE
    verdict = ask(introspection, fakes.opaque())
    assert said(verdict) == UNAVAILABLE
    assert verdict.retry_after == 5
    assert introspection.asked == 3
    clock.now += 5.1  # one is let through, and fails: twice the pause
    assert said(ask(introspection, fakes.opaque())) == UNAVAILABLE
    assert introspection.asked == 4
    assert ask(introspection, fakes.opaque()).retry_after == 10
    assert introspection.asked == 4
    clock.now += 10.1
    server.answer = ACTIVE
    assert ask(introspection, fakes.opaque()).accepted
    assert ask(introspection, fakes.opaque()).accepted
    assert introspection.asked == 6
    heard = capfd.readouterr().err
    assert heard.count("is not asked for") == 2
    assert heard.count("answers again") == 1


def test_while_it_is_tried_again_one_asks_and_the_others_do_not_wait(server: Server, ask: Ask, clock: Clock) -> None:
    server.answer = GARBAGE["500"]
    introspection = make(server, fail_after=1, monotonic=clock)
    ask(introspection, fakes.opaque())
    clock.now += 6
    server.answer = lambda _: [0.3, http(json.dumps(ACTIVE).encode())]
    verdicts = ask(introspection, *(fakes.opaque() for _ in range(20)))
    assert sorted(verdict.accepted for verdict in verdicts) == [False] * 19 + [True]
    assert introspection.asked == 2


def test_one_token_the_server_does_not_like_says_nothing_against_the_server(server: Server, ask: Ask) -> None:
    server.answer = GARBAGE["400"]
    introspection = make(server, fail_after=2)
    for _ in range(4):
        assert said(ask(introspection, fakes.opaque())) == UNAVAILABLE
    assert introspection.asked == 4


def test_old_answers_serve_for_a_while_if_that_was_asked_for(server: Server, ask: Ask, clock: Clock) -> None:
    server.answer = ACTIVE | {"exp": clock.now + 60}
    introspection = make(server, ttl=10, stale_for=30, fail_after=1, clock=clock, monotonic=clock)
    strict = make(server, ttl=10, clock=clock, monotonic=clock)
    known, short = fakes.opaque(), fakes.opaque()
    assert ask(introspection, known).accepted
    assert ask(strict, known).accepted
    server.answer = ACTIVE | {"exp": clock.now + 15}
    assert ask(introspection, short).accepted
    server.answer = GARBAGE["500"]
    clock.now += 20
    assert ask(introspection, known).accepted
    assert ask(introspection, known).accepted  # the breaker is open
    assert said(ask(strict, known)) == UNAVAILABLE
    assert said(ask(introspection, short)) == (Outcome.EXPIRED, "past_exp")
    assert said(ask(introspection, fakes.opaque())) == UNAVAILABLE
    clock.now += 21
    assert said(ask(introspection, known)) == UNAVAILABLE


def test_a_connection_is_kept_and_one_that_was_hung_up_on_is_made_anew(ask: Ask) -> None:
    server = Server()
    introspection = make(server)
    assert ask(introspection, fakes.opaque()).accepted
    assert ask(introspection, fakes.opaque()).accepted
    assert (len(server.asked), len(server.connections)) == (2, 1)
    server.stop()
    again = Server(server.port)
    assert ask(introspection, fakes.opaque()).accepted
    assert len(again.asked) == 1
    again.stop()


def test_a_connection_that_is_hung_up_on_amid_a_question_is_made_anew(server: Server, ask: Ask) -> None:
    introspection = make(server)
    assert ask(introspection, fakes.opaque()).accepted
    server.answer = lambda _: None if len(server.asked) == 2 else ACTIVE
    assert ask(introspection, fakes.opaque()).accepted
    assert len(server.asked) == 3


def test_a_server_that_is_not_there(ask: Ask) -> None:
    url = f"http://127.0.0.1:{fakes.free_port()}/"
    introspection = Introspection(url, auth=BearerToken("of the service"), audience=None)
    assert said(ask(introspection, fakes.opaque())) == UNAVAILABLE


def test_how_the_service_shows_who_it_is(server: Server, ask: Ask) -> None:
    key = ECKey.generate_key("P-256", {"kid": "k7"}, private=True)
    signed = PrivateKeyJwt("orders", key, algorithm="ES256", audience="https://login.example.org")
    for auth in (
        ClientSecretBasic("orders", SECRET),
        ClientSecretPost("orders", SECRET),
        BearerToken(lambda: SECRET),
        signed,
    ):
        assert ask(make(server, auth=auth), fakes.opaque()).accepted
        assert SECRET not in repr(auth)
    basic, post, bearer, assertion = server.asked
    assert basic.headers["authorization"] == "Basic b3JkZXJzOm9wZW4tc2VzYW1lJTJGJTJC"
    assert (post.form["client_id"], post.form["client_secret"]) == ("orders", SECRET)
    assert bearer.headers["authorization"] == f"Bearer {SECRET}"
    decoded = jwt.decode(assertion.form["client_assertion"], key, algorithms=["ES256"])
    assert decoded.header["kid"] == "k7"
    assert (decoded.claims["iss"], decoded.claims["sub"], decoded.claims["aud"]) == (
        "orders",
        "orders",
        "https://login.example.org",
    )
    assert decoded.claims["exp"] - decoded.claims["iat"] == 60
    assert assertion.form["client_assertion_type"].endswith("jwt-bearer")
    with pytest.raises(ConfigurationError, match="cannot sign"):
        PrivateKeyJwt("orders", key, algorithm="RS256", audience="x")
    with pytest.raises(ConfigurationError, match="empty"):
        ClientSecretBasic("orders", "")


def test_nothing_that_is_logged_or_kept_has_the_token_or_the_secret(
    server: Server, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = fakes.opaque()
    server.answer = ACTIVE | {"token": token, "nested": [{"raw": f"Bearer {token}", "ok": 1}, token]}
    introspection = make(server)
    verdict = ask(introspection, token)
    assert verdict.accepted
    assert verdict.claims["nested"] == [{"ok": 1}]
    server.answer = GARBAGE["no http"]
    ask(introspection, other := fakes.opaque())
    records = "\n".join(f"{record.getMessage()} {record.__dict__!r}" for record in caplog.records)
    dumped = repr(introspection._remembered.__dict__) + repr(verdict.claims) + repr(introspection) + repr(verdict)
    for text in (records, dumped):
        assert not fakes.leaked(token, text)
        assert not fakes.leaked(other, text)
        assert SECRET not in text


@pytest.mark.parametrize(
    ("url", "changes", "says"),
    [
        ("http://login.example.org/introspect", {}, "https"),
        ("https://me:pass@login.example.org/", {}, "password"),
        ("login.example.org", {}, "https"),
        ("https://login.example.org", {"auth": None}, "auth"),
        ("https://login.example.org", {"audience": ""}, "audience"),
        ("https://login.example.org", {"audience": ()}, "audience"),
        ("https://login.example.org", {"leeway": 301}, "leeway"),
        ("https://login.example.org", {"ttl": -1}, "ttl"),
        ("https://login.example.org", {"seconds": 0}, "seconds"),
        ("https://login.example.org", {"stale_for": float("nan")}, "stale_for"),
    ],
)
def test_a_setting_that_will_not_do_is_named(url: str, changes: dict[str, Any], says: str) -> None:
    values: dict[str, Any] = {"auth": ClientSecretBasic("orders", SECRET), "audience": "orders"}
    with pytest.raises(ConfigurationError, match=says) as caught:
        Introspection(url, **(values | changes))
    assert "me:pass" not in str(caught.value)


def test_a_forked_child_has_connections_of_its_own(server: Server) -> None:
    introspection = make(server)
    known = fakes.opaque()
    assert introspection(known).accepted
    with introspection._lock, warnings.catch_warnings():  # as if another thread held it at that moment
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks beside threads
        child = os.fork()
    if child == 0:
        good = introspection(known).accepted and introspection(fakes.opaque()).accepted
        os._exit(0 if good and introspection.asked == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(server.connections) == 2
    assert introspection(fakes.opaque()).accepted  # on the parent's connection, which is still whole
    assert len(server.connections) == 2
    introspection.close()


def test_a_guard_takes_it_for_opaque_tokens(server: Server) -> None:
    introspection = make(server)
    token, withdrawn = fakes.opaque(), fakes.opaque()
    guard = Guard(opaque=introspection, revoked={fingerprint(withdrawn)})

    def admitted(one: str) -> tuple[Outcome, int]:
        asked = AskedOf(method="GET", url="https://orders.example.org/", authorization=(f"Bearer {one}",))
        admission = guard(asked)
        return admission.verdict.outcome, 200 if admission.answer is None else admission.answer.status

    assert admitted(token) == (Outcome.SUCCESS, 200)
    assert admitted(withdrawn) == (Outcome.REVOKED, 401)
    server.answer = ACTIVE | {"cnf": {"jkt": "a thumbprint"}}
    assert admitted(fakes.opaque()) == (Outcome.INVALID, 401)  # bound to a key, and no proof came with it
    server.answer = GARBAGE["500"]
    assert admitted(fakes.opaque()) == (Outcome.ERROR, 503)
    introspection.close()
