"""The versions that adapters name are those that are played, and the doctor has nothing to say of them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata

import pytest

from bearerwatch.doctor.checks.libraries import is_tested
from bearerwatch.integrations.libraries import Adapter, adapters
from libraries.versions import ROOT, chosen, newest, numbers, oldest, short

ADAPTERS = pytest.mark.parametrize("adapter", adapters(), ids=[adapter.module for adapter in adapters()])
_FLOOR = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?>=([0-9.]+)")


@ADAPTERS
def test_an_adapter_names_the_first_and_the_last_version_that_is_played(adapter: Adapter) -> None:
    name = adapter.distribution.lower()
    assert adapter.tested == (short(oldest()[name]), short(newest()[name][-1]))


@ADAPTERS
def test_the_doctor_takes_both_as_tested_and_what_lies_outside_as_not(adapter: Adapter) -> None:
    name = adapter.distribution.lower()
    assert is_tested(adapter, oldest()[name])
    assert is_tested(adapter, newest()[name][-1])
    major, minor = numbers(newest()[name][-1])[:2]
    assert not is_tested(adapter, f"{major}.{minor + 1}")
    assert not is_tested(adapter, "0.0.1")


@pytest.mark.parametrize("name", chosen())
def test_what_is_installed_is_what_is_locked(name: str) -> None:
    """Or a row of the page would be of versions that nobody has played."""
    assert metadata.version(name) in {oldest()[name.lower()], *newest()[name.lower()]}


def _floors() -> Iterator[tuple[str, str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    del extras["otlp"]  # what ours are sent by is newer than the OpenTelemetry that an application may have
    for needed in [*project["dependencies"], *(one for some in extras.values() for one in some)]:
        found = _FLOOR.match(needed)
        if found is not None and found[1].lower() in {name.lower() for name in chosen()}:
            yield found[1].lower(), found[2]


@pytest.mark.parametrize(("name", "floor"), sorted(set(_floors())))
def test_what_the_package_asks_for_is_the_oldest_that_is_played(name: str, floor: str) -> None:
    there = numbers(oldest()[name])
    assert there[: len(numbers(floor))] == numbers(floor)
