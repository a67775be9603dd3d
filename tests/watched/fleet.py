"""The API on real servers, clients that keep their own log, and somebody who kills workers in between."""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path

import msgspec
import uvicorn

from bearerwatch.event import AuthEvent, Kind
from fakes import free_port
from watched.policy import issue, opaque

__all__ = ["SERVERS", "Client", "Server", "Verdict", "kill_rounds"]

TESTS = Path(__file__).resolve().parent.parent
GUNICORN = [sys.executable, "-m", "gunicorn", "--workers=2", "--bind=127.0.0.1:{port}", "--access-logfile=-"]
UVICORN = [sys.executable, "-m", "uvicorn", "--workers=2", "--host=127.0.0.1", "--port={port}", "--factory"]
if "timeout_worker_healthcheck" in signature(uvicorn.Config).parameters:
    UVICORN += ["--timeout-worker-healthcheck=60"]  # a busy machine is no reason to kill workers: that is our part
SERVERS: dict[str, list[str]] = {
    "gunicorn-flask": [*GUNICORN, "--threads=4", "watched.flask_stack:build()"],
    "gunicorn-django": [*GUNICORN, "watched.django_stack:wsgi()"],
    "uvicorn-fastapi": [*UVICORN, "watched.asgi_stack:fastapi"],
    "uvicorn-django": [*UVICORN, "watched.django_stack:asgi"],
}


class Server:
    """One server with two workers and a spool of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.spool = folder / "spool" / name
        self.log = folder / f"{name}.log"
        self.killed = 0
        """Workers killed so far."""
        self.port = free_port()
        environment = os.environ | {
            "PYTHONPATH": str(TESTS),
            "BEARERWATCH_STATE": str(folder),
            "BEARERWATCH_SERVICE": name,
            "BEARERWATCH_KEYS": "the-key-of-these-servers-alone",
            "BEARERWATCH_TRUSTED_PROXIES": "127.0.0.1",
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [part.format(port=self.port) for part in SERVERS[name]], env=environment, stdout=log, stderr=log
            )

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        pid = self._process.pid
        found = []
        with suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                with suppress(OSError):
                    command = Path(f"/proc/{child}/cmdline").read_bytes()
                    if command and b"resource_tracker" not in command:  # a dead one has none
                        found.append(int(child))
        return found

    def ready(self, timeout: float = 30) -> None:
        """Wait until it answers.

        Raises:
            TimeoutError: it does not.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
                with closing(connection):
                    connection.request("GET", "/probe", headers={"X-Request-ID": f"probe-{uuid.uuid4()}"})
                    connection.getresponse().read()
                if len(self.workers()) >= 2:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{self.name} does not answer:\n{self.log.read_text()[-2000:]}")

    def kill_a_worker(self, rng: random.Random) -> bool:
        """``kill -9`` one of two workers that has served something; ``False`` while there is none.

        The other one may have served nothing yet: clients that keep their connections may all be with one.
        """
        serving = {int(path.name.split("-")[1], 16) for path in self.spool.glob("*.jsonl")}
        workers = self.workers()
        victims = [pid for pid in workers if pid in serving]
        if len(workers) < 2 or not victims:
            return False
        os.kill(rng.choice(victims), signal.SIGKILL)
        return True

    def stop(self) -> None:
        """Stop it and everything it started."""
        workers = self.workers()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


REQUESTS = [
    ("GET", "/public"),
    ("GET", "/orders/7"),
    ("GET", "/orders/7"),
    ("GET", "/orders/x1"),
    ("GET", "/admin"),
    ("GET", "/limited"),
    ("GET", "/broken"),
    ("GET", "/boom"),
    ("GET", "/empty"),
    ("HEAD", "/public"),
    ("GET", "/stream"),
    ("GET", "/stream/sized"),
    ("GET", "/nowhere"),
]
TOKENS = [
    opaque("alice"),
    opaque("mallory"),
    opaque("nobody"),
    issue(),
    issue(lasts=-60),
    issue(key=b"another key" * 4),
]


