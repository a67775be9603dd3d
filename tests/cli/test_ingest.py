"""Finished access logs become events, each line once, and what is refused is told of without being repeated."""

from __future__ import annotations

import bz2
import gzip
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import fakes
from bearerwatch.event import REPEATED
from bearerwatch.leaks.packed import zstd
from bearerwatch.server.lock import StateLock
from bearerwatch.store.folders import state_folder
from bearerwatch.store.reader import Reader

Run = Callable[..., Any]


def _line(number: int, status: int = 200, *, target: str = "", ago: float = 3_600.0) -> str:
    stamp = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'203.0.113.7 - - [{stamp}] "GET /orders/{number}{target} HTTP/1.1" {status} 12 "-" "curl/8"\n'


def _log(folder: Path, *lines: str, name: str = "access.log") -> Path:
    path = folder / name
    path.write_text("".join(lines))
    os.utime(path, (time.time() - 300, time.time() - 300))  # nobody writes to it any more
    return path


@pytest.fixture
def ingest(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("BEARERWATCH_KEYS", "k" * 32)
    monkeypatch.setenv("BEARERWATCH_STATE", str(tmp_path / "state"))

    def call(*argv: Any, layout: str = "nginx", **options: Any) -> Any:
        return run("ingest", *argv, "--format", layout, "--service", "edge", **options)

    return call


def _events(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run("events", "--since", "30d", "--limit", "10000", "--json").rows
    return found


def test_a_log_becomes_events(ingest: Run, run: Run, tmp_path: Path) -> None:
    path = _log(tmp_path, *(_line(number) for number in range(10)), _line(10, 401))
    ran = ingest(path)

    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"{path}: 11 lines, 11 events\n"
    events = _events(run)
    assert {event["path"] for event in events} == {f"/orders/{number}" for number in range(11)}
    assert {(event["service"], event["source"]) for event in events} == {("edge", "access:edge")}
    assert sum(event["outcome"] == "missing" for event in events) == 1


def test_given_again_under_whatever_name_it_adds_nothing(ingest: Run, run: Run, tmp_path: Path) -> None:
    lines = [_line(number) for number in range(60)]
    path = _log(tmp_path, *lines)
    ingest(path)
    packed = tmp_path / "access.log.1.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    moved = path.rename(tmp_path / "old.log")

    for given in (moved, packed):
        ran = ingest(given)
        assert ran.code == 0
        assert f"{given}: 0 lines, 0 events, {len(''.join(lines)):,} bytes taken before" in ran.err
    assert "0 lines" in ingest("-", stdin="".join(lines)).err
    assert len(_events(run)) == 60


def test_what_was_added_since_is_taken(ingest: Run, run: Run, tmp_path: Path) -> None:
    path = _log(tmp_path, _line(1))
    ingest(path)
    with path.open("a") as file:
        file.write(_line(2))

    assert "1 lines, 1 events" in ingest(path).err
    assert sorted(event["path"] for event in _events(run)) == ["/orders/1", "/orders/2"]


def test_an_unfinished_line_of_a_growing_log_is_left(ingest: Run, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    whole = _line(2)
    path.write_text(_line(1) + whole[:40])
    ran = ingest(path)
    assert (ran.code, "1 lines, 1 events, 40 bytes of an unfinished line left for the next time" in ran.err) == (
        0,
        True,
    )

    path.write_text(path.read_text() + whole[40:])
    assert "1 lines, 1 events" in ingest(path).err


@pytest.mark.parametrize("packing", ["gz", "zst", "bz2"])
def test_packed_logs_and_patterns(ingest: Run, run: Run, tmp_path: Path, packing: str) -> None:
    module = zstd()
    assert module is not None
    pack = {"gz": gzip.compress, "zst": module.compress, "bz2": bz2.compress}[packing]
    for day in range(3):
        (tmp_path / f"access-{day}.log.{packing}").write_bytes(pack(_line(day, ago=day * 90_000 + 60).encode()))
    ran = ingest(str(tmp_path / f"access-*.{packing}"), "--json")

    assert (ran.code, ran.json["events"], len(ran.json["logs"])) == (0, 3, 3)
    assert len(_events(run)) == 3


def test_refused_lines_are_told_of_by_number_and_kept_redacted(ingest: Run, tmp_path: Path) -> None:
    """And never repeated: somebody's token may stand there."""
    token, opaque = fakes.jwt(), fakes.opaque()
    lines = [_line(1), "\n", f"no line with Bearer {token}\n", _line(2), f"{opaque}\n", *["x\n"] * 9, _line(3)]
    ran = ingest(_log(tmp_path, *lines))

    assert ran.code == 1
    assert "14 lines, 3 events, 11 refused" in ran.err
    assert "  line 3: the line is not of the nginx layout; say --format 'nginx:<its layout>'" in ran.err
    assert "  line 5: " in ran.err
    assert "  and 6 more; see quarantine" in ran.err
    (kept,) = (tmp_path / "state" / "quarantine").glob("*.jsonl")
    assert len(kept.read_text().splitlines()) == 11
    for path in [path for path in (tmp_path / "state").rglob("*") if path.is_file()]:
        assert fakes.leaked(token, path.read_bytes(), ran.err) == [], path
        assert fakes.leaked(opaque, path.read_bytes(), ran.err) == [], path


def test_a_token_in_a_query_string_is_an_event_of_its_own(ingest: Run, run: Run, tmp_path: Path) -> None:
    token = fakes.opaque()
    path = _log(tmp_path, *(_line(number, target=f"?access_token={token}") for number in range(3)))
    assert "3 lines, 4 events" in ingest(path).err

    leak = next(event for event in _events(run) if event["kind"] == "leak")
    assert (leak["detail"], leak["count"]) == (f"{path} query string", 3)
    assert leak["token_id"] == next(event["token_id"] for event in _events(run) if event["kind"] == "auth")
    shown = run("leaks", "--live", "--since", "1d", "--json")
    assert [(row["file"], row["times"]) for row in shown.rows] == [(f"{path} query string", 3)]


def test_attacks_of_old_are_kept_and_sent_to_nobody(ingest: Run, run: Run, tmp_path: Path) -> None:
    ingest(_log(tmp_path, *(_line(number, 401, ago=90_000 - number) for number in range(105))))

    (alert,) = run("alerts", "--json").rows
    assert (alert["rule"], alert["key"]) == ("brute_force_address", {"client_ip": "203.0.113.7"})
    assert alert["closed_at"] is not None


def test_requests_that_were_told_of_are_not_counted_again(ingest: Run, run: Run, tmp_path: Path) -> None:
    """Though they were told of long before, and to another process; but an id hides no more than was told of."""
    layout = 'nginx:$remote_addr [$time_iso8601] "$request" $status $request_id'
    stamp = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    lines = [f'203.0.113.7 [{stamp}] "GET /{n} HTTP/1.1" 502 request-{n:04d}\n' for n in range(3)]
    assert run("ingest", "-", "--format", layout, "--service", "inner", stdin="".join(lines)).code == 0
    assert ingest("-", layout=layout, stdin="".join([*lines, lines[0], lines[0].replace("-0000", "-9999")])).code == 0

    found = [event for event in _events(run) if event["service"] == "edge"]
    assert sorted(event["reason"] or "" for event in found) == ["", "", REPEATED, REPEATED, REPEATED]


def test_damaged_and_missing_logs_keep_no_other_from_being_read(ingest: Run, run: Run, tmp_path: Path) -> None:
    cut = tmp_path / "a.gz"
    cut.write_bytes(gzip.compress("".join(_line(n, ago=9_000) for n in range(5_000)).encode())[:-3_000])
    bad = tmp_path / "b.gz"
    bad.write_bytes(b"\x1f\x8b" + bytes(40))
    good = _log(tmp_path, _line(9_999))
    ran = ingest(cut, bad, good)

    assert ran.code == 1
    assert f"{cut}: " in ran.err
    assert ", 0 refused" in ran.err
    assert "its data is damaged or cut off: what comes before that was taken" in ran.err
    assert (
        f"{bad}: its packed data is damaged" in ran.err or f"{bad}: 0 lines, 0 events, its data is damaged" in ran.err
    )
    assert f"{good}: 1 lines, 1 events" in ran.err
    assert any(event["path"] == "/orders/9999" for event in _events(run))


def test_no_collector_may_be_running(ingest: Run, tmp_path: Path) -> None:
    """Two would count each other's lines; the message says how it is done beside one."""
    lock = StateLock(state_folder(tmp_path / "state"))
    try:
        ran = ingest(_log(tmp_path, _line(1)))
    finally:
        lock.release()

    assert ran.code == 2
    assert "works on" in ran.err
    assert "--tail FORMAT@SERVICE:PATH" in ran.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["nothing-*.gz", "--format", "nginx"], "no pattern that fits one"),
        (["x", "--format", "iis"], "there are: alb, apache"),
        (["x", "--format", "nginx:$host"], "neither a request nor a status"),
        (["x", "--format", "nginx", "--log-zone", "Mars/Olympus"], "--log-zone is UTC or a name"),
        (["x", "--format", "nginx", "--service", "a b"], "--service: a service's name"),
    ],
)
def test_what_cannot_be_done_says_what_to_mend(run: Run, tmp_path: Path, argv: list[str], said: str) -> None:
    ran = run("ingest", *argv)

    assert ran.code == 2
    assert said in " ".join(ran.err.split())


