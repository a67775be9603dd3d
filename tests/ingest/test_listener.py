"""The HTTP server: connections that send nothing, or next to nothing, keep nobody else out."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from bearerwatch.ingest.listener import Listener

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n"


async def app(_scope: Any, receive: Any, send: Any) -> None:
    """Answers once the whole body is there."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def hasty(_scope: Any, _receive: Any, send: Any) -> None:
    """Answers without looking at the body, as one does without a key."""
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@pytest.fixture
def address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr("bearerwatch.ingest.listener._HEAD_SECONDS", 0.3)
    listener = Listener(getattr(request, "param", app), "127.0.0.1", 0)
    listener.start()
    yield listener.address
    listener.stop()


def ask(address: tuple[str, int]) -> int:
    with closing(http.client.HTTPConnection(*address, timeout=5)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status


def trickle(client: socket.socket, data: bytes, every: float = 0.02) -> float:
    """Send *data* byte by byte until the other side has had enough; how long that took, in seconds."""
    began = time.monotonic()
    try:
        for byte in data:
            client.sendall(bytes([byte]))
            time.sleep(every)
    except OSError:
        return time.monotonic() - began
    pytest.fail("it was listened to all along")


def test_silent_connections_shut_nobody_out(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        for _ in range(130):
            stack.enter_context(socket.create_connection(address, timeout=5))
        assert ask(address) == 503
        deadline = time.monotonic() + 3
        while ask(address) != 204:
            assert time.monotonic() < deadline, "the silent ones have all the places"
            time.sleep(0.05)


def test_a_head_that_comes_byte_by_byte(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as client:
        assert trickle(client, b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 200) < 2


def test_the_second_head_has_no_more_time_than_the_first(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"204" in client.recv(1_000)
        assert trickle(client, b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 200) < 2


@pytest.mark.parametrize("address", [hasty], indirect=True)
def test_a_body_nobody_wants_keeps_no_connection(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(HEAD.replace(b"8", b"800"))
        assert b"401" in client.recv(1_000)
        assert trickle(client, b"x" * 400) < 2


def test_a_slow_body_has_its_time(address: tuple[str, int]) -> None:
    """The time for a body is another matter: the head was there."""
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(HEAD)
        for _ in range(8):
            time.sleep(0.1)
            client.sendall(b"x")
        assert b"204" in client.recv(1_000)
        client.sendall(HEAD + b"x" * 8)
        assert b"204" in client.recv(1_000)


def test_requests_sent_all_at_once(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as client:
        client.sendall((HEAD + b"x" * 8) * 3 + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while data := client.recv(10_000):
            got += data
        assert got.count(b"204") == 4
