"""Every kind of window means in SQL what the oracle says: measures, what happened together, chains, aliases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir import (
    Compare,
    EventCount,
    Op,
    Part,
    Selection,
    Sequence,
    ValueCount,
    Windowed,
    reach,
)
from bearerwatch.detect.ir_needs import monotone, needs, scheduled
from bearerwatch.detect.ir_windows import Bound, Formula, Function, Joint, Measure, Met, Quantor, Relation, Temporal
from bearerwatch.detect.islands import micros
from bearerwatch.detect.ruletest import batch
from bearerwatch.event import AuthEvent
from bearerwatch.store.engine import COLUMNS, connect
from detect import oracle
from detect.rules import FAILED, LET_IN, MISSING, outcome, rule, selection
from detect.test_duckdb_sql import fill
from detect.world import T0, Collector, event

IP = ("client_ip",)
ALL, ANY, NONE = Quantor.ALL, Quantor.ANY, Quantor.NONE


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    made = connect(tmp_path_factory.mktemp("scratch"))
    made.execute("CREATE TABLE e (" + ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items()) + ")")
    yield made
    made.close()


def bound(relation: str, number: str) -> Bound:
    return Bound(Relation(relation), Decimal(number))


def measure(function: str, *bounds: Bound, field: str | None = None, seconds: int = 10, **more: object) -> Measure:
    given = {"sources": (FAILED,), "group_by": IP, "percentile": None} | more
    return Measure(seconds=seconds, function=Function(function), bounds=bounds, field=field, **given)  # type: ignore[arg-type]


def found(con: duckdb.DuckDBPyConnection, correlation: Windowed) -> set[tuple[object, ...]]:
    return {tuple(f) for f in map(_plain, batch(rule("r", correlation), con, "e"))}


def _plain(one: object) -> tuple[object, ...]:
    return one.key, one.first, one.last, one.peak, one.hits  # type: ignore[attr-defined]


# -- what a rule can be made of --------------------------------------------------------------------------------------

PEER = Selection("peer", outcome("expired"), aliases=(("address", "peer_ip"),))
CLIENT = Selection("client", outcome("expired", "invalid"), aliases=(("address", "client_ip"),))
NAMED = st.sampled_from([FAILED, LET_IN, MISSING, selection("slow", Compare("duration_us", Op.GTE, 3))])
seconds = st.integers(1, 12)
numbers = st.sampled_from(["0", "1", "1.5", "2", "3", "4", "2.333333", "-1"])
bounds = st.lists(st.builds(bound, st.sampled_from(list(Relation)), numbers), min_size=1, max_size=2).map(tuple)
functions = st.sampled_from(
    [
        {"function": Function.COUNT},
        {"function": Function.DISTINCT, "field": "path"},
        {"function": Function.SUM, "field": "duration_us"},
        {"function": Function.SUM, "field": "lat"},
        {"function": Function.AVERAGE, "field": "duration_us"},
        {"function": Function.AVERAGE, "field": "lat"},
        {"function": Function.MEDIAN, "field": "duration_us"},
        {"function": Function.MEDIAN, "field": "lat"},
        *({"function": Function.PERCENTILE, "field": "duration_us", "percentile": p} for p in (1, 29, 50, 57, 90, 100)),
    ]
)


def formulas(steps: int) -> st.SearchStrategy[Formula]:
    met = st.builds(Met, st.integers(0, steps - 1))
    return st.recursive(
        met,
        lambda inner: st.builds(
            Joint, st.sampled_from(list(Quantor)), st.lists(inner, min_size=1, max_size=3).map(tuple)
        ),
        max_leaves=5,
    )


def temporals(parts: st.SearchStrategy[Part], keys: tuple[str, ...] = IP) -> st.SearchStrategy[Temporal]:
    several = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return several.flatmap(
        lambda steps: st.builds(Temporal, st.just(steps), st.just(keys), seconds, formulas(len(steps)))
    ).filter(lambda made: bool(made.anchors))


measures = st.builds(
    lambda sel, secs, limits, more: Measure(
        **{"sources": (sel,), "group_by": IP, "seconds": secs, "bounds": limits} | more
    ),
    NAMED,
    seconds,
    bounds,
    functions,
)
counts = st.one_of(
    st.builds(EventCount, NAMED, st.just(IP), seconds, st.integers(1, 4)),
    st.builds(ValueCount, NAMED, st.just(IP), seconds, st.integers(1, 3), st.just("path")),
)
parts = st.one_of(NAMED, counts, measures)
FINE = ("client_ip", "path")
fine = temporals(NAMED, FINE)
chained = st.one_of(
    st.builds(
        lambda inner, secs, limits: Measure((inner,), IP, secs, Function.DISTINCT, limits, "path"),
        fine,
        seconds,
        bounds,
    ),
    st.builds(lambda inner, secs, limits: Measure((inner,), IP, secs, Function.COUNT, limits), fine, seconds, bounds),
    st.builds(
        lambda inner, sel, secs, limits: Measure((sel, inner), IP, secs, Function.DISTINCT, limits, "path"),
        fine,
        NAMED,
        seconds,
        bounds,
    ),
)
orders = st.builds(
    lambda steps, secs: Sequence(steps, IP, secs),
    st.lists(st.one_of(parts, temporals(parts), fine), min_size=2, max_size=3).map(tuple),
    seconds,
)
aliased = st.one_of(
    st.builds(
        lambda sources, secs, limits, more: Measure(
            **{"sources": sources, "group_by": ("address",), "seconds": secs, "bounds": limits} | more
        ),
        st.sampled_from([(PEER, CLIENT), (CLIENT, PEER), (PEER,)]),
        seconds,
        bounds,
        functions,
    ),
    st.builds(
        lambda steps, secs: Sequence(steps, ("address",), secs), st.permutations([PEER, CLIENT]).map(tuple), seconds
    ),
    temporals(st.sampled_from([PEER, CLIENT]), ("address",)),
)
windows: st.SearchStrategy[Windowed] = st.one_of(
    measures, temporals(st.one_of(parts, fine)), chained, orders, aliased, temporals(chained)
)
one_event = st.tuples(
    st.integers(0, 50).map(lambda half: half / 2),
    st.sampled_from(["invalid", "expired", "success", "missing"]),
    st.sampled_from(["1.1.1.1", "1.1.1.1", "2.2.2.2"]),
    st.sampled_from(["1.1.1.1", "2.2.2.2", None]),
    st.integers(0, 5),
)


def made(given: list[tuple[float, str, str, str | None, int]]) -> list[AuthEvent]:
    return [
        event(
            ts,
            out,
            client_ip=ip,
            peer_ip=peer,
            count=1 + n % 3,
            path=[None, "/a", "/b", "/c", "/a", "/b"][n],
            duration_us=[None, 1, 2, 3, 4, 4][n],
            lat=[0.1, 0.2, None, 1.5, -1.0, 2.333333][n],
        )
        for ts, out, ip, peer, n in given
    ]


dense = st.lists(one_event, min_size=14, max_size=22)


@settings(max_examples=8, deadline=None)
@given(dense, st.lists(windows, min_size=10, max_size=10))
def test_every_kind_means_in_sql_what_the_oracle_says(
    con: duckdb.DuckDBPyConnection, given: list[Any], correlations: list[Windowed]
) -> None:
    everything = made(given)
    fill(con, everything)
    for number, correlation in enumerate(correlations):
        told = oracle.episodes(rule("r", correlation), everything)
        assert found(con, correlation) == told, correlation
        if number > 1:
            continue
        keys = set(con.execute(sql.crossing(correlation, "e")).fetchall())
        assert {episode.key for episode in told} <= keys, "the quick look must not lose a key"
        mine = f"(SELECT * FROM e WHERE {sql.taking_where(correlation)})"
        assert {_plain(f) for f in batch(rule("r", correlation), con, mine)} == told, "what is left out must not matter"


@settings(max_examples=10, deadline=None)
@given(dense, windows.filter(monotone), st.integers(0, 13))
def test_more_events_never_end_what_is_monotone(given: list[Any], correlation: Windowed, left_out: int) -> None:
    everything = made(given)
    fewer = [e for i, e in enumerate(everything) if i != left_out]
    before = {(hit.key, hit.ts) for hit in oracle.hits(correlation, fewer)}
    assert before <= {(hit.key, hit.ts) for hit in oracle.hits(correlation, everything)}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(dense, windows.filter(lambda c: not scheduled(c)))
def test_every_need_is_met_before_every_hit(given: list[Any], correlation: Windowed) -> None:
    """Or sketches would lose it."""
    everything = made(given)
    for need in needs(correlation):
        count = EventCount(need, correlation.group_by, 0, 1) if isinstance(need, Selection) else need
        at = oracle.hits(count, everything)
        for hit in oracle.hits(correlation, everything):
            ages = [(hit.ts - one.ts).total_seconds() for one in at if one.key == hit.key]
            assert any(0 <= age <= reach(correlation) for age in ages), need


# -- by hand ---------------------------------------------------------------------------------------------------------


def held(con: duckdb.DuckDBPyConnection, correlation: Windowed, events: list[AuthEvent]) -> list[tuple[float, int]]:
    """Seconds after T0 and n of the hits; the oracle says the same."""
    fill(con, events)
    rows = con.execute(f"SELECT epoch_us(ts), n FROM ({sql.hits(correlation, 'e')}) ORDER BY ALL").fetchall()
    hits = oracle.hits(correlation, events)
    assert rows == sorted((micros(hit.ts), hit.n) for hit in hits)
    return [((ts - micros(T0)) / 1_000_000, n) for ts, n in rows]


def slow(*values: int | None) -> list[AuthEvent]:
    """An event a second."""
    return [event(at, client_ip="a", duration_us=value) for at, value in enumerate(values)]


def test_numbers_by_hand(con: duckdb.DuckDBPyConnection) -> None:
    some = slow(5, 1, None, 4, 2)
    anything = bound("gte", "-9")
    us = "duration_us"
    assert held(con, measure("sum", anything, field=us), some) == [(0, 5), (1, 6), (3, 10), (4, 12)]
    assert held(con, measure("average", bound("gt", "3"), field=us), some) == [(0, 5), (3, 3)]
    assert held(con, measure("average", bound("gte", "3"), field=us), some) == [(0, 5), (1, 3), (3, 3), (4, 3)]
    assert held(con, measure("median", bound("eq", "3"), field=us), some) == [(1, 3), (4, 3)]
    assert held(con, measure("median", bound("lt", "4"), field=us), some) == [(1, 3), (4, 3)]
    assert held(con, measure("percentile", anything, field=us, percentile=50), some) == [(0, 5), (1, 1), (3, 4), (4, 2)]
    assert held(con, measure("percentile", anything, field=us, percentile=51), some) == [(0, 5), (1, 5), (3, 4), (4, 4)]
    assert held(con, measure("percentile", anything, field=us, percentile=100), some)[-1] == (4, 5)
    assert held(con, measure("sum", anything, field=us, seconds=1), some) == [(0, 5), (1, 6), (3, 4), (4, 6)]
    tenths = [event(at, client_ip="a", lat=0.1) for at in range(10)]
    assert held(con, measure("sum", bound("eq", "1"), field="lat"), tenths) == [(9, 1)], "exact, unlike floats"


def test_counts_within_a_range_by_hand(con: duckdb.DuckDBPyConnection) -> None:
    some = [event(at, client_ip="a", count=n) for at, n in ((0, 1), (1, 3), (10, 1), (11.5, 1), (40, 9))]
    assert held(con, measure("count", bound("lt", "4")), some) == [(0, 1), (11.5, 2)]
    assert held(con, measure("count", bound("gt", "3"), bound("lte", "5")), some) == [(1, 4), (10, 5)]
    assert held(con, measure("count", bound("neq", "5")), some) == [(0, 1), (1, 4), (11.5, 2), (40, 9)]


def failed(at: float) -> AuthEvent:
    return event(at, "invalid", client_ip="a", path="/x")


def let_in(at: float) -> AuthEvent:
    return event(at, "success", client_ip="a", path="/x")


BOTH = Joint(ALL, (Met(0), Met(1)))
ALONE = Joint(ALL, (Met(0), Joint(NONE, (Met(1),))))


def test_together_by_hand(con: duckdb.DuckDBPyConnection) -> None:
    both = Temporal((FAILED, LET_IN), IP, 10, BOTH)
    assert held(con, both, [failed(0), let_in(10)]) == [(10, 1)], "the far end belongs to it"
    assert held(con, both, [failed(0), let_in(10.000001)]) == []
    assert held(con, both, [let_in(3), failed(5), failed(6)]) == [(5, 1), (6, 1)], "in any order"
    assert held(con, both, [let_in(3), failed(3)]) == [(3, 1), (3, 1)], "peers see each other"
    some = Temporal((FAILED, LET_IN, MISSING), IP, 10, Joint(NONE, (Joint(NONE, (Met(0),)), Met(1), Met(2))))
    assert held(con, some, [failed(0), let_in(1), failed(2), failed(20)]) == [(0, 1), (20, 1)], "none of several"
    counting = Temporal((EventCount(FAILED, IP, 4, 2), LET_IN), IP, 10, BOTH)
    assert held(con, counting, [failed(0), failed(1), failed(2), let_in(9)]) == [(9, 3)], "n is what was counted"


def test_what_must_not_have_been_by_hand(con: duckdb.DuckDBPyConnection) -> None:
    alone = Temporal((FAILED, LET_IN), IP, 10, ALONE)
    assert held(con, alone, [let_in(0), failed(10)]) == []
    assert held(con, alone, [let_in(0), failed(10.5)]) == [(10.5, 1)]
    assert held(con, alone, [failed(1), let_in(1)]) == [], "peers speak against it too"
    assert held(con, alone, [failed(1), let_in(2), failed(3)]) == [(1, 1)], "what comes later does not"


def test_chains_by_hand(con: duckdb.DuckDBPyConnection) -> None:
    """Different paths refused where none was ever let in."""
    inner = Temporal((FAILED, LET_IN), ("client_ip", "path"), 100, ALONE)
    strangers = measure("distinct", bound("gte", "2"), field="path", sources=(inner,))
    paths = [event(at, out, client_ip="a", path=path) for at, out, path in (
        (0, "success", "/x"), (20, "invalid", "/x"), (21, "invalid", "/y"), (22, "invalid", "/y"), (23, "invalid", "/z"),
        (34, "invalid", "/z"),
    )]  # fmt: skip
    assert held(con, strangers, paths) == [(23, 2)]
    often = measure("count", bound("gte", "2"), sources=(inner,))
    assert held(con, often, paths) == [(22, 2), (23, 3)]


def test_aliases_by_hand(con: duckdb.DuckDBPyConnection) -> None:
    """An event of two base rules counts once for one key, and for each of two keys."""
    both = measure("count", bound("gte", "2"), sources=(CLIENT, PEER), group_by=("address",))
    one = [event(0, "expired", client_ip="a", peer_ip="a"), event(1, "expired", client_ip="a", peer_ip="b")]
    assert held(con, both, one) == [(1, 2)]
    two = [event(0, "expired", client_ip="a", peer_ip="b"), event(1, "expired", client_ip="b", peer_ip="a")]
    assert held(con, both, two) == [(1, 2), (1, 2)]
    assert held(con, both, [event(0, "invalid", client_ip="a", peer_ip="b"), event(1, "invalid", peer_ip="a")]) == []


def test_a_token_told_by_one_id_alone_is_found_by_both(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Other producers may say ``token_id`` and nothing of what was presented; in batch as live."""
    shared = rule("shared", ValueCount(LET_IN, ("presented_id",), 60, 3, "client_ip"))
    tokens = rule("tokens", ValueCount(LET_IN, ("service",), 60, 3, "presented_id"))
    few = rule("few", measure("count", bound("eq", "3"), sources=(LET_IN,), group_by=("presented_id",)))
    known = Selection("known", Compare("presented_id", Op.EXISTS, value=True))
    there = rule("there", EventCount(known, ("service",), 60, 3))
    ids = [f"k00000000:{i:032x}" for i in (1, 1, 1, 2, 3)]
    events = [
        event(at, "success", client_ip=f"192.0.2.{at}", token_id=one, service="s") for at, one in enumerate(ids)
    ] + [event(5, "success", client_ip="192.0.2.9", service="s")]
    fill(con, events)
    box = Collector(tmp_path, [shared, tokens, few, there])
    try:
        box.tick(events, 10)
        box.commit()
        live = {(e.rule, tuple(e.key.values()), e.peak, e.hits) for e in box.saved()}
    finally:
        box.close()
    told = {(r.name, f.key, f.peak, f.hits) for r in box.rules for f in batch(r, con, "e")}
    assert live == told
    assert told == {
        ("shared", (ids[0],), 3, 1), ("tokens", ("s",), 3, 1), ("few", (ids[0],), 3, 1), ("there", ("s",), 5, 3)
    }  # fmt: skip


