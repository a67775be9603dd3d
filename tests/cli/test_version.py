from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from bearerwatch import __version__


def test_it_says_what_is_installed(run: Callable[..., Any]) -> None:
    assert run("version").out.startswith(f"bearerwatch {__version__}, Python {platform.python_version()}\n")
    found = run("version", "--json").json
    assert found["bearerwatch"] == __version__
    assert found["libraries"]["duckdb"]


def test_the_short_form_agrees(run: Callable[..., Any]) -> None:
    assert run("--version").out == f"bearerwatch {__version__}\n"
