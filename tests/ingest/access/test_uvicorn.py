"""uvicorn: lines that a real one writes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import fakes
from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import open_format
from ingest.access.hostile import NOW, decoded, survives, told
from ingest.access.spoken import ask, listening

_APP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 401, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})
"""
_LINE = 'INFO:     127.0.0.1:4711 - "GET /a?b HTTP/1.1" 401 Unauthorized'


@pytest.mark.parametrize("more", [["--use-colors"], ["--no-use-colors"]], ids=["colours", "plain"])
def test_what_a_real_uvicorn_writes(tmp_path: Path, more: list[str]) -> None:
    """What is no request among its lines is passed over, and what has no time has that of reading it."""
    (tmp_path / "shop.py").write_text(_APP)
    log, port, token = tmp_path / "out.log", fakes.free_port(), fakes.jwt()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--app-dir", str(tmp_path), *more, "shop:app"]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            listening(port)
            ask(port, f"/caf%C3%A9?access_token={token}")
            ask(port, '/q?a="b"')
            deadline = time.monotonic() + 5
            while log.read_bytes().count(b"HTTP/1.1") < 2:
                assert time.monotonic() < deadline, "uvicorn does not log"
                time.sleep(0.02)
        finally:
            process.terminate()
    done = decoded("uvicorn", *log.read_bytes().splitlines())
    events = [json.loads(line) for line in done.lines]

    assert not done.rejected
    assert [(event["kind"], event.get("path"), event.get("outcome")) for event in events] == [
        ("auth", "/café", "invalid"),
        ("auth", "/q", "missing"),
        ("leak", None, None),
    ]
    assert [event["client_ip"] for event in events[:2]] == ["127.0.0.1", "127.0.0.1"]
    assert events[0]["ts"] == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert fakes.leaked(token, *done.lines) == []


def test_a_finished_file_without_times_is_refused_with_the_mend() -> None:
    done = decoded("uvicorn", _LINE.encode(), live=False)

    assert [rejection.code for rejection in done.rejected] == ["no_time"]
    assert "have the server write one" in done.rejected[0].reason


@pytest.mark.parametrize(
    ("stamp", "micros"),
    [
        ("2026-11-22 11:09:06,310 ", 310_000),
        ("2026-11-22T11:09:06Z ", 0),
        ("2026-11-22 12:09:06.5+01:00 ", 500_000),
        ("2026-11-22T11:09:06.310000+0000 web uvicorn[7]: ", 310_000),
    ],
)
def test_a_time_in_front(stamp: str, micros: int) -> None:
    line = open_format("uvicorn")(stamp + _LINE)

    assert line is not None
    assert line.ended == datetime(2026, 11, 22, 11, 9, 6, micros, tzinfo=UTC)


@pytest.mark.parametrize(("end", "status"), [("[accepted]", 101), ("403", 403)])
def test_a_websocket(end: str, status: int) -> None:
    line = open_format("uvicorn")(f'INFO:     2001:db8::7:4711 - "WebSocket /ws?x" {end}')

    assert told(line) == {"status": status, "method": "GET", "target": "/ws?x", "peer": "2001:db8::7"}


def test_a_unix_socket_has_no_peer() -> None:
    assert told(open_format("uvicorn")('INFO:      - "GET / HTTP/1.1" 200 OK')) == {
        "status": 200,
        "method": "GET",
        "target": "/",
    }


def test_it_takes_no_layout() -> None:
    with pytest.raises(ConfigurationError, match="say uvicorn alone"):
        open_format("uvicorn:%(message)s")


def test_hostile_lines() -> None:
    survives("uvicorn", _LINE, f"2026-11-22 11:09:06,310 {_LINE}")
