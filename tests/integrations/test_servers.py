"""Real servers with two workers each: nothing is lost or doubled when workers are killed, and no token is logged."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from bearerwatch.event import AuthEvent
from fakes import leaked
from watched.fleet import TOKENS, Client, Server, Verdict, kill_rounds
from watched.policy import opaque

ROUNDS = 3
NAMES = ("gunicorn-flask", "uvicorn-fastapi")  # Django's are in the long run


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Every server, started at once."""
    folder: Path = tmp_path_factory.mktemp("fleet")
    servers = [Server(name, folder) for name in NAMES]
    try:
        for server in servers:
            server.ready()
        yield servers
    finally:
        threads = [threading.Thread(target=server.stop) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def check(server: Server, clients: list[Client]) -> None:
    verdict = Verdict(server, clients)
    assert verdict.holds(), vars(verdict)
    assert len(verdict.complete) > 20
    assert server.killed == ROUNDS
    assert {"success", "missing", "invalid", "throttled", "error", "anonymous"} <= set(verdict.outcomes)
    said = server.log.read_text(errors="replace")
    assert not [piece for token in TOKENS for piece in leaked(token, verdict.text, said)]


def test_one_event_a_request_while_workers_are_killed(fleet: list[Server]) -> None:
    """Every complete answer has its one event, a cut one none or one, none two, and no event lacks a request."""
    seen = kill_rounds(fleet, ROUNDS, seed=20_260_301)
    time.sleep(0.3)  # what clients left behind is still being served
    for server in fleet:
        check(server, seen[server.name])


def test_a_client_that_leaves_mid_stream_leaves_one_event(fleet: list[Server], spool_lines) -> None:
    for server in fleet:
        request_id = f"probe-leaves-{server.name}"
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
            client.sendall(
                f"GET /stream HTTP/1.1\r\nHost: x\r\nX-Request-ID: {request_id}\r\n"
                f"Authorization: Bearer {opaque('alice')}\r\n\r\n".encode()
            )
            client.recv(10)
        end = time.monotonic() + 5
        found: list[bytes] = []
        while not found and time.monotonic() < end:
            time.sleep(0.02)
            found = [line for line in spool_lines(server.spool) if request_id.encode() in line]
        assert len(found) == 1, server.name


def test_websockets_of_a_real_server(fleet: list[Server], spool_lines) -> None:
    (server,) = (server for server in fleet if server.name == "uvicorn-fastapi")
    url = f"ws://127.0.0.1:{server.port}/rooms/blue"
    token = {"Authorization": f"Bearer {opaque('alice')}"}
    with connect(url, additional_headers={"X-Request-ID": "probe-ws-accepted", **token}) as client:
        assert client.recv() == "welcome to blue"
        assert client.response is not None
        assert client.response.headers["X-Request-ID"] == "probe-ws-accepted"
    with (
        pytest.raises(InvalidStatus, match="403"),
        connect(url, additional_headers={"X-Request-ID": "probe-ws-refused"}),
    ):
        pass
    with connect(
        f"{url}?access_token={opaque('alice')}", additional_headers={"X-Request-ID": "probe-ws-query"}
    ) as client:
        client.recv()
    found = {}
    for line in spool_lines(server.spool):
        event = msgspec.json.decode(line, type=AuthEvent)
        if (event.request_id or "").startswith("probe-ws"):
            found[event.request_id] = (event.outcome, event.status, event.reason, event.route)
    assert found == {
        "probe-ws-accepted": ("success", 101, None, "/rooms/{room}"),
        "probe-ws-refused": ("missing", 403, None, "/rooms/{room}"),
        "probe-ws-query": ("success", 101, "query_token", "/rooms/{room}"),
    }
    assert not leaked(opaque("alice"), server.log.read_text())


def test_every_answer_names_its_event(fleet: list[Server]) -> None:
    """But the one that Starlette gives to an exception, from outside of every middleware that was added."""
    for server in fleet:
        for path in ("/public", "/orders/7", "/orders/x1", "/broken", "/stream", "/nowhere", "/boom"):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            connection.request("GET", path, headers={"X-Request-ID": "probe-of-a-test"})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if path != "/boom" or server.name != "uvicorn-fastapi":
                assert answer.headers["X-Request-ID"] == "probe-of-a-test", (server.name, path)
