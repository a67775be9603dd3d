"""Days on which nobody attacks and everything else goes wrong: no rule that counts may say a word.

Each crowd is one that falsepositives, descriptions and notes of the rules speak of, larger and worse than in their own
tests, and all at once. Times are seconds from the beginning; columns are SQL of ``i``, the event's number.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bearerwatch.detect.ir import Rule
from bearerwatch.detect.ir_keyed import Keyed
from bearerwatch.detect.rulebook import load_rules
from bearerwatch.detect.ruletest import batch
from bearerwatch.store.engine import COLUMNS, connect

Fields = dict[str, Any]

RULES = [rule for rule in load_rules() if not isinstance(rule.correlation, Keyed)]


class Day:
    """Events of some hours, people and clients.

    Args:
        con: where they are kept, in the table ``day``.
        size: how many times as many there are of everybody.
        hours: how long it is.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, size: int, hours: int) -> None:
        self.con = con
        self.size = size
        self.seconds = hours * 3600
        names = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
        con.execute(f"CREATE TABLE day ({names})")

    def add(self, outcome: str, *, at: float = 0, every: float = 1, till: float | None = None, **sql: Any) -> None:
        """One event each *every* seconds from *at* until *till*; the columns are SQL text."""
        status = {"success": 200, "anonymous": 200, "missing": 401, "invalid": 401, "expired": 401, "error": 503}
        columns: dict[str, str] = {
            "kind": "'auth'",
            "outcome": f"'{outcome}'",
            "status": str(status.get(outcome, 403)),
            "service": "'shop'",
            "method": "'GET'",
            "route": "'/orders/{id}'",
            "path": "'/orders/' || i",
            "token_kind": "'jwt'",
            "user_agent": "'Firefox/' || i % 9",
        } | sql
        if "presented_id" in columns:
            columns.setdefault("token_id", columns["presented_id"])
        chosen = ", ".join(f"{text} AS {name}" for name, text in columns.items())
        count = int(((self.seconds if till is None else till) - at) / every)
        self.con.execute(
            f"INSERT INTO day BY NAME SELECT TIMESTAMP '2026-01-05 06:00:00' + to_microseconds(CAST(({at} + i * {every}) "
            f"* 1000000 AS BIGINT)) AS ts, {chosen} FROM range({count}) AS r(i)"
        )


def token(name: str, number: str = "0") -> str:
    return f"'k00000000:' || md5('{name}' || CAST({number} AS VARCHAR))"


def _offices(day: Day, start: float) -> None:
    """Behind one address hundreds work, behind others a dozen; for minutes a service refuses them all, and they retry."""
    for people, address in ((400 * day.size, "198.51.100.1"), (60, "198.51.100.2"), (12, "198.51.100.3")):
        ip, whose = f"'{address}'", token(address, f"(i * 7919) % {people}")
        pace = 120 / people
        day.add("success", at=start, every=pace, client_ip=ip, presented_id=whose)
        newer = token(address, f"CASE WHEN i % 10 = 0 THEN -(i % {people}) ELSE (i * 7919) % {people} END")
        for at, outcome, reason in (
            (4000, "invalid", "unknown_kid"),
            (6500, "invalid", "bad_signature"),
            (7500, "error", ""),
            (8200, "invalid", "alg_not_allowed"),
        ):
            who = newer if people > 100 else whose
            till = start + at + 180
            day.add(
                outcome, at=start + at, every=pace / 15, till=till, client_ip=ip, presented_id=who, reason=f"'{reason}'"
            )
        old = token(address + "-old", f"i % {people}")
        day.add("expired", at=start, every=9, client_ip=ip, presented_id=old)
        day.add(
            "invalid", at=start + 60, every=160_000 / people, client_ip=ip, presented_id=token(address + "-wrong", "i")
        )


def _morning(day: Day, start: float) -> None:
    """Hundreds open their browsers behind one address: pages without a token, expired ones, mistyped passwords."""
    people, ip = 300 * day.size, "'198.51.100.9'"
    each = 1800 / people
    for n in range(5):
        day.add("missing", at=start + n, every=each, till=start + 1800, client_ip=ip, path=f"'/page/{n}'")
    day.add("expired", at=start, every=each, till=start + 1800, client_ip=ip, presented_id=token("yesterday", "i"))
    day.add(
        "missing", at=start + 5, every=each * 10, till=start + 1800, client_ip=ip, method="'POST'", route="'/login'"
    )
    for n in range(20):
        day.add(
            "success", at=start + 1 + n, every=each, till=start + 1800, client_ip=ip, presented_id=token("today", "i")
        )


def _broken(day: Day, start: float) -> None:
    """Clients that go on for ever: with a bad token, an expired one, none at all, or a new one that is no better."""
    for n in range(2 * day.size):
        ip = f"'203.0.113.{n}'"
        fields: Fields = {"client_ip": ip, "path": "'/orders/7'", "user_agent": "'batch/1'"}
        day.add("invalid", at=start, every=1, presented_id=token(f"bad{n}"), **fields)
        day.add(
            "expired", at=start, every=0.5, presented_id=token(f"old{n}"), **fields | {"client_ip": f"'192.0.2.{n}'"}
        )
        day.add("missing", at=start, every=2, **fields | {"client_ip": f"'192.0.2.{n + 100}'", "token_kind": "NULL"})
        wrong: Fields = {"reason": "'wrong_audience'", "presented_id": token(f"other{n}-", "i")}
        day.add("invalid", at=start, every=8, **fields | wrong | {"client_ip": f"'203.0.113.{n + 100}'"})
        moves: Fields = fields | {"client_ip": f"'100.64.{n}.' || i // 400"}
        day.add("expired", at=start, every=1.1, presented_id=token(f"phone{n}"), **moves)


