"""Detection as events arrive: what an event costs from spool to alert, the slowest ticks, and what is remembered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bearerwatch.detect.ir_needs import Means, path_of
from bearerwatch.detect.rulebook import load_rules
from bearerwatch.detect.watch import Watches
from bearerwatch.store.engine import COLUMNS, connect
from bearerwatch.store.lake import INCOMING
from bearerwatch.store.prepared import Prepared
from bench import _backlog
from bench._rows import Measured, Row

__all__ = ["METHOD", "drawn", "live", "remembered", "ticks"]

METHOD = """\
`detect.live`: a spool is filled by the sink of the application side, with events that came at 100,000 a second; then a
collector's pipeline works it off with every rule of the package: reading, decoding and redacting again, the lake, the
rules, commits. The figure is events by seconds of processor time, system time included.

`detect.tick_p99_ms`: the same, with a day of history in the lake from which the rules are warmed up first. A tick is
20,000 events; commits are part of it. Processor time, of which 200 ms for 20,000 events is a core at full load.

`detect.state_mb`: a day in which ten million addresses, each with tokens of its own, are seen once, nine of ten let
in. What all counters and sets together hold at most. The plot has what a tick of 25,000 events costs the rules that
work by them, hour by hour of that day."""

_RATE = 100_000
_OUTCOMES = "CASE WHEN i % 10 > 0 THEN 'success' WHEN i % 20 = 0 THEN 'invalid' ELSE 'expired' END"
_BATCH = 25_000
_BUDGET_MB = 256.0


def live(*, quick: bool) -> Iterator[Measured]:
    """Events a second on one core, from JSON lines in a spool to lake and alerts."""
    with TemporaryDirectory(prefix="bearerwatch-bench-") as folder:
        spool = Path(folder) / "spool"
        _backlog.make(spool, 100_000 if quick else 1_000_000, rate=_RATE)
        rules = load_rules()
        worked = _backlog.work_off([spool], Path(folder) / "state", rules)
    stages = ", ".join(f"{stage} {cost:.1f}" for stage, cost in worked.stages.items())
    yield Measured(
        row=Row(id="detect.live", unit="events/s", ours=worked.events / worked.cpu_seconds, limit=_RATE),
        how=f"{worked.events:,} events, {len(rules)} rules; µs an event: {stages}; {worked.resident_mb:.0f} MB at most",
    )


def ticks(*, quick: bool) -> Iterator[Measured]:
    """The slowest of a hundred ticks, with a day of history."""
    past, now = (50_000, 200_000) if quick else (2_000_000, 3_000_000)
    with TemporaryDirectory(prefix="bearerwatch-bench-") as folder:
        state = Path(folder) / "state"
        _backlog.make(Path(folder) / "past", past, rate=max(1, past // 86_400), seed=5)
        _backlog.work_off([Path(folder) / "past"], state)
        _backlog.make(Path(folder) / "now", now, rate=_RATE)
        worked = _backlog.work_off([Path(folder) / "now"], state, load_rules())
    cost = sorted(worked.ticks)
    yield Measured(
        row=Row(id="detect.tick_p99_ms", unit="ms", ours=cost[int(len(cost) * 0.99)] * 1e3, limit=500.0),
        how=f"{len(cost)} ticks after {past:,} events of a day; median {cost[len(cost) // 2] * 1e3:.0f} ms, "
        f"slowest {cost[-1] * 1e3:.0f} ms",
    )


def remembered(*, quick: bool) -> tuple[Measured, list[tuple[float, float]]]:
    """What is held in memory over a day of ten million addresses; and hours by milliseconds of a tick."""
    total = 500_000 if quick else 10_000_000  # quick is the first seventy minutes of the day
    times = 4 if quick else 24
    rules = [rule for rule in load_rules() if path_of(rule.correlation) is Means.SKETCHES]
    watches = Watches(rules, timedelta(seconds=60))
    start, hour = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1e6), 3_600_000_000
    points: list[tuple[float, float]] = []
    most, degraded = 0, set[str]()
    with TemporaryDirectory(prefix="bearerwatch-bench-") as folder:
        con = connect(Path(folder) / "tmp", memory_limit="1GB")
        run = Prepared(con)
        step = 24 * hour // 10_000_000

        def take(first: int, at: int, apart: int) -> float:
            run.define(f"CREATE OR REPLACE TABLE {INCOMING} AS {_events(first, at, apart)}")
            batch = watches.selecting(run, 0)
            began = time.thread_time()
            watches.take(batch, {})
            spent = time.thread_time() - began
            for watch in watches.all:
                watch.touched.clear()
            return spent

        for first in range(0, total, _BATCH):
            now = start + (first + _BATCH) * step
            take(first, start + first * step, step)
            for watch in watches.all:
                watch.forget(now - watch.horizon)
            most = max(most, watches.size)
            degraded |= {watch.rule.name for watch in watches.all if watch.degraded}
            if (now - start) * times // (total * step) > len(points):  # as many as come in one tick when they are many
                points.append(((now - start) / hour, min(take(first, now, 10) for _ in range(2)) * 1e3))
        con.close()
    how = (
        f"{total:,} addresses in a day, {len(rules)} rules by counters; degraded: {', '.join(sorted(degraded)) or '-'}"
    )
    return Measured(row=Row(id="detect.state_mb", unit="MB", ours=most / 1e6, limit=_BUDGET_MB), how=how), points


def _events(first: int, at: int, apart: int) -> str:
    """A batch of events from *at* on, *apart* µs apart, each from an address of its own with a token of its own."""
    values = {
        "kind": "'auth'",
        "event_id": "i::VARCHAR",
        "ts": f"make_timestamp({at} + (i - {first}) * {apart})",
        "outcome": _OUTCOMES,
        "status": "CASE WHEN i % 10 > 0 THEN 200 ELSE 401 END",
        "verified": "i % 10 > 0",
        "count": "1",
        "service": "'orders'",
        "route": "'/orders/{id}'",
        "path": "'/orders/' || (i % 100000)",
        "token_id": "'k1a2b3c4d:' || md5(i::VARCHAR)",
        "presented_id": "'k1a2b3c4d:' || md5('p' || i)",
        "client_ip": "concat_ws('.', i // 16777216 + 11, i // 65536 % 256, i // 256 % 256, i % 256)",
        "user_agent": "'client/' || (i % 97)",
    }
    columns = ", ".join(f'({values.get(name, "NULL")})::{kind} AS "{name}"' for name, kind in COLUMNS.items())
    return f"SELECT {columns} FROM range({first}, {first + _BATCH}) t(i)"


def drawn(points: list[tuple[float, float]]) -> str:
    """*points* (hours of look-back, ms of a tick) as an SVG of its own."""
    width, height, edge = 640, 260, 48
    top = max([cost for _, cost in points] + [1.0]) * 1.25

    def at(hours: float, cost: float) -> tuple[float, float]:
        return edge + hours / 24 * (width - 2 * edge), height - edge - cost / top * (height - 2 * edge)

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
    left, right, low, high = edge, width - edge, height - edge, edge
    marks = [f'<text x="{at(h, 0)[0]:.0f}" y="{low + 18}" text-anchor="middle">{h} h</text>' for h in range(0, 25, 6)]
    marks += [
        f'<text x="{left - 6}" y="{at(0, top * part)[1] + 4:.0f}" text-anchor="end">{top * part:.0f} ms</text>'
        for part in (0, 0.5, 1)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="12"><title>What a tick of 25,000 events costs, by hours of look-back</title>'
        f'<path d="M{left} {high}V{low}H{right}" fill="none" stroke="#888"/>{"".join(marks)}'
        f'<polyline points="{line}" fill="none" stroke="#0a6" stroke-width="2"/></svg>\n'
    )
