"""The demonstration as a stranger runs it; and run against itself: with one service uninstrumented it must fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.soak

PLAIN_FLASK = """
import sys
from pathlib import Path
from bearerwatch.demo import driver, run, stage
driver._QUIET_SECONDS, driver._ALERT_SECONDS = 4.0, 3.0
stage._COMMANDS["flask"] = lambda fd: stage._gunicorn("flask_api.plain:app", fd)
sys.exit(run(as_json=True, out=Path(sys.argv[1])))
"""


def processes_of(out: Path) -> list[str]:
    """Command lines of processes whose environment names *out*."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(out).encode() in (folder / "environ").read_bytes() and folder.name != str(os.getpid()):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_all_of_it_is_true(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "bearerwatch.cli", "demo", "--json", "--out", str(out)],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert [attack["noticed"] for attack in told["attacks"]] == [True] * 6
    assert told["recount"]["complete"] > 1000
    assert {"success", "anonymous", "missing", "malformed", "invalid", "expired", "revoked", "insufficient_scope",
            "forbidden", "throttled", "error"} == set(told["recount"]["outcomes"])  # fmt: skip
    assert told["thread"]["places"] == ["gateway", "shop-django", "shop-flask", "shop-worker"]
    assert told["sweep"]["planted"] >= 15
    assert "All of it is true." in done.stderr
    assert processes_of(out) == []


def test_an_uninstrumented_service_is_found_out(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_FLASK, str(tmp_path / "out")],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip

    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert not told["ok"]
    assert {a["attack"]: a["noticed"] for a in told["attacks"]} == {
        "brute force": False,
        "token guessing": True,
        "token sharing": True,
        "request burst": False,
        "object enumeration": True,
        "token replay": True,
    }
    assert told["thread"]["missing"] == ["shop-flask tells nothing of it"]
    assert told["recount"]["missing"] > 100
    assert all("logs/shop-flask.log" in leak for leak in told["sweep"]["leaks"])
    assert told["sweep"]["leaks"]
    assert told["sweep"]["missed"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_kept_running_until_it_is_told_to_stop(number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shown = (tmp_path / "stderr").open("w")
    with shown, subprocess.Popen(
        [sys.executable, "-m", "bearerwatch.cli", "demo", "--keep", "--out", str(out)], stderr=shown
    ) as demo:  # fmt: skip
        deadline = time.monotonic() + 150
        while "Still running" not in (tmp_path / "stderr").read_text() and time.monotonic() < deadline:
            assert demo.poll() is None
            time.sleep(0.5)
        assert len(processes_of(out)) >= 7
        demo.send_signal(number)
        assert demo.wait(20) == 0
    assert processes_of(out) == []


def test_interrupted_in_the_middle_it_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-m", "bearerwatch.cli", "demo", "--out", str(out)], stderr=subprocess.DEVNULL
    ) as demo:
        deadline = time.monotonic() + 60
        while not (out / "client.jsonl").exists() or (out / "client.jsonl").stat().st_size < 20_000:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 130
    assert processes_of(out) == []
