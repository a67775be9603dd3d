from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import pytest

import fakes
from bearerwatch.cli.serve import address
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.fingerprint import KeyRing

Run = Callable[..., Any]


class Served:
    """A collector in a process of its own."""

    def __init__(self, *argv: str, **env: str) -> None:
        path = os.pathsep.join(part for part in sys.path if part)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bearerwatch.cli", "serve", "--json", *argv],
            env=os.environ | {"PYTHONPATH": path} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._watchdog = threading.Timer(20, self.process.kill)
        self._watchdog.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.ready: dict[str, Any] = json.loads(line) if line else {}

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Stop it; its exit code and what it said on standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate()
        self._watchdog.cancel()
        return self.process.returncode, errors


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(*argv: Any, **env: str) -> Served:
        started.append(Served(*map(str, argv), **env))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.end(signal.SIGKILL)
        served._watchdog.cancel()
        for stream in (served.process.stdout, served.process.stderr):
            if stream is not None:
                stream.close()


def guess(ring: KeyRing, number: int) -> bytes:
    """One invalid token from one address, as an application writes it."""
    token_id = ring.token_id(fakes.opaque())
    event = AuthEvent(
        kind=Kind.AUTH,
        event_id=f"0198c0de-0000-7000-8000-{number:012d}",
        ts=datetime.now(UTC),
        outcome=Outcome.INVALID,
        service="shop",
        status=401,
        client_ip="203.0.113.7",
        token_id=token_id,
        presented_id=token_id,
        request_id=f"req-{number:04d}",
    )
    return msgspec.json.encode(event) + b"\n"


def test_from_spool_to_alert_and_back_to_the_reader(serve: Any, run: Run, tmp_path: Path) -> None:
    """The whole way: a spool segment, an alert on the terminal, and every command that reads it."""
    state = tmp_path / "state"
    folder = state / "spool" / "shop"
    for path in (state, state / "spool", folder):
        path.mkdir(mode=0o700)
    ring = KeyRing([b"k" * 32])
    collector = serve("--state", state, BEARERWATCH_KEYS="k" * 32)
    assert collector.ready["state"] == str(state)
    assert collector.ready["address"] is None
    assert run("doctor", "--state", state, "--json").json["ok"] is True
    (folder / "0001.jsonl").write_bytes(b"".join(guess(ring, number) for number in range(30)))
    assert collector.process.stderr is not None
    alert = ""
    while "Tokens guessed from one address" not in alert:
        alert = collector.process.stderr.readline()
        assert alert, "the collector ended"
    assert "client_ip=203.0.113.7" in alert
    rows = run("events", "--state", state, "--json").rows
    assert len(rows) == 30
    opened = {row["rule"]: row for row in run("alerts", "--state", state, "--json", "--open").rows}
    assert opened["token_guessing"]["key"] == {"client_ip": "203.0.113.7"}
    shown = run("alerts", "show", opened["token_guessing"]["id"], "--state", state)
    assert "opened to console: delivered" in shown.out
    assert "What to do:   Block the address" in shown.out
    story = [row["type"] for row in run("timeline", "--ip", "203.0.113.7", "--state", state, "--json").rows]
    assert story.count("event") == 30
    assert "alert" in story
    code, errors = collector.end()
    assert (code, "Traceback" in errors) == (0, False)


def test_events_over_http_are_taken_with_a_key_alone(serve: Any, run: Run, tmp_path: Path) -> None:
    secret = secrets.token_urlsafe(32)
    listen = f"127.0.0.1:{fakes.free_port()}"
    collector = serve("--state", tmp_path, "--listen", listen, BEARERWATCH_INGEST_KEYS=f"web:{secret}")
    assert collector.ready["address"] == listen
    body = guess(KeyRing([b"k" * 32]), 1)
    request = Request(
        f"http://{listen}/v1/events",
        body,
        {"Authorization": f"Bearer {secret}", "Content-Type": "application/x-ndjson"},
    )
    with urlopen(request, timeout=5) as answer:
        assert json.load(answer)["accepted"] == 1
    assert [row["source"] for row in run("events", "--state", tmp_path, "--json").rows] == ["http:web"]
    assert collector.end(signal.SIGINT)[0] == 0