def test_times_without_a_zone_are_of_the_one_that_is_named(ingest: Run, run: Run, tmp_path: Path) -> None:
    local = (datetime.now(UTC) + timedelta(hours=9) - timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S")
    path = _log(tmp_path, f'{local} INFO:     203.0.113.7:4711 - "GET / HTTP/1.1" 200 OK\n', "INFO:     Started\n")
    ran = ingest(path, "--log-zone", "Asia/Tokyo", layout="uvicorn")

    assert "2 lines, 1 events, 1 about no request" in ran.err
    (event,) = _events(run)
    ago = datetime.now(UTC) - datetime.fromisoformat(event["ts"])
    assert timedelta(hours=2) <= ago < timedelta(hours=2, minutes=2)


@pytest.mark.soak
def test_killed_in_the_middle_and_given_again(ingest: Run, run: Run, tmp_path: Path) -> None:
    """Whatever was committed is passed over, and the rest is taken: each line is one event."""
    count = 90_000
    path = _log(tmp_path, *(_line(number, ago=86_400 - number / 2) for number in range(count)))
    env = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    command = [sys.executable, "-m", "bearerwatch.cli", "ingest", str(path), "--format", "nginx", "--service", "edge"]
    for _ in range(2):
        before = len(list((tmp_path / "state" / "lake").rglob("*.parquet")))
        with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 90
            while len(list((tmp_path / "state" / "lake").rglob("*.parquet"))) <= before:
                assert time.monotonic() < deadline, "nothing is committed"
                time.sleep(0.05)
            time.sleep(0.3)
            process.kill()
    ran = ingest(path, "--json")
    assert ran.code == 0
    assert 0 < ran.json["events"] < count

    with Reader(tmp_path / "state") as reader:
        sql = "SELECT count(*) AS events, count(DISTINCT event_id) AS ids, count(DISTINCT path) AS paths FROM {events}"
        assert reader.query(sql) == [{"events": count, "ids": count, "paths": count}]
