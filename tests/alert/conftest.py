"""A real HTTP receiver whose answers are scripted, and notices to send it."""

from __future__ import annotations

import json
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from bearerwatch.alert.notice import Notice

# Apprise imports the library of each of its plugins, one of which is dated: it does so here, once, unheard.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import apprise.utils.pgp  # noqa: F401

START = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


class Got(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Answers with the statuses of *script*, one a request, and 204 once they are used up."""

    def __init__(self, script: tuple[int, ...] = (), *, delay: float = 0.0, drip: bool = False) -> None:
        self.got: list[Got] = []
        self.script = list(script)
        self.headers: dict[str, str] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if drip:
                    self._drip()
                    return
                status = receiver.script.pop(0) if receiver.script else 204
                receiver.got.append(Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                time.sleep(delay)
                try:
                    self.send_response(status)
                    for name, value in receiver.headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except OSError:
                    pass

            def _drip(self) -> None:
                try:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    for _ in range(200):
                        self.wfile.write(b"x-slow: 1\r\n")
                        time.sleep(0.05)
                except OSError:
                    pass

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def wait(self, count: int, timeout: float = 5.0) -> list[Got]:
        """The requests, once there are *count*."""
        end = time.monotonic() + timeout
        while len(self.got) < count and time.monotonic() < end:
            time.sleep(0.01)
        assert len(self.got) >= count, f"{len(self.got)} of {count} requests arrived"
        return self.got

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def make(*script: int, **options: Any) -> Receiver:
        made.append(Receiver(script, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port where nobody listens: bound, so that nobody else takes it either."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def make_episode(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "id": "0123456789abcdef0123456789abcdef",
        "rule": "token_guessing",
        "rule_version": 1,
        "title": "Many distinct invalid tokens from one address",
        "level": "high",
        "key": {"client_ip": "203.0.113.7"},
        "first_hit": START,
        "last_hit": START + timedelta(seconds=12, milliseconds=500),
        "opened_at": START + timedelta(seconds=13),
        "closed_at": None,
        "peak": 24,
        "hits": 15,
        "superseded_by": None,
        "evidence": {
            "services": {"shop": 20, "billing": 30},
            "routes": ["/orders/{id}"],
            "addresses": ["203.0.113.7"],
            "token_ids": ["k1a2b3c4d:" + "0" * 31 + "1"],
            "outcomes": {"invalid": 24},
            "event_ids": ["0198c0de-0000-7000-8000-000000000001"],
        },
    }
    return SimpleNamespace(**(values | changes))


@pytest.fixture
def episode() -> Callable[..., Any]:
    return make_episode


@pytest.fixture
def notice() -> Callable[..., Notice]:
    def make(transition: Any = "opened", *, advice: str = "", **changes: Any) -> Notice:
        return Notice.of(transition, make_episode(**changes), advice=advice)

    return make
