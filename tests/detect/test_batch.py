"""Everything at once says what the plain query says, and what a collector would have said as the events came."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.detect import batch as module
from bearerwatch.detect.batch import Batch, Found, found
from bearerwatch.detect.given import given as events_given
from bearerwatch.detect.ir_keyed import Silence
from bearerwatch.detect.rulebook import load_rules
from bearerwatch.event import AuthEvent
from bearerwatch.simulate.files import write
from bearerwatch.simulate.simulation import Plan, Simulation
from bearerwatch.store.engine import connect
from detect.rules import ALL, FICKLE, MORE
from detect.test_differential import World, arrivals
from detect.world import Collector

RULES = load_rules()
DAY = Plan(seed=17, events=4_000, attacks=0.34)
SHORT = Plan(
    seed=17,
    events=1_000,
    people=50,
    only=("token_guessing", "object_enumeration", "impossible_travel", "revoked_token_use", "forged_token"),
    tuned={"token_guessing": {"each_day": 2}, "impossible_travel": {"each_day": 3}},
)
_TICK = 700


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    write(Simulation(DAY), folder, "parquet")
    return folder


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    con = connect(tmp_path / "tmp", memory_limit="1GB")
    yield con
    con.close()


def _sorted(ones: Sequence[Found]) -> list[Found]:
    return sorted(ones, key=lambda one: (one.rule, sorted(one.key.items()), one.first_hit))


@pytest.mark.parametrize("rare", [0.0, 0.05])
def test_what_is_left_out_beforehand_changes_nothing(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, day: Path, rare: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RARE", rare)
    relation = events_given(con, [str(day / "events")], tmp_path).relation
    con.execute(f"CREATE TEMP TABLE day AS FROM {relation}")
    whole = list(Batch(con, "day", RULES)())
    plain = [one for rule in RULES for one in found(rule, con, "day")]
    assert len({one.rule for one in plain}) >= 12
    assert _sorted(whole) == _sorted(plain)
    assert con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'batch%'").fetchall() == [(0,)]


@settings(max_examples=4)
@given(st.integers(0, 2**32 - 1))
def test_whatever_the_rule_what_is_left_out_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    world = World(
        seed=seed, events=160, span=120, lateness=10, far=0.1, crashes=0, per_tick=20, tight=0, wait=0, orderly=False
    )
    folder = tmp_path_factory.mktemp("world")
    lines = [msgspec.json.encode(event) for _, event in arrivals(world, random.Random(seed))]
    (folder / "events.jsonl").write_bytes(b"\n".join(lines))
    con = connect(folder / "tmp")
    try:
        relation = events_given(con, [str(folder)], folder).relation
        rules = [*ALL, *MORE, *FICKLE]
        plain = [one for rule in rules for one in found(rule, con, relation)]
        assert _sorted(list(Batch(con, relation, rules)())) == _sorted(plain)
    finally:
        con.close()


@pytest.mark.parametrize("plan", [SHORT, pytest.param(DAY, marks=pytest.mark.soak)], ids=["short", "day"])
def test_it_tells_what_a_collector_tells_as_the_events_come(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, plan: Plan
) -> None:
    write(Simulation(plan), tmp_path / "day", "parquet")
    # Silence is about the clock: at the end of a file nobody knows whether more would have come.
    rules = [rule for rule in RULES if not isinstance(rule.correlation, Silence)]
    rules = [rule for rule in rules if not plan.only or rule.name in plan.only]
    simulation = Simulation(plan)
    decode = msgspec.json.Decoder(AuthEvent).decode
    collector = Collector(tmp_path, rules)
    try:
        for rows in simulation:
            lines = [line for chunk in simulation.writer.lines(rows) for line in chunk.splitlines()]
            for start in range(0, len(lines), _TICK):
                now = datetime.fromtimestamp(int(rows["arrive"][start : start + _TICK][-1]) / 1e6, UTC)
                collector.tick([decode(line) for line in lines[start : start + _TICK]], now)
            collector.commit()
        collector.again(now + timedelta(days=2))
        collector.commit()
        live = [one for one in collector.saved() if one.superseded_by is None]
    finally:
        collector.close()
    relation = events_given(con, [str(tmp_path / "day" / "events")], tmp_path).relation
    whole = list(Batch(con, relation, rules)())
    told = {
        (one.rule, tuple(sorted(one.key.items())), one.first_hit, one.last_hit, one.peak, one.hits) for one in whole
    }
    assert len(told) > 10
    assert told == {
        (one.rule, tuple(sorted(one.key.items())), one.first_hit, one.last_hit, one.peak, one.hits) for one in live
    }
