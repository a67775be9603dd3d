"""The guide's examples: they parse, and every name they import is public where they say."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/guides/verify.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_an_example_imports_what_there_is(block: str) -> None:
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bearerwatch."):
            source = ROOT / "src" / f"{(node.module or '').replace('.', '/')}.py"
            public = re.search(r"^__all__ = (\[.*?\])", source.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
            assert public is not None, source
            assert {name.name for name in node.names} <= set(ast.literal_eval(public[1])), node.module


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 6
