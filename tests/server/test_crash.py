"""kill -9 at any moment, of the collector and of the applications: every event once, and nothing acknowledged lost."""

from __future__ import annotations

import http.client
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from bearerwatch.store.tables import episodes, offsets

_WRITER = """
import os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.observe import new_id
from bearerwatch.sinks.spool import SpoolSink

sink = SpoolSink(Path(sys.argv[1]))
log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
number = 0
while os.getppid() == int(sys.argv[3]):
    number += 1
    name = new_id(int(time.time() * 1000))
    token = f"k00000000:{os.getpid():016x}{number % 100:016x}"
    sink.send(AuthEvent(
        kind=Kind.AUTH, event_id=name, ts=datetime.now(UTC), outcome=Outcome.INVALID, status=401, service="shop",
        client_ip="203.0.113.7", token_id=token, presented_id=token,
    ))
    os.write(log, name.encode() + b"\\n")
    if number % 50 == 0:
        sink.close()
    time.sleep(0.002)
"""


class Sender(threading.Thread):
    """A forwarder: sends the next part of its segment until it is acknowledged, however often that takes."""

    def __init__(self, port: int, key: str, make: Callable[[int], Any]) -> None:
        super().__init__()
        self._port, self._key, self._make = port, key, make
        self.acknowledged: list[str] = []
        self.retries = 0
        self.wrong: list[Any] = []
        self.ending = False

    def run(self) -> None:
        offset = number = 0
        while not self.ending:
            events = [self._make(number + n) for n in range(random.randrange(1, 20))]
            number += len(events)
            body = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
            while (status := self._send(body, offset)) != 202:
                if status not in (None, 503) or (self.ending and status is None):
                    self.wrong.append(status)
                    return
                self.retries += 1
                time.sleep(0.02)
            offset += len(body)
            self.acknowledged += [event.event_id for event in events]

    def _send(self, body: bytes, offset: int) -> int | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/x-ndjson",
            "bearerwatch-segment": "forwarded-1",
            "bearerwatch-offset": str(offset),
        }
        try:
            connection.request("POST", "/v1/events", body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return None
        else:
            return answer.status
        finally:
            connection.close()


def kill_rounds(site: Any, tmp_path: Path, event: Any, until: Any, port: int, rounds: int) -> None:
    seed = secrets.randbits(32)
    rng = random.Random(seed)
    path = os.pathsep.join(part for part in sys.path if part)
    env = os.environ | {"PYTHONPATH": path}
    key = secrets.token_urlsafe(24)
    logs = tmp_path / "written"
    logs.mkdir()
    writers: list[subprocess.Popen[bytes]] = []
    killed = 0

    def start_writer() -> None:
        argv = [
            sys.executable,
            "-c",
            _WRITER,
            str(site.spool / "shop"),
            str(logs / secrets.token_hex(4)),
            str(os.getpid()),
        ]
        writers.append(subprocess.Popen(argv, env=env))

    sender = Sender(port, key, event)
    try:
        for _ in range(2):
            start_writer()
        sender.start()
        for _ in range(rounds):
            collector = site.process(port=port, BEARERWATCH_INGEST_KEYS=f"edge:{key}")
            assert collector.stdout.readline() == b"ready\n", collector.stderr.read().decode()
            time.sleep(rng.uniform(0.0, 0.5))
            if rng.random() < 0.5:
                victim = writers.pop(rng.randrange(len(writers)))
                victim.kill()
                victim.wait()
                killed += 1
                start_writer()
            time.sleep(rng.uniform(0.0, 0.2))
            collector.send_signal(signal.SIGKILL)
            collector.wait()
        last = site.process(port=port, BEARERWATCH_INGEST_KEYS=f"edge:{key}")
        assert last.stdout.readline() == b"ready\n", last.stderr.read().decode()
        sender.ending = True
        sender.join(20)
    finally:
        sender.ending = True
        for writer in writers:
            writer.kill()
            writer.wait()
    killed += len(writers)
    until(lambda: not list(site.spool.rglob("*.jsonl")), 30)
    last.terminate()
    _, errors = last.communicate(timeout=20)
    assert last.returncode == 0, errors.decode()

    ids = site.ids()
    found = set(ids)
    written = {line for log in logs.iterdir() for line in log.read_text().splitlines() if len(line) == 36}
    assert sender.wrong == [], f"seed {seed}"
    assert len(ids) == len(found), f"{len(ids) - len(found)} events twice, seed {seed}"
    assert not written - found, f"{len(written - found)} written events lost, seed {seed}"
    assert not set(sender.acknowledged) - found, f"acknowledged events lost, seed {seed}"
    assert len(found - written - set(sender.acknowledged)) <= killed, f"seed {seed}"
    assert len(written) > 50 * rounds
    assert len(sender.acknowledged) > rounds
    state = site.state()
    with state.read() as conn:
        alerts = conn.execute(
            sa.select(episodes.c.rule, episodes.c.key).where(episodes.c.superseded_by.is_(None))
        ).all()
        left = conn.execute(sa.select(offsets)).all()
    state.close()
    attack = [(rule, json.dumps(group)) for rule, group in alerts if group.get("client_ip") == "203.0.113.7"]
    assert attack, "the attack was noticed"
    assert len(attack) == len(set(attack)), f"one attack, one episode: {attack}"
    assert [row for row in left if row.source.startswith("spool:")] == [], "offsets are forgotten"
    # pytest shows it with -s: the figures of a soak
    sys.stderr.write(
        f"{rounds} rounds, {len(ids)} events, {killed} writers killed, {sender.retries} requests repeated\n"
    )


class TestKillRounds:
    def test_a_few(self, site: Any, tmp_path: Path, event: Any, until: Any, free_port: int) -> None:
        kill_rounds(site, tmp_path, event, until, free_port, 3)

    @pytest.mark.soak
    def test_many(self, site: Any, tmp_path: Path, event: Any, until: Any, free_port: int) -> None:
        kill_rounds(site, tmp_path, event, until, free_port, 25)
