"""django-ninja: what the cases of the matrix do not have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from libraries.matrix import KEY

TESTS = Path(__file__).parents[1]


@cache
def told() -> dict[str, list[object]]:
    """By request the outcome, reason, status, verified, and subject."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BEARERWATCH_")}
    own = {
        "BEARERWATCH_SINKS": "log",
        "BEARERWATCH_PLAIN_SUBJECTS": "true",
        "BEARERWATCH_KEYS": KEY,
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "libraries.sites.ninja_more"],
        cwd=TESTS,
        env=kept | own,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[object]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("user", ["success", None, 200, True, "41"]),
        ("text", ["success", None, 200, True, None]),  # which is the token
        ("beside a session", ["success", None, 200, False, None]),  # let in for the session's sake
        ("in the query of a session's operation", ["missing", "query_token", 401, False, None]),
        ("in the query that is looked at", ["invalid", "query_token", 401, False, None]),
        ("where an authenticator may look", ["invalid", "query_token", 401, False, None]),
        ("late and forbidden", ["forbidden", None, 403, True, "41"]),
        ("broken", ["error", None, 500, True, "41"]),
    ],
)
def test_event(request_: str, expected: list[object]) -> None:
    assert told()[request_] == expected