def test_a_notice_that_could_not_be_told_is_told_by_the_next_collector(serve: Any, tmp_path: Path) -> None:
    """Its receiver is dead while the first collector runs, which is then killed."""
    folder = tmp_path / "spool" / "shop"
    for path in (tmp_path / "spool", folder):
        path.mkdir(mode=0o700)
    key = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    with socket.create_server(("127.0.0.1", 0)) as peer:
        url = f"http://127.0.0.1:{peer.getsockname()[1]}/hook"
        env = {"BEARERWATCH_WEBHOOK_URL": url, "BEARERWATCH_WEBHOOK_SECRET": key}
        first = serve("--state", tmp_path, **env)
        (folder / "0001.jsonl").write_bytes(b"".join(guess(KeyRing([b"k" * 32]), n) for n in range(12)))
        asked = _request(peer, answer=None)
        assert first.end(signal.SIGKILL)[0] == -signal.SIGKILL
        serve("--state", tmp_path, **env)
        told = _request(peer, answer=b"HTTP/1.1 204 No Content\r\n\r\n")
    assert told["webhook-id"] == asked["webhook-id"]
    assert told["webhook-id"].endswith(":opened")


def _request(peer: socket.socket, answer: bytes | None) -> dict[str, str]:
    """The headers of the next request; hangs up without *answer*."""
    peer.settimeout(10)
    connection, _ = peer.accept()
    with connection:
        connection.settimeout(10)
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65_536)
        if answer is not None:
            connection.sendall(answer)
    lines = data.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_a_second_collector_is_refused(serve: Any, run: Run, tmp_path: Path) -> None:
    first = serve("--state", tmp_path)
    ran = run("serve", "--state", tmp_path)
    assert ran.code == 2
    assert f"a collector (process {first.process.pid}) works on {tmp_path} already" in ran.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--listen", "127.0.0.1"], "--listen is HOST:PORT"),
        (["--listen", "127.0.0.1:1", "--no-http"], "contradict"),
        (["--listen", "0.0.0.0:8787"], "no ingest key"),
        (["--retain", "soon"], "--retain is a length of time"),
        (["--retain", "1m"], "--retain is at least 1h"),
        (["--tick", "fast"], "--tick is a length of time"),
        (["--mmdb", "none.mmdb"], "none.mmdb is not a file"),
        (["--config", "none.toml"], "none.toml is not a file"),
        (["--rules", "none"], "none is not a folder"),
        (["--spool", "a", "--spool", "a"], "named twice"),
        (["--database", "postgresql://me:" + "pw@host/db"], "holds a password"),
        (["--database", "mysql://host/db"], "postgresql://"),
    ],
)
def test_wrong_settings_are_explained(run: Run, argv: list[str], says: str) -> None:
    ran = run("serve", *argv)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_a_wrong_channel_or_rule_keeps_it_from_starting(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "bearerwatch.toml"
    config.write_text('[[channel]]\ntype = "pigeon"\n')
    ran = run("serve", "--config", config)
    assert ran.code == 2
    assert "channel 1 (pigeon): no such type" in ran.err
    (tmp_path / "broken.yml").write_text("title: [")
    ran = run("serve", "--rules", tmp_path)
    assert ran.code == 2
    assert "broken.yml:" in ran.err


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("127.0.0.1:8787", ("127.0.0.1", 8787)),
        ("[::1]:8787", ("::1", 8787)),
        (":8787", ("127.0.0.1", 8787)),
        ("collector.internal:1", ("collector.internal", 1)),
    ],
)
def test_addresses(text: str, where: tuple[str, int]) -> None:
    assert address(text) == where


@pytest.mark.parametrize("text", ["", "8787", "host:", "host:0", "host:65536", "::1:8787", "host:x", "host:٣"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--listen"):
        address(text)
