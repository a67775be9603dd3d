"""Every kind of window means in SQL what the oracle says: measures, what happened together, chains, aliases."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
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
from bearerwatch.detect.ruletest import batch
from bearerwatch.event import AuthEvent
from bearerwatch.store.engine import COLUMNS, connect
from detect import oracle
from detect.rules import FAILED, LET_IN, MISSING, outcome, rule, selection
from detect.test_duckdb_sql import fill
from detect.world import event

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
events = st.lists(
    st.tuples(
        st.integers(0, 50).map(lambda half: half / 2),
        st.sampled_from(["invalid", "expired", "success", "missing"]),
        st.sampled_from(["1.1.1.1", "1.1.1.1", "2.2.2.2"]),
        st.sampled_from(["1.1.1.1", "2.2.2.2", None]),
        st.integers(0, 5),
    ),
    max_size=24,
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


@settings(max_examples=60, deadline=None)
@given(events, windows)
def test_every_kind_means_in_sql_what_the_oracle_says(
    con: duckdb.DuckDBPyConnection,
    given: list[tuple[float, str, str, str | None, int]],
    correlation: Windowed,
) -> None:
    everything = made(given)
    fill(con, everything)
    told = oracle.episodes(rule("r", correlation), everything)
    assert found(con, correlation) == told
    keys = {episode.key for episode in told}
    assert keys <= set(con.execute(sql.crossing(correlation, "e")).fetchall()), "the quick look must not lose a key"
    taken = {row[0] for row in con.execute(f"SELECT event_id FROM e WHERE {sql.taking_where(correlation)}").fetchall()}
    fill(con, [e for e in everything if e.event_id in taken])
    assert found(con, correlation) == told, "what is left out must not matter"


@settings(max_examples=30, deadline=None)
@given(events, windows.filter(monotone), st.integers(0, 100))
def test_more_events_never_end_what_is_monotone(
    con: duckdb.DuckDBPyConnection,
    given: list[tuple[float, str, str, str | None, int]],
    correlation: Windowed,
    left_out: int,
) -> None:
    everything = made(given)
    fewer = [e for i, e in enumerate(everything) if i != left_out % max(1, len(everything))]
    before = {(hit.key, hit.ts) for hit in oracle.hits(correlation, fewer)}
    assert before <= {(hit.key, hit.ts) for hit in oracle.hits(correlation, everything)}


@settings(max_examples=40, deadline=None)
@given(events, windows.filter(lambda c: not scheduled(c)))
def test_every_need_is_met_before_every_hit(
    con: duckdb.DuckDBPyConnection, given: list[tuple[float, str, str, str | None, int]], correlation: Windowed
) -> None:
    """Or sketches would lose it."""
    everything = made(given)
    for need in needs(correlation):
        count = EventCount(need, correlation.group_by, 0, 1) if isinstance(need, Selection) else need
        at = oracle.hits(count, everything)
        for hit in oracle.hits(correlation, everything):
            before = [
                one for one in at if one.key == hit.key and 0 <= (hit.ts - one.ts).total_seconds() <= reach(correlation)
            ]
            assert before, need
