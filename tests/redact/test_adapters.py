"""The adapters for other people's libraries are loaded by those who use them, and say so where a library is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIBRARIES = ("django", "granian", "loguru", "opentelemetry", "sentry_sdk", "structlog")
LOADED = f"""
import sys
import bearerwatch, bearerwatch.asgi, bearerwatch.redact, bearerwatch.redact.logging
bearerwatch.install_logging()
print([name for name in {LIBRARIES} if name in sys.modules])
print([name for name in sys.modules if name.startswith("bearerwatch.redact.") and name.rpartition(".")[2] in {LIBRARIES}])
"""
WITHOUT = """
import sys
sys.modules[{library!r}] = None
import bearerwatch.redact.{adapter}
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)


def test_nothing_is_loaded_that_is_not_used() -> None:
    assert run(LOADED).stdout.splitlines() == ["[]", "[]"]


@pytest.mark.parametrize("library", ["loguru", "opentelemetry"])
def test_without_its_library_an_adapter_says_what_to_install(library: str) -> None:
    done = run(WITHOUT.format(library=library, adapter=library))
    assert done.returncode == 1
    assert "bearerwatch.errors.DidNotEnable: " in done.stderr.splitlines()[-1]
    assert "is not installed" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("library", "adapter"), [("structlog", "structlog"), ("sentry_sdk", "sentry")])
def test_two_adapters_need_nothing_of_their_library(library: str, adapter: str) -> None:
    assert run(WITHOUT.format(library=library, adapter=adapter)).returncode == 0
