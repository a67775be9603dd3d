"""Units are found by file name."""

from __future__ import annotations

import pytest

from bearerwatch import _units


def test_the_sinks_are_found_and_private_modules_are_not() -> None:
    found = _units.names("bearerwatch.sinks")
    assert found == sorted(found)
    assert {"log", "spool", "stdout"} <= set(found)
    assert not any(name.startswith("_") for name in found)


def test_one_unit_is_loaded_by_name() -> None:
    assert _units.load("bearerwatch.sinks", "stdout").__name__ == "bearerwatch.sinks.stdout"


@pytest.mark.parametrize("name", ["nowhere", "_encode", "../os", "os", ""])
def test_any_other_name_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(LookupError, match="there are: .*spool"):
        _units.load("bearerwatch.sinks", name)
