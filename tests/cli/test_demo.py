from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bearerwatch.demo


@pytest.mark.parametrize("code", [0, 1, 130])
def test_options_reach_the_demonstration_and_its_code_comes_back(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
) -> None:
    """The demonstration itself takes a minute and has tests of its own."""
    asked: list[Any] = []
    monkeypatch.setattr(bearerwatch.demo, "run", lambda **options: asked.append(options) or code)
    assert run("demo").code == code
    assert run("demo", "--keep", "--json", "--seed", "7", "--out", tmp_path).code == code
    assert asked == [
        {"keep": False, "as_json": False, "seed": None, "out": None},
        {"keep": True, "as_json": True, "seed": 7, "out": tmp_path},
    ]
