"""Days in small for rules that ask for the past: oracle, the query over everything, and tick by tick."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.ir_keyed import Keyed
from bearerwatch.detect.islands import SECOND, instant, islands, micros
from bearerwatch.detect.keyed import snapshot
from bearerwatch.event import AuthEvent
from detect import keyed_oracle, oracle
from detect.world import T0, Collector, event

some = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
    database=None,
)


@dataclass(frozen=True)
class World:
    """How events come about; everything follows from the seed."""

    seed: int
    events: int
    span: int
    late: float
    """Share of events that come late, by as much as is allowed at most."""
    crashes: float
    per_tick: int
    snapshots: bool


worlds = st.builds(
    World,
    seed=st.integers(0, 2**32),
    events=st.integers(30, 90),
    span=st.sampled_from([60, 300, 900]),
    late=st.sampled_from([0, 0.3, 1]),
    crashes=st.sampled_from([0, 0.1, 0.2]),
    per_tick=st.sampled_from([4, 12, 40]),
    snapshots=st.booleans(),
)

Fields = Callable[[random.Random], dict[str, Any]]
Answer = set[tuple[tuple[str, ...], datetime, datetime, int, int]]


def check(world: World, rule: Rule, fields: Fields) -> int:
    """Hold all three to each other; returns how many episodes there were."""
    rnd = random.Random(world.seed)
    correlation = rule.correlation
    assert isinstance(correlation, Keyed)
    pending = _arrivals(world, rnd, fields, correlation.settle)
    everything = [one for _, one in pending]
    every = timedelta() if world.snapshots else timedelta(days=1)
    with tempfile.TemporaryDirectory() as folder, patch.object(snapshot, "_EVERY", every):
        box = Collector(Path(folder), [rule])
        try:
            _run(world, rnd, pending, box)
            query = sql.hits(correlation, box.lake.scan())
            width = len(rule.group_by)
            names = ", ".join(f"k{i}" for i in range(width))
            found = box.con.execute(f"SELECT {names}, epoch_us(ts), n FROM ({query})").fetchall()
            asked = sorted((row[:width], instant(row[width]), row[width + 1]) for row in found)
            saved: Answer = {
                (tuple(e.key[name] for name in rule.group_by), e.first_hit, e.last_hit, e.peak, e.hits)
                for e in box.saved()
            }
            numbers = {e.id: e.evidence["events"] for e in box.saved()}
        finally:
            box.close()
    told = keyed_oracle.hits(correlation, everything)
    assert asked == told
    expected = _episodes(rule, told)
    assert saved == expected
    times = [(oracle.key_of(rule.group_by, e), e.ts) for e in everything]
    if rule.name != "silence" and len(set(times)) == len(times):  # else which of them is the anchor cannot be told
        assert sum(numbers.values()) == sum(e.count for e in everything if _is_anchor(rule, e, told))
    return len(expected)


def _is_anchor(rule: Rule, e: AuthEvent, told: list[keyed_oracle.Hit]) -> bool:
    key = oracle.key_of(rule.group_by, e)
    return oracle.matches(rule.correlation.selection.where, e) and any(h[0] == key and h[1] == e.ts for h in told)


def _episodes(rule: Rule, told: list[keyed_oracle.Hit]) -> Answer:
    return {
        (key, instant(one.first), instant(one.last), one.peak, one.hits)
        for key in {hit[0] for hit in told}
        for one in islands([(micros(ts), n) for k, ts, n in told if k == key], (), rule.window * SECOND)
    }


def _arrivals(world: World, rnd: random.Random, fields: Fields, settle: int) -> list[tuple[datetime, AuthEvent]]:
    out = []
    for _ in range(world.events):
        at = rnd.uniform(0, world.span)
        at = round(at) if rnd.random() < 0.5 else round(at, 6)
        ts = T0 + timedelta(seconds=at)
        late = rnd.uniform(0, settle) if rnd.random() < world.late else 0
        out.append((ts + timedelta(seconds=late), event(ts, **({"outcome": "success"} | fields(rnd)))))
    out.sort(key=lambda item: item[0])
    return out


def _run(world: World, rnd: random.Random, pending: list[tuple[datetime, AuthEvent]], box: Collector) -> None:
    unsure: list[AuthEvent] = []
    now = T0
    while pending:
        size = rnd.randint(1, world.per_tick)
        taken, pending = pending[:size], pending[size:]
        now = max([now, *(at for at, _ in taken)])
        box.tick([one for _, one in taken], now)
        unsure += [one for _, one in taken]
        if rnd.random() < 0.1:
            box.again(now)
        if rnd.random() < 0.4:
            box.commit()
            unsure = []
        elif rnd.random() < 0.1:
            box.fail_commit()
        if rnd.random() < world.crashes:
            box.restart(now)
            box.tick(unsure, now)
    box.commit()
