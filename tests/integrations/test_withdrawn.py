"""Withdrawn tokens are refused before any application sees them, on every framework, where the settings name a list."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import fakes
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.fingerprint import KeyRing, ring
from bearerwatch.integrations import _withdrawn
from bearerwatch.integrations._start import start
from bearerwatch.integrations._withdrawn import asgi
from bearerwatch.testing.events import capture_events
from bearerwatch.verify.revocations import Found, Ledger, Revocations, collector, file, open_ledger
from bearerwatch.verify.revocations._entry import revoke
from integrations.conftest import STACKS, Stack
from watched import fleet

KEY = "a fingerprint key for tests alone".replace(" ", "-")


@pytest.fixture(autouse=True)
def _own_lists(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made: list[Revocations] = []

    def revocations(*source: Any, **more: Any) -> Revocations:
        made.append(Revocations(*source, **more))
        return made[-1]

    monkeypatch.setattr(_withdrawn, "Revocations", revocations)
    yield
    for one in made:
        one.close()
    _withdrawn._revocations.cache_clear()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'revoked.jsonl'}"


@pytest.fixture
def ledger(url: str) -> Ledger:
    made = open_ledger(url)
    made.add([])
    (Path(url.removeprefix("file:"))).touch()
    return made


def withdraw(ledger: Ledger, token: str, key: str = KEY) -> None:
    ledger.add([revoke(KeyRing([key.encode()]).token_id(token), at=time.time())])


def bearer(token: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {token}")]


@pytest.fixture(params=STACKS)
def guarded(request: pytest.FixtureRequest, build: Callable[..., Stack], url: str, ledger: Ledger) -> Stack:
    if request.param.startswith("django"):
        from bearerwatch.integrations.django import forget_watch

        forget_watch()
    return build(request.param, revocations=url)


@pytest.mark.parametrize("make", [fakes.opaque, fakes.jwt])
def test_a_withdrawn_token_is_refused_and_its_event_says_so(guarded: Stack, ledger: Ledger, make: Any) -> None:
    token, other = make(), make()
    withdraw(ledger, token)
    seen, event = guarded.one("/public", headers=bearer(token))
    assert seen.status == 401
    headers = {name.lower(): value for name, value in dict(seen.headers).items()}
    assert headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(seen.body)["error"] == "invalid_token"
    assert headers["x-request-id"] == event.request_id
    assert (event.outcome, event.reason, event.status) == (Outcome.REVOKED, "blacklisted", 401)
    assert event.verified == (make is fakes.opaque)
    assert not fakes.leaked(token, seen.body, repr(seen.headers))
    seen, event = guarded.one("/public", headers=bearer(other))
    assert (seen.status, event.outcome) == (200, Outcome.SUCCESS)
    seen, event = guarded.one("/public")
    assert (seen.status, event.outcome) == (200, Outcome.ANONYMOUS)


def test_what_is_withdrawn_while_it_runs_is_refused_within_two_seconds(guarded: Stack, ledger: Ledger) -> None:
    token = fakes.opaque()
    assert guarded.one("/public", headers=bearer(token))[0].status == 200
    withdraw(ledger, token)
    began = time.monotonic()
    while guarded.one("/public", headers=bearer(token))[0].status != 401:
        assert time.monotonic() - began < 2
        time.sleep(0.05)


def test_there_is_no_way_round(guarded: Stack, ledger: Ledger) -> None:
    token = fakes.jwt()
    withdraw(ledger, token)
    head = token.rpartition(".")[0]
    ways: list[tuple[str, list[tuple[str, str]]]] = [
        ("", bearer(f"{head}.{fakes.b64(b'another signature')}")),
        ("", [("Authorization", f"bearer   {token} ")]),
        ("", [("Authorization", f"Token {token}")]),
        (f"access_token={token}", []),
        (f"access_token={token}", bearer(fakes.opaque())),
    ]
    for query, headers in ways:
        seen, event = guarded.one("/public", query=query, headers=headers)
        assert seen.status == 401
        assert event.outcome is Outcome.REVOKED
    seen, _ = guarded.one("/public", method="HEAD", headers=bearer(token))
    assert (seen.status, seen.body) == (401, b"")


def test_every_key_of_the_ring_counts(
    build: Callable[..., Stack], url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [KEY, "the key before it, for tests".replace(" ", "-"), "and the one before that too".replace(" ", "-")]
    keys = [key.replace(",", "") for key in keys]
    monkeypatch.setenv("BEARERWATCH_KEYS", ",".join(keys))
    stack = build("flask", revocations=url)
    tokens = [fakes.opaque() for _ in keys]
    for token, key in zip(tokens, keys, strict=True):
        withdraw(ledger, token, key)
    assert [stack.one("/public", headers=bearer(token))[0].status for token in tokens] == [401, 401, 401]


def test_a_lost_list_refuses_what_was_on_it_and_lets_the_rest_in(
    guarded: Stack, ledger: Ledger, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file.File, "every", 0.02)
    token = fakes.opaque()
    withdraw(ledger, token)
    assert guarded.one("/public", headers=bearer(token))[0].status == 401
    Path(url.removeprefix("file:")).unlink()
    time.sleep(0.1)
    assert guarded.one("/public", headers=bearer(token))[0].status == 401
    assert guarded.one("/public", headers=bearer(fakes.opaque()))[0].status == 200


async def _websocket(app: Any, token: str, extension: bool) -> list[dict[str, Any]]:
    scope = {
        "type": "websocket",
        "path": "/",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
        "query_string": b"",
        "extensions": {"websocket.http.response": {}} if extension else {},
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("extension", [True, False])
def test_a_websocket_is_refused_before_it_is_accepted(url: str, ledger: Ledger, extension: bool) -> None:
    from bearerwatch.asgi import BearerwatchMiddleware

    async def app(scope: Any, receive: Any, send: Any) -> None:
        pytest.fail("the application was asked")

    token = fakes.opaque()
    with capture_events() as events:
        watched = BearerwatchMiddleware(app, revocations=url)
        ledger.add([revoke(ring().token_id(token), at=time.time())])
        sent = asyncio.run(_websocket(watched, token, extension))
    assert sent[0]["type"] == ("websocket.http.response.start" if extension else "websocket.close")
    [event] = events
    assert (event.outcome, event.reason) == (Outcome.REVOKED, "blacklisted")


def test_workers_that_are_forked_each_keep_their_own(
    tmp_path: Path, url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application is loaded and gunicorn forks then: a thread of the parent would be in no worker."""
    monkeypatch.setitem(fleet.SERVERS, "preloaded", [*fleet.GUNICORN, "--preload", "watched.flask_stack:build()"])
    monkeypatch.setenv("BEARERWATCH_REVOCATIONS", url)
    token = fakes.opaque()
    (tmp_path / "state").mkdir(mode=0o700)
    server = fleet.Server("preloaded", tmp_path / "state")
    try:
        server.ready()
        assert _statuses(server.port, token) == {200}
        withdraw(ledger, token, "the-key-of-these-servers-alone")
        began = time.monotonic()
        while _statuses(server.port, token) != {401}:
            assert time.monotonic() - began < 3  # two seconds, and a round of requests
    finally:
        server.stop()


