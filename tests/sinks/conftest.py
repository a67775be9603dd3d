"""A spool, and its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bearerwatch.sinks import spool
from bearerwatch.sinks.spool import SpoolSink


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "app"


@pytest.fixture
def sink(folder: Path) -> Iterator[SpoolSink]:
    opened = SpoolSink(folder)
    yield opened
    opened.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the sink's clock on."""
    ahead = 0.0

    def advance(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(spool, "monotonic", lambda: time.monotonic() + ahead)
    return advance
