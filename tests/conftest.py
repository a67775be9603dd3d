"""Every test has a process of its own as far as bearerwatch can tell: no settings, key, hook or file of another's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bearerwatch import _guard, _trace, context, observe, uninstall_logging
from bearerwatch.context import live
from bearerwatch.fingerprint import KeyRing, use
from bearerwatch.redact import logging as redact_logging
from bearerwatch.redact.live import LIVE_TEXT
from bearerwatch.sinks import spool
from fakes import draw
from postgres import postgres, postgres_database, postgres_url  # noqa: F401 - fixtures for everybody

# A busy machine is slow, which is no finding.
settings.register_profile("bearerwatch", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bearerwatch")

TEST_KEY = b"a fingerprint key for tests alone"


def _seed(config: pytest.Config) -> str:
    """What ``--randomly-seed`` says: `make test` always the same, so that a failure is one of the change tested."""
    return str(config.getoption("randomly_seed", default=0))


def pytest_configure(config: pytest.Config) -> None:
    """Credentials that are made up while tests are collected are of the seed, too."""
    draw.seed(_seed(config))


@pytest.fixture(autouse=True)
def own_process(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Isolates ``BEARERWATCH_*``, the state folder, the key ring and the hooks; raises what would be swallowed."""
    draw.seed(f"{_seed(request.config)} {request.node.nodeid}")
    for name in [name for name in os.environ if name.startswith("BEARERWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BEARERWATCH_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(_trace, "tracer", None)
    monkeypatch.setattr(context, "_told", context._told)
    use(KeyRing([TEST_KEY]))
    _guard.reset()
    _guard.reraise(True)
    yield
    _guard.reraise(False)
    uninstall_logging()
    use(None)
    observe.reset_watches()
    observe._agent.cache_clear()
    for sink in list(spool._all):
        sink.close()
    if (django := sys.modules.get("bearerwatch.integrations.django")) is not None:
        django.forget_watch()
    live._held.clear()
    live._passwords.clear()
    live.fresh.clear()
    live.slashed = 0
    LIVE_TEXT._forget()
    redact_logging._culprits.clear()


@pytest.fixture
def swallowing() -> Iterator[None]:
    """As in production: an error of ours is counted and goes no further."""
    _guard.reraise(False)
    yield
    _guard.reraise(True)


@pytest.fixture
def spool_lines(tmp_path: Path) -> Callable[..., list[bytes]]:
    """Reads the spool: every line of every segment, in the order of their names."""

    def read(folder: Path = tmp_path / "state" / "spool") -> list[bytes]:
        return [line for path in sorted(folder.rglob("*.jsonl")) for line in path.read_bytes().splitlines()]

    return read