def _statuses(port: int, token: str) -> set[int]:
    """Of twenty requests, each by a connection of its own: every worker has its share."""
    found = set()
    for _ in range(20):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/public", headers=dict(bearer(token)))
            with connection.getresponse() as answer:
                answer.read()
                found.add(answer.status)
    return found


def test_the_last_list_outlives_a_start_while_its_place_is_lost(
    build: Callable[..., Stack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARERWATCH_REVOCATIONS_KEY", fakes.opaque())
    url = f"collector+http://127.0.0.1:{fakes.free_port()}"
    token = fakes.opaque()
    found = Found({KeyRing([KEY.encode()]).token_id(token): time.time() + 60})
    with monkeypatch.context() as patched:
        patched.setattr(collector.Collector, "poll", lambda _self: found)
        assert build("flask", revocations=url).one(headers=bearer(token))[0].status == 401
    _withdrawn._revocations(url, tmp_path / "state").close()
    _withdrawn._revocations.cache_clear()  # another process
    stack = build("flask", revocations=url)
    assert stack.one(headers=bearer(token))[0].status == 401
    assert stack.one(headers=bearer(fakes.opaque()))[0].status == 200
    [kept] = (tmp_path / "state").glob("revoked-*.jsonl")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_place_that_is_none_is_said_at_the_start(build: Callable[..., Stack]) -> None:
    with pytest.raises(ConfigurationError, match="file:/path"):
        build("flask", revocations="nowhere")


def test_the_first_list_holds_no_event_loop_up(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A source that takes its time is waited for in a thread."""
    monkeypatch.setattr(file.File, "poll", lambda _self: time.sleep(0.3))
    others = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def both() -> None:
        nonlocal others
        watch = start("x", revocations=url)
        guarded = asgi(app, watch)
        scope: dict[str, Any] = {"type": "http", "bearerwatch": watch.open(_facts())}

        async def send(_message: Any) -> None:
            pass

        asked = asyncio.ensure_future(guarded(scope, send, send))  # type: ignore[arg-type]
        while not asked.done():
            others += 1
            await asyncio.sleep(0.01)
        await asked

    with capture_events():
        asyncio.run(both())
    assert others > 10


def _facts() -> Any:
    from bearerwatch.observe import Facts

    return Facts("GET", "/", "", "127.0.0.1", f"Bearer {fakes.opaque()}")


@pytest.mark.parametrize(
    ("settings", "unwanted"),
    [
        ("", ("bearerwatch.verify",)),
        ("revocations='file:/nowhere'", ("httpx2", "httpcore2", "joserfc", "redis", "sqlalchemy", "bearerwatch.store")),
    ],
)
def test_a_web_process_stays_light(settings: str, unwanted: tuple[str, ...]) -> None:
    """Without a list nothing of it is loaded, and with one no library."""
    code = (
        "import sys, flask; from bearerwatch.flask import Bearerwatch; app = flask.Flask('x');"
        f"Bearerwatch(app, {settings}); headers = {{'Authorization': 'Bearer ' + 'x' * 40}};"
        "app.test_client().get('/', headers=headers); print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    loaded = done.stdout.splitlines()
    assert "bearerwatch.flask" in loaded, done.stderr
    assert [name for name in loaded if name.startswith(unwanted)] == []
