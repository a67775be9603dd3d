"""What is started is stopped, workers too, and what falls over by itself is named."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bearerwatch.demo import processes
from bearerwatch.demo.processes import Fleet, listening
from bearerwatch.errors import BearerwatchError

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.stop()


def python(fleet: Fleet, code: str, name: str = "one", **more: object) -> processes.Process:
    return fleet.start(name, [sys.executable, "-c", code], env=dict(os.environ), cwd=Path("/"), **more)  # type: ignore[arg-type]


def wait_for(path: Path, text: str) -> str:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if path.exists() and text in path.read_text():
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path} never said {text!r}")


def test_stopping_takes_the_workers_along(fleet: Fleet) -> None:
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print(p.pid, 'up', flush=True); p.wait()"
    process = python(fleet, code)
    worker = int(wait_for(process.log, "up").split()[0])

    assert fleet.stop() == []

    assert not process.running
    gone = time.monotonic() + 3
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != "zombie" and time.monotonic() < gone:
        time.sleep(0.01)
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == "zombie"


def test_who_does_not_listen_is_killed_and_named(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 0.3)
    process = python(fleet, f"import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); {SLEEP}")
    wait_for(process.log, "up")

    [fault] = fleet.stop()

    assert "one did not stop" in fault
    assert not process.running


def test_one_can_be_stopped_alone(fleet: Fleet) -> None:
    first, second = python(fleet, SLEEP), python(fleet, SLEEP, "two")

    fleet.stop(first)

    assert not first.running
    assert second.running


def test_who_ends_by_itself_is_named_with_the_end_of_its_log(fleet: Fleet) -> None:
    process = python(fleet, "import sys; print('no such file: x.toml'); sys.exit(3)")
    process.popen.wait()

    with pytest.raises(BearerwatchError, match=r"one ended by itself with status 3; .*\n.*no such file: x.toml"):
        fleet.check()
    assert fleet.stop() == [f"one ended with status 3; see {process.log}"]


def test_a_port_is_handed_over_and_freed(fleet: Fleet) -> None:
    with listening() as sock:
        port, descriptor = sock.getsockname()[1], sock.fileno()
        code = f"import socket; s = socket.socket(fileno={descriptor}); c, _ = s.accept(); c.sendall(b'hello'); c.close(); {SLEEP}"
        python(fleet, code, inherit=[sock])
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        assert connection.recv(10) == b"hello"

    fleet.stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_the_command_lines_of_workers_are_told_too(fleet: Fleet) -> None:
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); print('up', flush=True); p.wait()"
    process = python(fleet, code)
    wait_for(process.log, "up")

    assert f"-c {SLEEP}" in fleet.command_lines().replace("\n-c", " -c")
    assert len(fleet.command_lines().splitlines()) == 2
