"""The areas: one file each, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Protocol, cast

import bench
from bench._rows import Measured

__all__ = ["Area", "areas"]


class Area(Protocol):
    """What a file of this package without a leading underscore has to offer."""

    IDS: tuple[str, ...]
    """The benchmarks it can run."""
    METHOD: str
    """How they are measured, as Markdown."""

    def run(self, ids: list[str], *, quick: bool) -> Iterator[Measured]:
        """Measure *ids*, some of ``IDS``."""


def areas() -> list[Area]:
    """Every area, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))
    return [cast("Area", importlib.import_module(f"bench.{name}")) for name in names]
