"""Killed at any moment, the store has exactly what was acknowledged; readers never see a row twice or miss one."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bearerwatch.store import manifest, offsets
from bearerwatch.store.engine import connect
from bearerwatch.store.lake import Lake
from bearerwatch.store.reader import Reader
from bearerwatch.store.state import State

WORKER = Path(__file__).with_name("crash_worker.py")
KEY = ("spool:test", "segment")
SUM = "SELECT count(*) AS rows, count(DISTINCT event_id) AS ids, max(event_id) AS last FROM {events}"


@contextmanager
def writing(folder: Path, url: str, seed: int, grace: float) -> Iterator[subprocess.Popen[str]]:
    """A worker that has begun; killed at the end."""
    tests, source = WORKER.parent.parent, WORKER.parents[2] / "src"
    worker = subprocess.Popen(
        [sys.executable, "-W", "error", WORKER, folder, url, str(seed), str(grace)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{source}"},
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()
        if worker.stdout is not None:
            worker.stdout.close()


def acknowledged(worker: subprocess.Popen[str]) -> int:
    """The last number the killed worker wrote whole."""
    assert worker.stdout is not None
    said = worker.stdout.read()
    whole = said[: said.rfind("\n") + 1].split()
    return int(whole[-1]) if whole else 0


def numbers(state: State, reader: Reader) -> set[int]:
    """Numbers of all events, of which there is none twice."""
    found = [int(row["event_id"].replace("-", ""), 16) for row in reader.query("SELECT event_id FROM {events}")]
    assert len(found) == len(set(found))
    with state.read() as conn:
        assert manifest.totals(conn)[1] == len(found)
    return set(found)


def kill_rounds(folder: Path, url: str, rounds: int, seed: int) -> None:
    rng = random.Random(seed)
    promised = 0
    for turn in range(rounds):
        with writing(folder, url, seed * 1000 + turn, grace=0) as worker:
            assert worker.stdout is not None
            if turn and rng.random() < 0.25:
                time.sleep(rng.uniform(0.2, 1.2))  # perhaps while it starts
            else:
                assert int(worker.stdout.readline()) >= promised
                time.sleep(rng.uniform(0, 0.5))
            worker.kill()
            worker.wait()
            promised = max(promised, acknowledged(worker))
        with Reader(folder, url) as reader, reader.state.read() as conn:
            committed = offsets.get(conn, *KEY) or 0
            assert committed >= promised
            assert numbers(reader.state, reader) == set(range(committed))
        promised = committed
    with closing(State(url)) as state, closing(connect(folder / "tmp")) as con:
        lake = Lake(folder / "lake", state, con, grace=timedelta(0))
        lake.sweep_orphans()
        lake.compact(datetime.now(UTC) + timedelta(days=400))
        with state.read() as conn:
            named = {s.path for s in manifest.live(conn)}
        assert {str(p.relative_to(lake.folder)) for p in lake.folder.rglob("*.parquet*")} == named
        assert lake.verify() == []
    assert promised > 0


def test_killed_a_few_times(folder: Path, url: str) -> None:
    kill_rounds(folder, url, rounds=4 if url.startswith("sqlite") else 2, seed=1)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_killed_fifty_times(folder: Path, url: str) -> None:
    kill_rounds(folder, url, rounds=50, seed=2)


def read_while_writing(folder: Path, url: str, seconds: float) -> int:
    """Query as fast as can be while another process appends and compacts; returns how often."""
    queries = 0
    with writing(folder, url, seed=3, grace=5) as worker:
        assert worker.stdout is not None
        os.set_blocking(worker.stdout.fileno(), False)
        known, heard = 0, b""
        deadline = time.monotonic() + 15 + seconds
        began: float | None = None
        while time.monotonic() < deadline and (began is None or time.monotonic() < began + seconds):
            with suppress(BlockingIOError):
                heard = (heard + os.read(worker.stdout.fileno(), 1 << 16))[-200:]
            whole = heard[: heard.rfind(b"\n") + 1].split()
            known = int(whole[-1]) if whole else known
            if not known:
                time.sleep(0.01)
                continue
            began = began or time.monotonic()
            with Reader(folder, url) as reader:
                for _ in range(5):
                    [found] = reader.query(SUM)
                    assert found["rows"] == found["ids"] == int(found["last"].replace("-", ""), 16) + 1
                    assert found["rows"] >= known
                    queries += 1
        assert worker.poll() is None
    with Reader(folder, url) as reader, reader.state.read() as conn:
        reasons = {s.reason for s in manifest.dropped(conn)}
        assert reasons <= {manifest.COMPACTED}
        assert numbers(reader.state, reader) == set(range(offsets.get(conn, *KEY) or 0))
    return queries


def test_a_reader_in_another_process_sees_each_row_once(folder: Path, url: str) -> None:
    assert read_while_writing(folder, url, seconds=1.5) > 5


@pytest.mark.soak
def test_a_reader_in_another_process_for_longer(folder: Path, url: str) -> None:
    assert read_while_writing(folder, url, seconds=30) > 100
