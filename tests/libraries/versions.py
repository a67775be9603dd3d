"""The versions of the libraries that are played: the oldest bearerwatch holds for, and the newest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from libraries.cases import Cell, NotThere

__all__ = ["ROOT", "Before", "chosen", "expected_of", "newest", "numbers", "oldest", "short", "since"]

ROOT = Path(__file__).parents[2]
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==([0-9][^\s;\\]*)", re.MULTILINE)


class Before(NamedTuple):
    """Cells that were others before a version of a library, which is said on the page of the matrix."""

    distribution: str
    version: str
    said: str
    """What was otherwise."""
    cells: dict[str, Cell | NotThere]
    stacks: str = ""
    """What the names of the stacks begin with that it is about."""


def numbers(version: str) -> tuple[int, ...]:
    """What versions are compared by."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", version)[:3])


def short(version: str) -> str:
    """As far as adapters name it: ``3.15`` of ``3.15.2``."""
    return ".".join(version.split(".")[:2])


def since(distribution: str, version: str) -> bool:
    """Whether what is installed is at least of that *version*."""
    return numbers(metadata.version(distribution)) >= numbers(version)


def expected_of(
    expected: dict[str, Cell | NotThere], before: Sequence[Before], case: str, stack: str
) -> Cell | NotThere:
    """What is expected of the versions that are installed."""
    for older in before:
        if case in older.cells and stack.startswith(older.stacks) and not since(older.distribution, older.version):
            return older.cells[case]
    return expected[case]


@cache
def oldest() -> dict[str, str]:
    """By distribution the version that is locked for `make oldest`."""
    return {name.lower(): version for name, version in _PINNED.findall(_text("requirements/oldest.txt"))}


@cache
def newest() -> dict[str, tuple[str, ...]]:
    """By distribution the version that is locked for `make test`, or several: by the version of Python."""
    found: dict[str, tuple[str, ...]] = {}
    for name, version in _PINNED.findall(_text("requirements/dev.txt")):
        found[name.lower()] = (*found.get(name.lower(), ()), version)
    return found


@cache
def chosen() -> tuple[str, ...]:
    """The distributions whose oldest version is chosen: the first paragraph of ``requirements/oldest.in``."""
    first, _, _ = _text("requirements/oldest.in").partition("\n\n")
    return tuple(name for name, _ in _PINNED.findall(first))


def _text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
