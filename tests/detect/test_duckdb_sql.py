"""The dialect says what the IR means: compared with the oracle on events made for the purpose."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.fields import DERIVED, TYPES
from bearerwatch.detect.ir import And, Compare, Condition, EventCount, Not, Op, Or, Sequence, ValueCount, Wildcard
from bearerwatch.detect.ruletest import batch
from bearerwatch.event import AuthEvent
from bearerwatch.store.engine import COLUMNS, connect
from detect import oracle
from detect.rules import ALL, FAILED, LET_IN, rule
from detect.world import T0, event


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    made = connect(tmp_path_factory.mktemp("scratch"))
    made.execute("CREATE TABLE e (" + ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items()) + ")")
    yield made
    made.close()


def fill(con: duckdb.DuckDBPyConnection, events: list[AuthEvent]) -> None:
    """Put *events* into table ``e`` as they are, fields left out as NULL."""
    con.execute("TRUNCATE e")
    rows = [msgspec.to_builtins(e) | {"ts": e.ts.replace(tzinfo=None)} for e in events]
    lists = ", ".join(f"unnest(${i + 1}::{kind}[])" for i, kind in enumerate(COLUMNS.values()))
    con.execute(f"INSERT INTO e SELECT {lists}", [[row.get(name) for row in rows] for name in COLUMNS])


TEXTS = ["", "a", "A", "Ab", "aB", "b", "a*b", "a%b", "a_b", "a\\b", "ab", "'", "a\nb", "é", "/orders/{id}", "None"]
text = st.sampled_from(TEXTS)
parts = st.lists(st.one_of(text.filter(bool), st.sampled_from(list(Wildcard))), min_size=1, max_size=4).map(tuple)
comparisons = st.one_of(
    st.builds(
        Compare, st.just("path"), st.just(Op.IN), st.lists(text, min_size=1, max_size=3).map(tuple), st.booleans()
    ),
    st.builds(Compare, st.just("path"), st.just(Op.LIKE), parts, st.booleans()),
    st.builds(Compare, st.sampled_from(["path", "status", "token_id"]), st.just(Op.EXISTS), st.booleans()),
    st.builds(Compare, st.just("status"), st.just(Op.IN), st.lists(st.integers(400, 404), min_size=1).map(tuple)),
    st.builds(Compare, st.just("status"), st.sampled_from([Op.GT, Op.GTE, Op.LT, Op.LTE]), st.integers(400, 404)),
    st.builds(Compare, st.just("lat"), st.sampled_from([Op.GT, Op.LTE]), st.sampled_from([-1.5, 0, 0.25])),
    st.builds(Compare, st.just("verified"), st.just(Op.IN), st.sampled_from([(True,), (False,), (True, False)])),
    st.builds(Compare, st.just("count"), st.just(Op.GT), st.integers(0, 3)),
    st.builds(Compare, st.just("outcome"), st.just(Op.IN), st.sampled_from([("Invalid",), ("success", "EXPIRED")])),
    st.builds(
        Compare, st.just("path"), st.just(Op.RE), st.sampled_from(["^a", "(?i)B$", "a.b", "(?s)a.b", "[0-9]", "'"])
    ),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda items: And(tuple(items))),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: Or(tuple(items))),
        inner.map(Not),
    ),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(conditions)
def test_a_condition_means_the_same_in_sql(con: duckdb.DuckDBPyConnection, condition: Condition) -> None:
    values = itertools.product([*TEXTS, None], [None, 401, 403])
    events = [
        event(
            i,
            ["invalid", "success", "expired", None][i % 4],
            path=path,
            status=status,
            verified=i % 3 == 0,
            count=1 + i % 4,
            lat=[None, -2.0, 0.25][i % 3],
            token_id=[None, "k00000000:" + "0" * 32][i % 2],
        )
        for i, (path, status) in enumerate(values)
    ]
    fill(con, events)
    found = con.execute(f"SELECT event_id FROM e WHERE {sql.predicate(condition)}").fetchall()
    assert {row[0] for row in found} == {e.event_id for e in events if oracle.matches(condition, e)}


ADDRESSES = [
    "10.0.0.0",
    "10.0.0.255",
    "10.0.1.0",
    "10.1.2.3",
    "9.255.255.255",
    "192.168.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "::",
    "::1",
    "2001:db8::",
    "2001:db8::1",
    "2001:db8:0:1::ffff",
    "2001:db8:8000::",
    "2001:db9::",
    "fe80::1:2:3:4",
    "1:2:3:4:5:6:7:8",
    "1::8",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "unix:",
    "not an address",
    "1:2:3",
    "1::2::3",
    ":::",
    "12345::",
    "g::",
    "1:2:3:4:5:6:7:8:9",
    "01.2.3.4",
    "1.2.3",
    "1.2.3.4.5",
    "300.1.1.1",
    "",
    None,
]


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(
        st.tuples(st.sampled_from([a for a in ADDRESSES[:8] if a]), st.integers(0, 32)),
        st.tuples(st.sampled_from(ADDRESSES[8:19]), st.integers(0, 128)),
    ).map(lambda pair: str(ipaddress.ip_network(f"{pair[0]}/{pair[1]}", strict=False)))
)
def test_networks(con: duckdb.DuckDBPyConnection, cidr: str) -> None:
    condition = Compare("client_ip", Op.CIDR, cidr)
    events = [event(i, client_ip=address) for i, address in enumerate(ADDRESSES)]
    fill(con, events)
    found = con.execute(f"SELECT client_ip FROM e WHERE {sql.predicate(condition)}").fetchall()
    assert {row[0] for row in found} == {e.client_ip for e in events if oracle.matches(condition, e)}


def test_literals_cannot_end_themselves(con: duckdb.DuckDBPyConnection) -> None:
    for evil in ["'; DROP TABLE e; --", "\\'", "''", "a\0b", "{0}", "%s", "$1", "?", "\u2028", "😀"]:
        assert con.execute(f"SELECT {sql.literal(evil)}").fetchall() == [(evil,)]
    for value in [True, False, 0, -(2**63) + 1, 1.5, -1e-300]:
        assert con.execute(f"SELECT {sql.literal(value)}").fetchall() == [(value,)]


def test_every_field_can_be_grouped_by_and_counted(con: duckdb.DuckDBPyConnection) -> None:
    """Keys are text, whatever the field; a field that is not known is no key and no value."""
    given: dict[str, object] = {"VARCHAR": "x", "BIGINT": 7, "DOUBLE": 1.5, "BOOLEAN": True}
    for name, kind in TYPES.items():
        if name in {"kind", "outcome", "event_id", "count"}:
            continue
        told = {DERIVED[name]: "203.0.113.9"} if name in DERIVED else {name: given[kind]}
        events = [event(i, **told) for i in range(3)] + [event(4), event(5)]
        fill(con, events)
        grouped = rule("r", EventCount(FAILED, (name,), 10, 2))
        counted = rule("r", ValueCount(FAILED, ("kind",), 10, 1, name))
        for one in (grouped, counted):
            found = {(f.key, f.first, f.last, f.peak, f.hits) for f in batch(one, con, "e")}
            assert found == oracle.episodes(one, events), name


def test_windows_include_both_ends_and_all_peers(con: duckdb.DuckDBPyConnection) -> None:
    three = rule("three", EventCount(FAILED, ("client_ip",), 10, 3))
    at = [0, 0, 10, 10.000001, 20]
    events = [event(ts, client_ip="a") for ts in at]
    fill(con, events)
    (found,) = batch(three, con, "e")
    assert (found.first, found.last, found.peak, found.hits) == (
        T0 + timedelta(seconds=10),
        T0 + timedelta(seconds=20),
        3,
        2,
    )


def test_counts_are_cut_off_before_they_overflow(con: duckdb.DuckDBPyConnection) -> None:
    fill(
        con,
        [event(0, client_ip="a", count=2**62), event(0, client_ip="a", count=2**62), event(1, client_ip="b", count=-5)],
    )
    many = rule("many", EventCount(FAILED, ("client_ip",), 10, 1))
    assert {(f.key, f.peak) for f in batch(many, con, "e")} == {(("a",), sql.CEILING), (("b",), 1)}


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 60).map(lambda half: half / 2),
            st.sampled_from(["invalid", "expired", "success", "missing"]),
            st.sampled_from(["1.1.1.1", "2.2.2.2"]),
            st.integers(1, 4),
        ),
        max_size=40,
    ),
    st.integers(1, 12),
)
def test_every_rule_means_the_same_in_sql(
    con: duckdb.DuckDBPyConnection, given: list[tuple[float, str, str, int]], seconds: int
) -> None:
    events = [
        event(ts, outcome, client_ip=ip, count=n, presented_id=f"p{n}", service="s", path=f"/{n}")
        for ts, outcome, ip, n in given
    ]
    fill(con, events)
    turned = rule("turned", Sequence((LET_IN, EventCount(FAILED, ("client_ip",), seconds, 4)), ("client_ip",), seconds))
    for one in (*ALL, turned):
        found = {(f.key, f.first, f.last, f.peak, f.hits) for f in batch(one, con, "e")}
        assert found == oracle.episodes(one, events)
        keys = set(con.execute(sql.crossing(one.correlation, "e")).fetchall())
        assert {f[0] for f in found} <= keys, "the quick look must not lose a key"


def test_the_oracle_is_not_the_query() -> None:
    """By hand, so that both cannot be wrong in the same way."""
    late = datetime(2026, 3, 1, 12, 0, 31, tzinfo=T0.tzinfo)
    events = [
        event(0, client_ip="a"),
        event(0.5, client_ip="a"),
        event(1, client_ip="a", count=3),
        event(40, client_ip="a"),
    ]
    (found,) = oracle.episodes(rule("five", EventCount(FAILED, ("client_ip",), 10, 5)), events)
    assert found == (("a",), late, late, 5, 1)
