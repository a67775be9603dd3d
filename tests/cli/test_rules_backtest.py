"""``bearerwatch rules backtest`` says of files and of the lake what the rules would have told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bearerwatch.detect.truth import FORMAT, Marked, Truth
from detect.world import T0, event

Run = Callable[..., Any]
QUIET = "203.0.113.77"


def _revoked(ip: str, second: float) -> bytes:
    token = f"k00000000:{int(ip.rpartition('.')[2]):032x}"
    told = event(second, "revoked", client_ip=ip, token_id=token, presented_id=token, status=401)
    return msgspec.json.encode(told)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    lines = [_revoked("203.0.113.1", 0), _revoked("203.0.113.1", 5), _revoked("203.0.113.2", 86_400)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def _truth(path: Path, *addresses: str) -> Path:
    marked = [
        Marked(
            id=ip,
            rules=["revoked_token_use"],
            key={"token_id": [f"k00000000:{int(ip.rpartition('.')[2]):032x}"]},
            first=T0,
            last=T0 + timedelta(days=1),
        )
        for ip in addresses
    ]
    truth = Truth(format=FORMAT, since=T0, until=T0 + timedelta(days=2), marked=marked)
    path.write_bytes(msgspec.json.encode(truth))
    return path


def test_each_episode_is_told_with_all_it_is(run: Run, events: Path) -> None:
    ran = run("rules", "backtest", "--events", events, "--rule", "revoked_token_use", "--json")
    assert ran.code == 0
    first, second = sorted(ran.rows, key=lambda row: row["first_hit"])
    token = f"k00000000:{1:032x}"
    assert first | {"id": "", "version": 0} == {
        "rule": "revoked_token_use",
        "version": 0,
        "key": {"token_id": token, "presented_id": token},
        "first_hit": "2026-03-01T12:00:30.000000Z",
        "last_hit": "2026-03-01T12:00:35.000000Z",
        "peak": 2,
        "hits": 2,
        "id": "",
        "level": "high",
    }
    assert len(first["id"]) == 32
    assert second["hits"] == 1


def test_for_people_there_are_days_and_the_noisiest_keys(run: Run, events: Path) -> None:
    ran = run("rules", "backtest", "--events", events, "--rule", "revoked_token_use")
    assert "revoked_token_use  2 episodes, 3 hits; 1.0 a day, most 1 on 2026-03-02" in ran.out
    assert f"1 episode, 2 hits  token_id k00000000:{1:032x}" in ran.out
    assert "1 rules, 2 episodes" in ran.err


def test_what_lies_outside_of_the_time_asked_for_is_left_out(run: Run, events: Path) -> None:
    asked = ("rules", "backtest", "--events", events, "--rule", "revoked_token_use", "--json")
    assert len(run(*asked, "--since", "2026-03-02").rows) == 1
    assert len(run(*asked, "--until", "2026-03-02").rows) == 1
    assert run(*asked, "--since", "2026-03-02", "--until", "2026-03-01").code == 2


def test_rules_are_judged_by_what_is_marked(run: Run, events: Path, tmp_path: Path) -> None:
    asked = ("rules", "backtest", "--events", events, "--rule", "revoked_token_use", "--truth")
    good = run(*asked, _truth(tmp_path / "good.json", "203.0.113.1", "203.0.113.2"), "--json")
    assert (good.code, [row["verdict"] for row in good.rows]) == (0, ["true", "true"])
    bad = run(*asked, _truth(tmp_path / "bad.json", "203.0.113.1", QUIET))
    assert bad.code == 1
    assert "recall 0.50 (1/2), precision 0.50 (1 true, 0 other, 1 false)" in bad.out
    assert f"missed {QUIET}" in bad.out
    assert "made up 2026-03-02 12:00:30" in bad.out


def test_the_lake_is_asked_where_no_file_is_named(run: Run, story: Any) -> None:
    ran = run("rules", "backtest", "--since", "7d", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert run("rules", "backtest", "--since", "7d").err.endswith("episodes\n")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--events", "none.parquet"], "there is no file of events"),
        (["--rule", "no_such_rule"], "--rule is the name of a rule in force"),
        (["--truth", "none.json"], "cannot be read"),
        (["--since", "x"], "--since is"),
    ],
)
def test_what_cannot_be_is_told_with_the_mend(run: Run, argv: list[str], words: str) -> None:
    ran = run("rules", "backtest", *argv)
    assert ran.code == 2
    assert words in ran.err


def test_columns_no_file_has_are_said(run: Run, tmp_path: Path) -> None:
    import duckdb

    duckdb.execute(f"COPY (SELECT 'auth' AS kind, TIMESTAMP '2026-03-01' AS ts) TO '{tmp_path}/a.parquet'")
    ran = run("rules", "backtest", "--events", tmp_path / "a.parquet", "--rule", "revoked_token_use")
    assert ran.code == 0
    assert (
        "revoked_token_use may see nothing: no file has the column outcome, presented_id, reason, token_id" in ran.err
    )