@dataclass
class Client(threading.Thread):
    """Sends requests until told to stop and notes of each what came of it."""

    server: Server
    seed: int
    over: threading.Event
    complete: dict[str, int] = field(default_factory=dict)
    """Request id to status, of every answer that arrived whole."""
    cut: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(name=f"client {self.seed} of {self.server.name}")

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Send requests, some over one connection, some of them left before the end."""
        rng = random.Random(self.seed)
        connection = None
        while not self.over.is_set():
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=5)
            request_id = str(uuid.UUID(int=rng.getrandbits(128)))
            method, path = rng.choice(REQUESTS)
            headers = {"X-Request-ID": request_id}
            token = rng.choice(TOKENS)
            how = rng.random()
            if how < 0.6:
                headers["Authorization"] = f"Bearer {token}"
            elif how < 0.7:
                path += f"?access_token={token}"
            leave = rng.random() < 0.05
            try:
                connection.request(method, path, headers=headers)
                if leave:
                    connection.close()
                    self.cut.add(request_id)
                    connection = None
                    continue
                with connection.getresponse() as answer:
                    answer.read()
                self.complete[request_id] = answer.status
                if answer.will_close or rng.random() < 0.2:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException):
                self.cut.add(request_id)
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


class Verdict:
    """What the spool holds, held against what the clients saw."""

    def __init__(self, server: Server, clients: list[Client]) -> None:
        lines = [line for path in sorted(server.spool.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
        events = [msgspec.json.decode(line, type=AuthEvent) for line in lines]  # each whole, or this raises
        events = [event for event in events if event.kind is Kind.AUTH]
        events = [event for event in events if not (event.request_id or "").startswith("probe-")]
        counts = Counter(event.request_id for event in events)
        statuses = {event.request_id: event.status for event in events}
        self.complete = {key: status for client in clients for key, status in client.complete.items()}
        self.cut = {key for client in clients for key in client.cut}
        self.missing = [key for key in self.complete if counts[key] == 0]
        self.twice = [key for key, count in counts.items() if count > 1]
        self.strangers = [key for key in counts if key not in self.complete and key not in self.cut]
        self.wrong = [key for key, status in self.complete.items() if key in statuses and statuses[key] != status]
        self.event_ids_twice = len(events) - len({event.event_id for event in events})
        self.outcomes = Counter(str(event.outcome) for event in events)
        self.text = b"\n".join(lines)

    def holds(self) -> bool:
        """DESIGN's sentence: one event for a complete answer, none or one for a cut one, none without a request."""
        return not (self.missing or self.twice or self.strangers or self.wrong or self.event_ids_twice)


def _kill(server: Server, rounds: int, seed: int) -> None:
    rng = random.Random(seed)
    end = time.monotonic() + 10 * rounds
    while server.killed < rounds and time.monotonic() < end:
        time.sleep(rng.uniform(0.02, 0.3))
        server.killed += server.kill_a_worker(rng)


_ANSWERS = 60
"""Of each server, for all kinds of outcomes to be among them."""


def kill_rounds(servers: list[Server], rounds: int, seed: int, *, clients_each: int = 2) -> dict[str, list[Client]]:
    """Traffic on every server while workers are killed in the middle of it; returns the clients of each."""
    rng = random.Random(seed)
    over = threading.Event()
    clients = {
        server.name: [Client(server, rng.getrandbits(60), over) for _ in range(clients_each)] for server in servers
    }
    everybody = [client for several in clients.values() for client in several]
    for client in everybody:
        client.start()
    killers = [threading.Thread(target=_kill, args=(server, rounds, rng.getrandbits(60))) for server in servers]
    for killer in killers:
        killer.start()
    for killer in killers:
        killer.join()
    time.sleep(0.3)
    end = time.monotonic() + 20  # on a busy machine workers may be killed sooner than much is answered
    while time.monotonic() < end and any(
        sum(len(client.complete) for client in several) < _ANSWERS for several in clients.values()
    ):
        time.sleep(0.1)
    over.set()
    for client in everybody:
        client.join()
    return clients
