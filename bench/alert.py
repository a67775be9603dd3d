"""Seconds from the bad request that crosses a rule's threshold to the webhook's arrival."""

from __future__ import annotations

import http.client
import json
import math
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Self

from bench import _collector, _requests
from bench._rows import Measured, Row

IDS = ("alert.latency_p99",)
METHOD = """\
A Flask application, instrumented by its one line, is served by gunicorn with two workers. Attackers, each from an
address of its own, send three bad tokens in turn over HTTP until they are one short of the threshold of
`brute_force_address`, wait for a random while, and send the one that crosses it. The clock runs from before that
request is sent to the arrival of the webhook that names the address. Meanwhile the collector takes in 1,000 other
events a second. All rules are on.
The figure is the 99th percentile (nearest rank)."""

_LIMIT = 1.0
_RULE = "brute_force_address"
_RATE = 1_000
_PACE = 0.25
"""Seconds between the starts of two attackers."""
_PATIENCE = 15.0


def run(_ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure with as many attackers as it takes for a 99th percentile."""
    attackers = 20 if quick else 200
    threshold = _threshold()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bearerwatch-bench-")))
        heard = stack.enter_context(_Heard())
        state = folder / "state"
        env = _collector.environment(
            state,
            BEARERWATCH_SERVICE="bench",
            BEARERWATCH_TRUSTED_PROXIES="127.0.0.0/8",
            BEARERWATCH_WEBHOOK_URL=f"http://127.0.0.1:{heard.port}/alerts",
        )
        port = stack.enter_context(_application(env, folder / "application.log"))
        stack.enter_context(_collector.serving(env, folder / "collector.log"))
        seconds = attackers * _PACE + 60
        stream = [sys.executable, "-m", "bench._stream", str(state / "spool"), str(_RATE), str(seconds)]
        stack.enter_context(_until_left(subprocess.Popen(stream, env=env, stdout=subprocess.DEVNULL)))
        for number in range(3):  # what is imported and compiled at the first alert is no attack's affair
            _attack(port, heard, f"192.0.2.{number + 1}", threshold)
        pool = stack.enter_context(ThreadPoolExecutor(16))
        waiting = []
        for number in range(attackers):
            address = f"198.18.{number // 250}.{number % 250 + 1}"
            waiting.append(pool.submit(_attack, port, heard, address, threshold))
            time.sleep(_PACE)
        taken = sorted(future.result() for future in waiting)
    p99 = taken[math.ceil(0.99 * len(taken)) - 1]
    how = (
        f"{len(taken)} attackers, threshold {threshold}; median {median(taken):.3f} s, "
        f"90th percentile {taken[math.ceil(0.9 * len(taken)) - 1]:.3f} s, longest {taken[-1]:.3f} s"
    )
    yield Measured(row=Row(id=IDS[0], unit="s", ours=round(p99, 3), limit=_LIMIT), how=how)


def _threshold() -> int:
    """How many failures of one address the rule takes, read from the rule itself."""
    import yaml  # noqa: PLC0415

    text = (files("bearerwatch.detect") / "rules" / f"{_RULE}.yml").read_text(encoding="utf-8")
    for document in yaml.safe_load_all(text):
        condition = document.get("correlation", {}).get("condition", {})
        if "gte" in condition:
            return int(condition["gte"])
        if "gt" in condition:
            return int(condition["gt"]) + 1
    raise RuntimeError(f"the rule {_RULE} has no threshold this benchmark can read")


def _attack(port: int, heard: _Heard, address: str, threshold: int) -> float:
    """One attacker; gives the seconds from the crossing request to its alert."""
    client = int(address.rpartition(".")[2])
    tokens = [_requests.jwt(client, secret=address.encode() * 4 + bytes([n])) for n in range(3)]
    headers = {"X-Forwarded-For": address, "User-Agent": "attacker/1"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        for number in range(threshold):
            if number == threshold - 1:
                time.sleep(random.uniform(0.3, 0.8))  # anywhere between two ticks of the collector
                sent = time.perf_counter()
            bad = {"Authorization": f"Bearer {tokens[number % 3]}"}
            connection.request("GET", f"/orders/{number}", headers=headers | bad)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 401, f"the application answered {answer.status}"
    finally:
        connection.close()
    return heard.wait(address) - sent


class _Heard:
    """A webhook endpoint that notes when the alert about each address came in."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._news = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                at = time.perf_counter()
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()
                outer._note(at, body)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _note(self, at: float, body: dict[str, object]) -> None:
        data = body["data"]
        assert isinstance(data, dict)
        if data["rule"] == _RULE and str(body["type"]).endswith("opened"):
            with self._news:
                self._at.setdefault(data["group"]["client_ip"], at)
                self._news.notify_all()

    def wait(self, address: str) -> float:
        """When the alert about *address* arrived."""
        with self._news:
            if not self._news.wait_for(lambda: address in self._at, timeout=_PATIENCE):
                raise RuntimeError(f"no alert about {address} within {_PATIENCE:.0f} s")
            return self._at[address]


@contextmanager
def _application(env: dict[str, str], log: Path) -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        port = int(listening.getsockname()[1])
        descriptor = listening.fileno()
        command = [sys.executable, "-m", "gunicorn", "--workers", "2", "--threads", "8", "--no-control-socket"]
        command += ["--bind", f"fd://{descriptor}", "bench._web.served:app"]
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=env, stdout=out, stderr=out, pass_fds=[descriptor])
    with _until_left(process):
        yield port


@contextmanager
def _until_left(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
