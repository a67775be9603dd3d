"""Checks what was played, and keeps it for the page of the whole matrix."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bearerwatch.fingerprint import KeyRing
from libraries.cases import CASES, Cell, NotThere
from libraries.versions import Before, expected_of

__all__ = ["HOLDER", "KEY", "check", "played"]

KEY = "a-fingerprint-key-for-tests-alone"
HOLDER = "41"
"""The id of the user whose token is tried."""


@cache
def played(name: str) -> dict[str, dict[str, Any]]:
    """By stack and case what happened."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BEARERWATCH_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("play.py")), name],
        env={**kept, "BEARERWATCH_KEYS": KEY, "BEARERWATCH_SINKS": "log"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def check(
    name: str, expected: dict[str, Cell | NotThere], case: str, issuer: str = "", before: Sequence[Before] = ()
) -> None:
    """That *case* was as *expected*, or as *before* a version, on every stack of library *name*."""
    holder = KeyRing([KEY.encode()]).pseudonym("sub", f"{issuer}\0{HOLDER}")
    for stack, cases in played(name).items():
        got, wanted = cases[case], expected_of(expected, before, case, stack)
        if isinstance(wanted, NotThere):
            assert got == wanted.why, stack
            continue
        assert len(got["events"]) == 1, (stack, got)
        (event,) = got["events"]
        assert (event["outcome"], event["reason"], got["status"], event["verified"]) == wanted[:4], (stack, got)
        assert event["status"] == got["status"], stack
        assert (event["subject_id"] == holder) is wanted.subject, (stack, event["subject_id"], holder)
    assert case in CASES
