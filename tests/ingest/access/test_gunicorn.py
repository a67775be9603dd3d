"""gunicorn: lines that a real one writes."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fakes
from bearerwatch.ingest.access import open_format
from ingest.access.hostile import decoded, survives, told
from ingest.access.spoken import ask, listening

_APP = """
def app(environ, start_response):
    start_response("401 Unauthorized", [("X-Request-ID", "given-12345678")])
    return [b"no"]
"""
_LAYOUT = '%(h)s %(t)s "%(r)s" %(s)s %(D)s %({x-request-id}o)s "%({authorization}i)s" "%(a)s"'
_LINE = '127.0.0.1 - - [22/Nov/2026:11:09:06 +0100] "GET /a?b HTTP/1.1" 401 12 "-" "curl/8"'


def _lines(tmp_path: Path, *layout: str, headers: list[tuple[str, str]]) -> list[bytes]:
    (tmp_path / "shop.py").write_text(_APP)
    log, port = tmp_path / "access.log", fakes.free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--access-logfile", str(log)]
    command += [*layout, "--no-control-socket", "--chdir", str(tmp_path), "shop:app"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            listening(port)
            for target, agent in headers:
                ask(port, target, f"User-Agent: {agent}")
            deadline = time.monotonic() + 5
            while log.read_bytes().count(b"\n") < len(headers):
                assert time.monotonic() < deadline, "gunicorn does not log"
                time.sleep(0.02)
        finally:
            process.terminate()
    return log.read_bytes().splitlines()


def test_what_a_real_gunicorn_writes(tmp_path: Path) -> None:
    """Even where its escaping cannot be taken back, nobody keeps their own traces out."""
    lines = _lines(tmp_path, headers=[("/a?b=c", "curl/8"), ("/x", 'say "hi"'), ("/y", "ends in \\"), ('/q"\\"', "z")])
    read = open_format("gunicorn")
    found = [read(raw.decode()) for raw in lines]

    assert [(line.status, line.target) for line in found if line] == [
        (401, "/a?b=c"),
        (401, "/x"),
        (401, "/y"),
        (401, '/q"\\"'),
    ]
    assert [line.user_agent for line in found if line] == ["curl/8", 'say "hi"', None, "z"]
    assert all(line and line.ended and abs(datetime.now(UTC) - line.ended) < timedelta(seconds=60) for line in found)


def test_a_layout_of_one_s_own(tmp_path: Path) -> None:
    token = fakes.jwt()
    (line,) = _lines(tmp_path, "--access-logformat", _LAYOUT, headers=[("/", f"x\r\nAuthorization: Bearer {token}")])
    found = open_format(f"gunicorn:{_LAYOUT}")(line.decode())

    assert found is not None
    assert (found.request_id, found.authorization, found.peer) == ("given-12345678", f"Bearer {token}", "127.0.0.1")
    assert found.duration_us is not None
    assert fakes.leaked(token, *decoded(f"gunicorn:{_LAYOUT}", line).lines) == []


def test_the_default_and_its_parts() -> None:
    assert told(open_format("gunicorn")(_LINE)) == {
        "ended": datetime(2026, 11, 22, 10, 9, 6, tzinfo=UTC),
        "status": 401,
        "method": "GET",
        "target": "/a?b",
        "peer": "127.0.0.1",
        "user_agent": "curl/8",
    }


def test_environment_variables_of_headers_are_headers() -> None:
    line = open_format("gunicorn:%(s)s %({HTTP_X_FORWARDED_FOR}e)s %(L)s 100%%")("200 203.0.113.7 0.001500 100%")

    assert told(line) == {"status": 200, "forwarded_for": "203.0.113.7", "duration_us": 1_500}


def test_hostile_lines() -> None:
    survives("gunicorn", _LINE)
