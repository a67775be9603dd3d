"""Fields that no event has but that are made of one: SQL and plain Python make the same."""

from __future__ import annotations

import ipaddress

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.fields import DERIVED
from bearerwatch.detect.ir import ValueCount, fields_of
from detect import oracle
from detect.rules import FAILED


def made(address: str | None) -> str | None:
    with duckdb.connect(":memory:") as con:
        query = f"SELECT {sql.column('network')} FROM (SELECT ?::VARCHAR AS client_ip)"
        (row,) = con.execute(query, [address]).fetchall()
    found: str | None = row[0]
    return found


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.ip_addresses().filter(lambda ip: "." not in str(ip) or ip.version == 4).map(str))
def test_an_address_lies_in_the_same_network_for_both(address: str) -> None:
    assert made(address) == oracle.network(address)
    assert ipaddress.ip_address(address) in ipaddress.ip_network(oracle.network(address) or "", strict=False)


def test_what_is_no_address_is_in_no_network() -> None:
    for text in (None, "", "unknown", "198.51.100", "a.b.c.d"):
        assert made(text) is None
        assert oracle.network(text) is None


def test_an_event_is_read_by_what_the_field_is_made_of() -> None:
    counted = ValueCount(FAILED, ("network",), 60, 2, "presented_id")
    assert fields_of(counted) >= {"client_ip", "presented_id"}
    assert fields_of(counted).isdisjoint(DERIVED)
