"""The command: which benchmarks run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench.__main__ import main


def test_a_prefix_chooses_ids(capsys):
    assert main(["--only", "middleware.f", "--list"]) == 0
    assert capsys.readouterr().out.split() == ["middleware.flask"]


def test_an_unknown_prefix_names_what_there_is(capsys):
    assert main(["--only", "nothing"]) == 2
    assert "middleware.django" in capsys.readouterr().err


@pytest.mark.parametrize("variant", ["bearerwatch", "floor", "bare"])
@pytest.mark.parametrize("framework", ["django", "flask", "starlette"])
def test_a_worker_answers_rounds_and_the_event_is_written(tmp_path, framework, variant):
    """What is measured is a request answered with 200 and, but for the bare application, its event on disk."""
    done = subprocess.run(
        [sys.executable, "-m", "bench._worker", framework, variant, str(tmp_path)],
        input="1 5 0\n1 5 1\n",
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={"BEARERWATCH_STATE": str(tmp_path), "BEARERWATCH_KEYS": "0" * 32, "BEARERWATCH_SERVICE": "bench"},
    )
    ready, times, _fresh = done.stdout.splitlines()
    assert ready == "ready"
    assert '"bare"' in times
    lines = [line for file in tmp_path.rglob("*.jsonl") for line in file.read_text().splitlines()]
    served = 300 + 2 * (2 * 5 + 5)  # warming up; twice: warming up again, one chunk
    assert len(lines) == (0 if variant == "bare" else served)
