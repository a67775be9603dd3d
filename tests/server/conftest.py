"""A real collector, in a thread or in a process of its own, and applications that write to its spool."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import fakes
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.ingest.complaints import Complaints
from bearerwatch.observe import new_id
from bearerwatch.server import Collector, CollectorSettings
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.store.reader import Reader
from bearerwatch.store.state import State, default_url


def make_event(number: int = 0, **changes: Any) -> AuthEvent:
    """An event of now that no rule minds."""
    values: dict[str, Any] = {
        "kind": Kind.AUTH,
        "event_id": new_id(int(time.time() * 1000)),
        "ts": datetime.now(UTC),
        "outcome": Outcome.SUCCESS,
        "verified": True,
        "status": 200,
        "service": "shop",
        "path": f"/{number}",
        "client_ip": f"198.51.100.{number % 250}",
    }
    return AuthEvent(**(values | changes))


def wait_for(what: Callable[[], Any], seconds: float = 8.0, said: str = "what was waited for did not happen") -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, said
        time.sleep(0.01)
    return found


class Running:
    """A collector in a thread."""

    def __init__(self, settings: CollectorSettings) -> None:
        self.settings = settings
        self.messages: list[str] = []
        self.error: BaseException | None = None
        self.collector = Collector(settings, complain=Complaints(self.messages.append))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        while not self._ready.wait(0.01) and self._thread.is_alive():
            pass

    def _run(self) -> None:
        try:
            self.collector.run(lambda _: self._ready.set())
        except BaseException as error:
            self.error = error

    @property
    def said(self) -> str:
        return "\n".join(self.messages)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.collector.stop()
        self._thread.join(20)
        assert not self._thread.is_alive(), "the collector does not end"
        error, self.error = self.error, None
        if error is not None:
            raise error


class Site:
    """One state folder with all that goes with it."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.spool = state_dir / "spool"
        self._sinks: list[SpoolSink] = []
        self._running: list[Running] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def sink(self, service: str = "shop") -> SpoolSink:
        self._sinks.append(SpoolSink(self.spool / service))
        return self._sinks[-1]

    def start(self, **settings: Any) -> Running:
        values: dict[str, Any] = {"state_dir": self.state_dir, "tick": 0.02, "commit_every": 0.05}
        self._running.append(Running(CollectorSettings(**(values | settings))))
        return self._running[-1]

    def process(self, code: str = "", *, port: int = 0, **env: str) -> subprocess.Popen[bytes]:
        """A collector in a process of its own; *code* runs before it starts."""
        script = (
            "import sys; from pathlib import Path; from bearerwatch.server import *\n"
            f"{code}\n"
            f"settings = CollectorSettings(state_dir=Path(sys.argv[1]), port={port}, tick=0.02, commit_every=0.05)\n"
            "Collector(settings).run(lambda _: print('ready', flush=True))"
        )
        path = os.pathsep.join(part for part in sys.path if part)
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(self.state_dir)],
            env=os.environ | {"PYTHONPATH": path} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._processes.append(process)
        return process

    @contextlib.contextmanager
    def reader(self) -> Iterator[Reader]:
        with Reader(self.state_dir) as reader:
            yield reader

    def ids(self) -> list[str]:
        """Ids of all events in the lake, repeats included."""
        with self.reader() as reader:
            return [str(row["event_id"]) for row in reader.query("SELECT event_id FROM {events}")]

    def state(self) -> State:
        return State(default_url(self.state_dir))

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for sink in self._sinks:
            sink.close()
        for running in self._running:
            running.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def free_port() -> int:
    return fakes.free_port()


@pytest.fixture
def event() -> Callable[..., AuthEvent]:
    return make_event


@pytest.fixture
def until() -> Callable[..., Any]:
    return wait_for