def _movers(day: Day, start: float) -> None:
    """Phones and laptops change addresses; a fleet of nine shares one token; VPNs have two ends."""
    for n in range(8 * day.size):
        away = f"'100.65.{n}.' || (i * 20) // 450"
        day.add("success", at=start, every=20, client_ip=away, presented_id=token(f"train{n}"))
        day.add("success", at=start, every=5, client_ip=f"'10.1.{n}.' || i % 9", presented_id=token(f"fleet{n}"))
        day.add("success", at=start, every=15, client_ip=f"'10.2.{n}.' || i % 2", presented_id=token(f"vpn{n}"))


def _late(day: Day, start: float) -> None:
    """Tokens end each hour, and whoever has one notices after a few requests, some of them elsewhere meanwhile."""
    for n in range(20 * day.size):
        seen: Fields = {"client_ip": f"'10.3.{n}.1'"}
        whose = token(f"late{n}-", f"i // {3600 // 30}")
        day.add("success", at=start, every=30, presented_id=whose, **seen)
        for k in range(n % 4 + 2):
            moved: Fields = {"client_ip": f"'10.3.{n}.' || {n % 2 + 1}"}
            day.add("expired", at=start + 3601 + k, every=3600, presented_id=token(f"late{n}-", "i"), **moved)


def _machines(day: Day, start: float) -> None:
    """A gateway's and a batch job's token: ten requests a second, of which some are refused here and there."""
    for n in range(day.size):
        fields: Fields = {"client_ip": f"'10.4.0.{n}'", "presented_id": token(f"gateway{n}")}
        day.add("success", at=start, every=0.1, till=start + 3600, **fields)
        day.add(
            "success", at=start, every=4, till=start + 3600, **fields | {"status": "404", "path": "'/orders/x' || i"}
        )
        day.add("forbidden", at=start, every=7, till=start + 3600, **fields | {"route": "'/r/' || i % 30"})


def _pages(day: Day, start: float) -> None:
    """Roles are reduced, lists are stale, links are crawled, probes poll, sessions end while a page is open."""
    for n in range(15 * day.size):
        fields: Fields = {"client_ip": f"'10.5.{n}.1'", "presented_id": token(f"page{n}")}
        day.add("forbidden", at=start + n, every=60, till=start + 3600, route="'/widget/' || i % 5", **fields)
        gone: Fields = {"status": "404", "path": "'/orders/gone' || i % 19"}
        day.add("success", at=start + n, every=3, till=start + 1800, **fields | gone)
    day.add("anonymous", at=start, every=0.3, status="404", path="'/old/' || i", client_ip="'10.6.0.1'")
    day.add("anonymous", at=start, every=1, path="'/health'", client_ip="'10.6.0.2'")
    day.add("missing", at=start, every=1, path="'/status/' || i % 2", client_ip="'10.6.0.3'")
    day.add("missing", at=start, every=4, path="'/page/' || i % 30", client_ip="'10.6.0.4'")
    for n in range(12):
        till = start + 20 * (n + 1)
        fields = {"method": "'POST'", "route": "'/login'", "client_ip": f"'10.6.1.{n}'"}
        day.add("missing", at=start, every=20, till=till, **fields)
        day.add(
            "success", at=till, every=9, till=till + 900, client_ip=fields["client_ip"], presented_id=token(f"typed{n}")
        )


CROWDS = (_offices, _morning, _broken, _movers, _late, _machines, _pages)


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    con = connect(tmp_path / "tmp")
    yield con
    con.close()


def said(rules: list[Rule], con: duckdb.DuckDBPyConnection) -> list[str]:
    return [f"{rule.name} {found.key} {found.peak}" for rule in rules for found in batch(rule, con, "day")]


def test_no_rule_that_counts_says_a_word_of_crowds(con: duckdb.DuckDBPyConnection) -> None:
    """Then somebody guesses in the midst of them, and one does: silence is not that of rules which see nothing."""
    day = Day(con, size=1, hours=3)
    for crowd in CROWDS:
        crowd(day, 0)
    (count,) = con.execute("SELECT count(*) FROM day").fetchall()[0]
    assert count > 100_000
    assert said(RULES, con) == []

    day.add("invalid", at=600, every=9, till=1200, client_ip="'203.0.113.250'", presented_id=token("guess", "i"))
    guessing = [rule for rule in RULES if rule.name == "token_guessing"]
    assert len(said(guessing, con)) == 1


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_rule_that_counts_says_a_word_of_crowds_twice_as_large(con: duckdb.DuckDBPyConnection) -> None:
    """Behind one address 800 people, a tenth of whose tokens are new when keys change: about as many as may be."""
    day = Day(con, size=2, hours=3)
    for crowd in CROWDS:
        crowd(day, 0)
    assert said(RULES, con) == []
