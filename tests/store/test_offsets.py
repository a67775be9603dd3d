"""Offsets: set, read, forgotten."""

from __future__ import annotations

from bearerwatch.store import offsets
from bearerwatch.store.state import State


def test_offsets_are_overwritten_and_found_by_source(state: State) -> None:
    with state.begin() as tx:
        offsets.save(tx, {("spool:a", "1"): 10, ("spool:a", "2"): 20, ("spool:a%", "1"): 30, ("http:k", "1"): 2**40})
        offsets.save(tx, {("spool:a", "1"): 11})
        offsets.save(tx, {})

    with state.read() as conn:
        assert offsets.load(conn, "http:") == {("http:k", "1"): 2**40}
        assert offsets.load(conn, "spool:a%") == {("spool:a%", "1"): 30}
        assert len(offsets.load(conn)) == 4
        assert offsets.get(conn, "spool:a", "1") == 11
        assert offsets.get(conn, "spool:a", "3") is None


def test_offsets_are_forgotten(state: State) -> None:
    with state.begin() as tx:
        offsets.save(tx, {("spool:a", "1"): 10, ("spool:a", "2"): 20})
        offsets.forget(tx, [("spool:a", "1"), ("spool:b", "2")])
        offsets.forget(tx, [])

    with state.read() as conn:
        assert offsets.load(conn) == {("spool:a", "2"): 20}