def test_one_key_with_nearly_all_events_is_not_quadratic(con: duckdb.DuckDBPyConnection) -> None:
    """Twice the events of one key take about twice as long, with all of them in one window."""
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    given = {"kind": "'auth'", "client_ip": "'a'", "duration_us": "i % 977", "path": "'/' || i % 977"}
    given |= {"outcome": "CASE i % 3 WHEN 0 THEN 'success' ELSE 'invalid' END", "ts": "make_timestamp(1000 * i)"}
    kinds = [
        measure("median", bound("gt", "900"), field="duration_us", seconds=3600),
        measure("distinct", bound("lt", "2"), field="path", seconds=3600),
        Temporal((FAILED, LET_IN), IP, 3600, ALONE),
        Sequence((FAILED, LET_IN), IP, 3600),
    ]
    for kind in kinds:
        took = []
        for events in (10_000, 40_000):
            columns = ", ".join(f'({given.get(name, "NULL")})::{kind_} AS "{name}"' for name, kind_ in COLUMNS.items())
            con.execute(
                f"CREATE OR REPLACE TABLE hot AS SELECT {names} FROM (SELECT {columns} FROM range({events}) t(i))"
            )
            began = time.process_time()
            con.execute(f"SELECT count(*) FROM ({sql.hits(kind, 'hot')})").fetchall()
            took.append(time.process_time() - began)
        assert took[1] < 10 * max(took[0], 0.02), (kind, took)
    con.execute("DROP TABLE hot")
