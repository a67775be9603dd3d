"""``bearerwatch simulate`` writes what it says, and refuses what it cannot do with the mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.detect.truth import read_truth
from bearerwatch.simulate.attacks import ATTACKS

Run = Callable[..., Any]
QUICK = ("--events", "1000", "--only", "token_guessing", "--seed", "3")


def test_a_day_is_written_with_its_truth(run: Run, tmp_path: Path) -> None:
    ran = run("simulate", "--out", tmp_path / "day", *QUICK, "--json")
    assert ran.code == 0
    assert ran.json["attacks"] == 4
    assert ran.json["events"] > 1_000
    assert len([one for one in read_truth(tmp_path / "day" / "truth.json").marked if one.attack]) == 4
    assert {path.suffix for path in (tmp_path / "day" / "events").iterdir()} == {".parquet"}


def test_what_is_there_is_not_written_over(run: Run, tmp_path: Path) -> None:
    assert run("simulate", "--out", tmp_path, *QUICK, "--format", "ndjson").code == 0
    ran = run("simulate", "--out", tmp_path, *QUICK)
    assert ran.code == 2
    assert "name another folder" in ran.err


def test_the_knobs_of_each_kind_are_listed(run: Run) -> None:
    assert [line.split()[0] for line in run("simulate", "--kinds").out.splitlines()] == list(ATTACKS)
    assert [one["kind"] for one in run("simulate", "--kinds", "--json").json] == list(ATTACKS)


def test_a_replay_goes_to_the_spool(run: Run, tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    ran = run("simulate", "--replay", tmp_path / "spool", "--speed", "1000000", "--truth", truth, *QUICK)
    assert ran.code == 0
    assert len(list((tmp_path / "spool").glob("*/*.jsonl"))) >= 5
    assert len([one for one in read_truth(truth).marked if one.attack]) == 4


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "either --out DIR"),
        (["--out", "a", "--replay", "b"], "either --out DIR"),
        (["--out", "a", "--format", "csv"], "parquet or ndjson"),
        (["--out", "a", "--only", "phishing"], "token_guessing"),
        (["--out", "a", "--tune", "token_guessing.events=9-3"], "range N-M"),
        (["--out", "a", "--tune", "token_guessing.window=3-9"], "range N-M"),
        (["--out", "a", "--tune", "token_guessing.speed=3"], "--kinds lists both"),
        (["--out", "a", "--tune", "x"], "--kinds lists both"),
        (["--out", "a", "--start", "yesterday"], "--start is a date"),
        (["--out", "a", "--lateness", "soon"], "--lateness is a length of time"),
    ],
)
def test_what_cannot_be_is_told_with_the_mend(run: Run, argv: list[str], words: str) -> None:
    ran = run("simulate", *argv)
    assert ran.code == 2
    assert words in ran.err


def test_tuning_is_heard(run: Run, tmp_path: Path) -> None:
    tuned = ("--tune", "token_guessing.each_day=2", "--tune", "token_guessing.events=55")
    assert run("simulate", "--out", tmp_path, *QUICK, *tuned, "--json").json["attacks"] == 2
