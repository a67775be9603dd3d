"""``bearerwatch redact``: a filter amid a pipe."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import fakes
from bearerwatch.fingerprint import KeyRing
from bearerwatch.leaks import filter as filter_module

Run = Callable[..., Any]
RING = KeyRing([b"k" * 32])
COMMAND = [sys.executable, "-m", "bearerwatch.cli", "redact"]
ENV = os.environ | {"BEARERWATCH_KEYS": "k" * 32}
INTERRUPTIBLE = """
import signal, sys
from bearerwatch.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # this run's own may be ignored
sys.exit(main(["redact", *sys.argv[1:]]))
"""


def passed(data: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *options], input=data, env=ENV, capture_output=True, check=False, timeout=60)


def test_all_but_the_token_passes_byte_for_byte() -> None:
    token = fakes.opaque()
    data = (
        b"\xff\r\n\n\x00Bearer " + token.encode() + b" \xe9\r\nlast " + b"x y" * 500_000 + b" Bearer " + token.encode()
    )
    ran = passed(data)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout == data.replace(token.encode(), f"[token {RING.token_id(token)}]".encode())
    again = passed(ran.stdout, "--count")
    assert again.stdout == ran.stdout
    assert again.stderr == b"0 redacted\n"


def test_counts_on_standard_error() -> None:
    ran = passed(f"Bearer {fakes.opaque()}\nclean\npassword={fakes.opaque(20)}7\n".encode(), "--count")
    assert (ran.returncode, ran.stderr) == (0, b"2 redacted\n")


def test_nothing_in_nothing_out() -> None:
    assert passed(b"").stdout == b""


@pytest.fixture
def running() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "--count"],
        env=ENV,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    yield process
    process.kill()
    process.communicate()


def said(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return os.read(process.stdout.fileno(), 1 << 16) if ready else b""


def send(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def test_a_line_goes_out_when_the_input_pauses_and_half_a_token_does_not(running: subprocess.Popen[bytes]) -> None:
    token = fakes.opaque()
    send(running, f"first Bearer {token}\nsecond Bearer {token[:20]}".encode())
    mark = f"[token {RING.token_id(token)}]"
    assert said(running, 20) == f"first Bearer {mark}\n".encode()
    assert said(running, 0.2) == b""
    send(running, f"{token[20:]}\n".encode())
    assert said(running, 20) == f"second Bearer {mark}\n".encode()


def test_an_interrupt_ends_it_quietly(running: subprocess.Popen[bytes]) -> None:
    send(running, b"one\n")
    assert said(running, 20) == b"one\n"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=20)
    assert (running.returncode, err) == (130, b"0 redacted\n")


def test_a_reader_that_goes_away_ends_it_quietly(running: subprocess.Popen[bytes]) -> None:
    assert running.stdout is not None
    send(running, b"one\n")
    assert said(running, 20) == b"one\n"
    running.stdout.close()
    running.stdout = None
    send(running, b"two\n")
    running.wait(timeout=20)
    assert running.stderr is not None
    assert (running.returncode, running.stderr.read()) == (141, b"0 redacted\n")


@pytest.mark.usefixtures("swallowing")
def test_an_error_of_ours_cuts_nobody_off_and_lets_nothing_through(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    token = fakes.opaque()
    real = filter_module.Scanner.__call__
    calls: list[int] = []

    def failing(self: Any, piece: Any) -> Any:
        calls.append(1)
        if b"Bearer" in piece.data:
            raise RuntimeError(token)
        return real(self, piece)

    monkeypatch.setattr(filter_module.Scanner, "__call__", failing)
    ran = run("redact", stdin=f"Bearer {token}\n")
    assert (ran.code, ran.out) == (0, "[redaction-error]\n")
    assert fakes.leaked(token, ran.out, ran.err) == []
    assert calls
