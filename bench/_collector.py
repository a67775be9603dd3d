"""A real ``bearerwatch serve`` in a process of its own, and what it uses."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

__all__ = ["environment", "serving", "used"]


def environment(state: Path, **more: str) -> dict[str, str]:
    """The environment of applications and collector: one state folder, one key, nothing of the caller's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BEARERWATCH_")}
    return {
        **kept,
        "BEARERWATCH_STATE": str(state),
        "BEARERWATCH_KEYS": secrets.token_hex(32),
        "BEARERWATCH_WEBHOOK_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "PYTHONUNBUFFERED": "1",
        **more,
    }


@contextmanager
def serving(env: Mapping[str, str], log: Path) -> Iterator[psutil.Process]:
    """A collector that has said it is ready; ended with SIGTERM, as a service manager would."""
    command = [sys.executable, "-m", "bearerwatch.cli", "serve", "--json"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        patience = time.monotonic() + 30
        while b'"pid"' not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > patience:
                raise RuntimeError(f"the collector does not start; it said:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield psutil.Process(process.pid)
        if process.poll() is not None:
            raise RuntimeError(f"the collector ended by itself; it said:\n{log.read_text(errors='replace')[-2000:]}")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def used(process: psutil.Process) -> tuple[float, float]:
    """Processor seconds used so far (user and system) and megabytes resident now."""
    with process.oneshot():
        times = process.cpu_times()
        return times.user + times.system, process.memory_info().rss / 1e6
