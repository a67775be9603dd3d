"""Access logs in the collector: followed beside spools, each request counted once, and nothing lost by kill -9."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import flask
import pytest
from werkzeug.serving import make_server

import fakes
from bearerwatch.cli._joined import joined
from bearerwatch.event import REPEATED, AuthEvent, Outcome
from bearerwatch.flask import Bearerwatch
from bearerwatch.ingest.lines import Slice
from bearerwatch.ingest.log_source import LogSource
from bearerwatch.ingest.tail import SpoolTail
from bearerwatch.store import episodes
from ingest.access.real_nginx import Nginx
from ingest.access.spoken import ask

_LAYOUT = 'nginx:$remote_addr [$time_iso8601] "$request" $status $request_time "$http_authorization" $request_id'
_CALLER = "203.0.113.7"


def _line(number: int, status: int = 401, *, auth: str = "-", request_id: str | None = None) -> str:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    known = f"request-{number:06d}" if request_id is None else request_id
    return f'{_CALLER} [{now}] "GET /orders/{number} HTTP/1.1" {status} 0.010 "{auth}" {known}\n'


def _tail(path: Path, service: str = "edge") -> LogSource:
    return LogSource(_LAYOUT, service, path)


def _events(site: Any) -> list[dict[str, Any]]:
    with site.reader() as reader:
        return reader.query("SELECT * FROM {events} ORDER BY ts, event_id")


def _refused(event: Callable[..., AuthEvent], number: int) -> AuthEvent:
    return event(number, outcome=Outcome.INVALID, status=401, client_ip=_CALLER, request_id=f"request-{number:06d}")


def _alerts(site: Any) -> list[str]:
    with site.reader() as reader, reader.state.read() as conn:
        return sorted(episode.rule for episode in episodes.list_(conn))


def test_lines_become_events_and_tokens_in_them_do_not(site: Any, tmp_path: Path, until: Any) -> None:
    log, token = tmp_path / "access.log", fakes.jwt()
    running = site.start(tails=(_tail(log),))
    with log.open("a") as file:
        file.write(_line(1) + "garbage with a token " + token + "\n" + _line(2, 200, auth=f"Bearer {token}"))
    until(lambda: len(site.ids()) == 3)
    running.stop()

    events = _events(site)
    assert Counter((event["kind"], event["outcome"], event["service"]) for event in events) == {
        ("auth", "missing", "edge"): 1,
        ("auth", "success", "edge"): 1,
        ("leak", None, "edge"): 1,
    }
    assert {event["source"] for event in events} == {"access:edge"}
    assert running.collector.status.rejected == {"layout": 1}
    assert fakes.leaked(token, repr(events), running.said) == [], "segments are compressed: they are read, too"
    for path in site.state_dir.rglob("*"):
        if path.is_file():
            assert fakes.leaked(token, path.read_bytes()) == [], path
    (kept,) = (site.state_dir / "quarantine").glob("*.jsonl")
    assert json.loads(kept.read_text())["source"] == "access:edge"


def test_a_request_that_gateway_and_service_saw_is_counted_once(
    site: Any, tmp_path: Path, until: Any, event: Callable[..., AuthEvent]
) -> None:
    """Twelve refusals, each told of twice, are no brute force; a hundred of a gateway alone are one."""
    log = tmp_path / "access.log"
    sink = site.sink()
    running = site.start(tails=(_tail(log),))
    for number in range(12):
        sink.send(_refused(event, number))
        with log.open("a") as file:
            file.write(_line(number))
    until(lambda: len(site.ids()) == 24)
    reasons = Counter((one["service"], one["reason"]) for one in _events(site))
    assert reasons == {("shop", None): 12, ("edge", REPEATED): 12}
    assert _alerts(site) == []

    with log.open("a") as file:
        file.writelines(_line(100 + number) for number in range(100))
    until(lambda: _alerts(site) == ["brute_force_address"])
    running.stop()


def test_what_comes_while_spools_are_read_is_counted_once(
    site: Any, tmp_path: Path, until: Any, event: Callable[..., AuthEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is not taken in before its request's event, though the spool had been read when both were written."""
    log, sink, theirs = tmp_path / "access.log", site.sink(), SpoolTail.slices
    numbers = iter(range(12))

    def slices(self: SpoolTail, *args: Any, **kwargs: Any) -> list[Slice]:
        found = theirs(self, *args, **kwargs)
        if (number := next(numbers, None)) is not None:
            sink.send(_refused(event, number))
            with log.open("a") as file:
                file.write(_line(number))
        return found

    monkeypatch.setattr(SpoolTail, "slices", slices)
    running = site.start(tails=(_tail(log),))
    until(lambda: len(site.ids()) == 24)
    running.stop()
    reasons = Counter((one["service"], one["reason"]) for one in _events(site))
    assert reasons == {("shop", None): 12, ("edge", REPEATED): 12}


