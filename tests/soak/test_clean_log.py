"""A gigabyte of real-looking log without tokens comes out byte for byte, in little memory."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

_TESTS = Path(__file__).resolve().parent.parent
_MOST = 100
"""Megabytes of memory, whatever the size of the log."""


def run(way: str, megabytes: int, accel: str, folder: Path, seed: int = 3) -> None:
    env = os.environ | {"PYTHONPATH": str(_TESTS), "BEARERWATCH_ACCEL": accel, "BEARERWATCH_KEYS": "k" * 32}
    done = subprocess.run(
        [sys.executable, "-m", "soak.clean_log", way, str(megabytes), str(seed), str(folder)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"SOAK_SEED={seed}: {done.stderr}"
    told = json.loads(done.stdout)
    print(way, accel or "on", f"SOAK_SEED={seed}", told)  # noqa: T201 - quoted where the long runs are reported
    assert told["same"], f"SOAK_SEED={seed}: {told}"
    assert told.get("where", [1]) == [1]
    assert told["bytes"] >= megabytes << 20
    assert told["peak_mb"] <= _MOST


@pytest.mark.parametrize("accel", ["", "off"])
@pytest.mark.parametrize("way", ["stream", "file"])
def test_some_megabytes(way: str, accel: str, tmp_path: Path) -> None:
    run(way, 8 if not accel else 2, accel, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("accel", ["", "off"])
@pytest.mark.parametrize("way", ["stream", "file"])
def test_a_gigabyte(way: str, accel: str, tmp_path: Path) -> None:
    run(way, 1024, accel, tmp_path, seed=int(os.environ.get("SOAK_SEED", "").partition("/")[0] or secrets.randbits(31)))
    (tmp_path / "app.log").unlink(missing_ok=True)
