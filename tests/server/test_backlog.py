"""What has piled up while no collector ran is worked off at full speed, within bounds, and for all alike."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bearerwatch.event import AuthEvent
from bearerwatch.sinks.spool import SpoolSink

Event = Callable[..., AuthEvent]


def test_a_backlog_does_not_wait_for_the_clock_and_fills_no_memory(site: Any, event: Event, until: Any) -> None:
    """Commits come with the events, though the next one by the clock is a minute away."""
    sink = site.sink()
    for number in range(12_000):
        sink.send(event(number))
    sink.close()
    most, done = 0, threading.Event()
    running = site.start(max_pending=4_000, commit_every=60)

    def watch() -> None:
        nonlocal most
        while not done.wait(0.002):
            most = max(most, running.collector._pipeline.pending)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        until(lambda: running.collector._decoder.counts["accepted"] == 12_000, 20)
    finally:
        done.set()
        watcher.join()
        running.stop()
    assert len(set(site.ids())) == len(site.ids()) == 12_000
    assert 0 < most <= 4_000 + 2_500


def test_ten_spools_are_served_alike(site: Any, event: Event, until: Any, tmp_path: Path) -> None:
    spools = [tmp_path / f"spool-{name}" for name in range(10)]
    for spool in spools:
        sink = SpoolSink(spool / spool.name)
        for number in range(1_500):
            sink.send(event(number, service=spool.name))
        sink.close()
    running = site.start(spools=tuple(spools), max_pending=8_000)
    until(lambda: not any(list(spool.rglob("*.jsonl")) for spool in spools), 20)
    running.stop()

    with site.reader() as reader:
        rows = reader.query("SELECT source FROM {events} ORDER BY received_at, event_id")
    assert len(rows) == 15_000
    halfway = Counter(row["source"] for row in rows[:7_500])
    assert len(halfway) == 10
    assert max(halfway.values()) <= 2 * min(halfway.values())