def test_an_id_that_was_seen_hides_nothing(
    site: Any, tmp_path: Path, until: Any, event: Callable[..., AuthEvent]
) -> None:
    """Whoever sends one request's id again and again is counted all the same."""
    log = tmp_path / "access.log"
    sink = site.sink()
    running = site.start(tails=(_tail(log),))
    sink.send(_refused(event, 0))
    with log.open("a") as file:
        file.writelines(_line(number, request_id="request-000000") for number in range(101))
    until(lambda: _alerts(site) == ["brute_force_address"])
    running.stop()


def test_what_was_told_of_before_a_restart_is_known_after_it(
    site: Any, tmp_path: Path, until: Any, event: Callable[..., AuthEvent]
) -> None:
    log = tmp_path / "access.log"
    sink = site.sink()
    running = site.start(tails=(_tail(log),))
    sink.send(_refused(event, 7))
    until(lambda: len(site.ids()) == 1)
    running.stop()
    log.write_text(_line(7))
    running = site.start(tails=(_tail(log),))
    until(lambda: len(site.ids()) == 2)
    running.stop()

    assert {one["service"]: one["reason"] for one in _events(site)} == {"shop": None, "edge": REPEATED}


def test_nothing_is_lost_or_doubled_by_kill_and_rotation(site: Any, tmp_path: Path, until: Any) -> None:
    """A server that writes and rotates, and a collector that is killed and started again, all the while."""
    log = tmp_path / "access.log"
    log.touch()
    env = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part), "BEARERWATCH_KEYS": "k" * 32}
    command = [sys.executable, "-m", "bearerwatch.cli", "serve", "--json", "--state", str(site.state_dir)]
    command += ["--log-format", f"own={_LAYOUT}", "--tail", f"own@edge:{log}", "--tick", "20ms"]
    written = 0

    def write(count: int) -> None:
        nonlocal written
        with log.open("a") as file:
            file.writelines(_line(written + number, 200) for number in range(count))
        written += count

    def rotate(to: str) -> None:
        log.rename(tmp_path / to)
        log.touch()

    for turn in range(3):
        said = tmp_path / "said"
        with said.open("wb") as err, subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=err) as process:
            assert process.stdout is not None
            started = process.stdout.readline()
            assert started, (process.wait(5), said.read_text())
            assert json.loads(started)["logs"] == [str(log)]
            for _ in range(5):
                write(100)
                time.sleep(0.03)
            if turn == 0:  # a log is known once something of it is committed
                until(site.ids)
            if turn == 1:
                rotate("access.log.2")
                write(100)
            process.kill()
        if turn == 1:
            write(100)
            rotate("access.log.1")
    running = site.start(tails=(_tail(log),))
    until(lambda: len(set(site.ids())) == written, 15)
    running.stop()

    paths = Counter(one["path"] for one in _events(site))
    assert len(paths) == written
    assert set(paths.values()) == {1}


def test_a_log_that_cannot_be_read_keeps_nobody_from_being_read(
    site: Any, tmp_path: Path, until: Any, event: Callable[..., AuthEvent]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    running = site.start(tails=(_tail(tmp_path / "pipe"), _tail(tmp_path / "none.log", "other")))
    site.sink().send(event(1))
    until(lambda: len(site.ids()) == 1)
    running.stop()

    assert running.said.count("not a regular file") == 1
    assert running.said.count("it is not there") == 1


def test_a_real_gateway_before_a_real_service(
    site: Any, tmp_path: Path, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway and Flask under one request id: each request is one entry of the timeline, and counts once for rules."""
    layout = '$remote_addr [$msec] "$request" $status $request_time $request_id'
    monkeypatch.setenv("BEARERWATCH_STATE", str(site.state_dir))
    app = flask.Flask("shop")
    app.add_url_rule("/orders/<int:number>", view_func=lambda number: ("no", 401))
    Bearerwatch(app, service="shop", trusted_proxies="127.0.0.1/32")
    service = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=service.serve_forever)
    thread.start()
    gateway = Nginx(
        tmp_path / "gateway",
        f"log_format own '{layout}'; access_log {{folder}}/logs/access.log own;\n"
        "server { listen 127.0.0.1:{port}; location / { proxy_set_header X-Request-ID $request_id;\n"
        f"proxy_set_header X-Forwarded-For {_CALLER}; proxy_pass http://127.0.0.1:{service.server_port}; }} }}",
    )
    try:
        running = site.start(tails=(LogSource(f"nginx:{layout}", "edge", gateway.folder / "logs" / "access.log"),))
        for number in range(14):
            ask(gateway.port, f"/orders/{number}", f"Authorization: Bearer {fakes.jwt()}")
        until(lambda: len(site.ids()) == 28)
        running.stop()
    finally:
        gateway.stop()
        service.shutdown()
        thread.join()
        service.server_close()

    with site.reader() as reader:
        entries = joined(reader, reader.timeline(service="shop", limit=None))
    assert len(entries) == 14
    assert all([seen["service"] for seen in entry["via"]] == ["edge"] for entry in entries)
    assert not any(seen["differs"] for entry in entries for seen in entry["via"])
    assert {one["reason"] for one in _events(site) if one["service"] == "edge"} == {REPEATED}
    assert _alerts(site) == ["token_guessing"], "fourteen refusals are many tokens, and no brute force"
