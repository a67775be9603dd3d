"""Lines as logs have them, and a run of the whole over some files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bearerwatch.leaks.scan import Leak
from bearerwatch.leaks.sources import sources
from bearerwatch.leaks.sweep import Sweep


class Swept(NamedTuple):
    leaks: list[tuple[str, Leak]]
    problems: list[tuple[str, str]]
    remarks: list[tuple[str, str]]


@pytest.fixture
def sweep() -> Callable[..., Swept]:
    def run(*paths: Path | str, **options: Any) -> Swept:
        swept = Swept([], [], [])
        one = Sweep(
            problem=lambda *told: swept.problems.append(told),
            remark=lambda *told: swept.remarks.append(told),
            **options,
        )
        for source in sources([str(path) for path in paths], lambda *told: swept.problems.append(told)):
            swept.leaks.extend((source.name, leak) for leak in one(source))
        return swept

    return run
