"""What the collector uses while it takes in 1,000 events a second."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median

import psutil

from bench import _collector
from bench._rows import Measured, Row

IDS = ("collector.cpu", "collector.rss")
METHOD = """\
A real `bearerwatch serve` tails the spool that another process writes at a steady 1,000 events a second, in bursts of
10 ms, as three services: 5,000 clients drawn by Zipf's law (the busiest makes a tenth of all requests, so some rules
have work all the time), mixed outcomes, 4.5 % of them failures. All rules are on. Processor time (user and system, all
threads) and resident memory are read from the system once a second. The figures are percent of one core over the ten
minutes that follow the first, so that whatever is done now and then is in them once (small segments are merged every
half minute, half a million rows about every tenth), and the most memory ever seen. By the last minute the longest
window of the rules is full; the notes say what that minute took.
Afterwards the events in the lake are counted: none may be missing."""

_RATE = 1_000
_LIMITS = {"collector.cpu": 15.0, "collector.rss": 300.0}


def run(ids: list[str], *, quick: bool) -> Iterator[Measured]:
    """Measure once, whichever of the two is asked for."""
    warm, seconds = (5, 10) if quick else (60, 600)
    with tempfile.TemporaryDirectory(prefix="bearerwatch-bench-") as folder:
        state = Path(folder) / "state"
        env = _collector.environment(state)
        with _collector.serving(env, Path(folder) / "collector.log") as collector:
            total = warm + seconds + 1
            command = [sys.executable, "-m", "bench._stream", str(state / "spool"), str(_RATE), str(total)]
            writer = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
            percents, resident = _watched(collector, warm + seconds)
            wrote = json.loads(writer.communicate(timeout=30)[0])
            stored = _stored(state, int(wrote["written"]))
    if stored != int(wrote["written"]):
        raise RuntimeError(f"{wrote['written']} events were written and {stored} are in the lake")
    if wrote["late"] > 1:
        raise RuntimeError(f"the events were not written at {_RATE} a second: {wrote['late']:.1f} s late")
    steady = percents[-seconds:]
    how = (
        f"{seconds} s after {warm} s of warm-up, {wrote['written']:,} events, all of them in the lake; "
        f"median second {median(steady):.1f} %, busiest {max(steady):.1f} %; "
        f"in the first minute {mean(percents[1:61]):.1f} %, in the last {mean(percents[-60:]):.1f} %; "
        f"resident {resident[0]:.0f} MB at the start and {resident[-1]:.0f} MB at the end"
    )
    values = {"collector.cpu": ("% of a core", mean(steady)), "collector.rss": ("MB", max(resident))}
    for name in ids:
        unit, value = values[name]
        yield Measured(row=Row(id=name, unit=unit, ours=round(value, 1), limit=_LIMITS[name]), how=how)


def _watched(collector: psutil.Process, seconds: int) -> tuple[list[float], list[float]]:
    """Percent of a core and megabytes resident, second by second."""
    percents, resident = [], []
    at, (before, _) = time.monotonic(), _collector.used(collector)
    began = at
    for second in range(1, seconds + 1):
        time.sleep(max(0.0, began + second - time.monotonic()))
        now, (spent, memory) = time.monotonic(), _collector.used(collector)
        percents.append((spent - before) / (now - at) * 100)
        resident.append(memory)
        at, before = now, spent
    return percents, resident


def _stored(state: Path, expected: int) -> int:
    """Rows of the live segments, once the collector has caught up."""
    import sqlite3  # noqa: PLC0415

    rows = 0
    patience = time.monotonic() + 20
    while time.monotonic() < patience:
        connection = sqlite3.connect(f"file:{state / 'state.db'}?mode=ro", uri=True)
        try:
            rows = connection.execute("SELECT coalesce(sum(rows), 0) FROM segments WHERE state = 'live'").fetchone()[0]
        finally:
            connection.close()
        if rows >= expected:
            break
        time.sleep(0.25)
    return int(rows)
