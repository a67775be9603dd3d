"""Withdrawn tokens in the state database: written down once, never shortened, gone when they may be forgotten."""

from __future__ import annotations

import time

import sqlalchemy as sa

import fakes
from bearerwatch.fingerprint import fingerprint
from bearerwatch.store import revocations
from bearerwatch.store.state import State
from bearerwatch.store.tables import revocations as table
from bearerwatch.verify.revocations import Revocation

AT = int(time.time())


def entry(token: str | None = None, **fields: object) -> Revocation:
    values = {"token_id": fingerprint(token or fakes.opaque()), "at": AT} | fields
    return Revocation(**values)  # type: ignore[arg-type]


def test_what_is_written_down_is_read_again_until_it_is_taken_back(state: State) -> None:
    first = entry(at=AT - 5, until=AT + 3600, by="maria", reason="laptop stolen")
    second = entry(until=253_402_300_799)
    with state.begin() as tx:
        assert revocations.version(tx) == ""
        assert revocations.add(tx, [second, first]) == 2
    with state.read() as conn:
        assert revocations.load(conn) == [first, second]
        version = revocations.version(conn)
    assert version
    with state.begin() as tx:
        assert revocations.add(tx, [first]) == 0
        assert revocations.version(tx) == version
        assert revocations.remove(tx, [first.token_id, first.token_id, entry().token_id]) == 1
        assert revocations.version(tx) != version
    with state.read() as conn:
        assert revocations.load(conn) == [second]


def test_revoking_again_never_shortens(state: State) -> None:
    token = fakes.opaque()
    with state.begin() as tx:
        revocations.add(tx, [entry(token, until=AT + 3600, by="maria"), entry(token, until=AT + 7200)])
        revocations.add(tx, [entry(token, at=AT + 9, until=AT + 60, by="tom", reason="lost")])
    with state.read() as conn:
        assert revocations.load(conn) == [entry(token, until=AT + 7200, by="maria", reason="lost")]


def test_what_is_past_is_not_told_and_goes_with_the_next_change(state: State) -> None:
    past = entry(at=AT - 99, until=AT - 9)
    with state.begin() as tx:
        revocations.add(tx, [past])
    with state.read() as conn:
        assert revocations.load(conn) == []
    with state.begin() as tx:
        revocations.add(tx, [entry()])
    with state.read() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 1


def test_a_row_that_is_no_revocation_is_passed_over(state: State) -> None:
    good = entry()
    with state.begin() as tx:
        revocations.add(tx, [good])
        tx.execute(sa.insert(table).values(token_id="short:12", revoked_at=sa.func.now()))
    with state.read() as conn:
        assert revocations.load(conn) == [good]


def test_many_at_once(state: State) -> None:
    entries = [entry(f"a token by number, {number:06d}") for number in range(2_000)]
    with state.begin() as tx:
        assert revocations.add(tx, entries) == 2_000
        assert revocations.add(tx, entries) == 0
        assert revocations.remove(tx, [one.token_id for one in entries]) == 2_000
