"""Collectors that are closed when their test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bearerwatch.detect.ir import Rule
from detect.world import Collector


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Make collectors; all are closed at the end."""
    made: list[Collector] = []

    def make(*rules: Rule, lateness: float = 60) -> Collector:
        made.append(Collector(tmp_path, rules, lateness=lateness))
        return made[-1]

    yield make
    for one in made:
        one.close()
