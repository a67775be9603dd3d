"""Episodes are saved whole, and found again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from bearerwatch.store import episodes
from bearerwatch.store.episodes import Episode
from bearerwatch.store.state import State

T0 = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def made(identifier: str, minute: int = 0, **changes: Any) -> Episode:
    at = T0 + timedelta(minutes=minute)
    values: dict[str, Any] = {
        "id": identifier,
        "rule": "brute_force",
        "rule_version": 3,
        "title": "Many rejected tokens from one address",
        "level": "high",
        "key": {"client_ip": "192.0.2.1"},
        "first_hit": at,
        "last_hit": at + timedelta(seconds=30),
        "opened_at": at + timedelta(seconds=31),
        "peak": 120,
        "hits": 21,
        "evidence": {"outcomes": {"invalid": 120}, "event_ids": ["a", "b"]},
    }
    return Episode(**(values | changes))


def test_what_is_saved_is_what_is_found(state: State) -> None:
    episode = made("e1")
    with state.begin() as tx:
        episodes.save(tx, [episode])

    with state.read() as conn:
        assert episodes.get(conn, "e1") == episode
        assert episodes.get(conn, "e2") is None
        assert episodes.load_open(conn) == [episode]


def test_saving_again_updates_all_but_the_opening(state: State) -> None:
    first = made("e1")
    later = msgspec.structs.replace(
        first, hits=99, last_hit=T0 + timedelta(hours=1), opened_at=T0 + timedelta(days=1), evidence={"n": 1}
    )
    with state.begin() as tx:
        episodes.save(tx, [first, made("e2", 1)])
        episodes.save(tx, [later])

    with state.read() as conn:
        found = episodes.get(conn, "e1")
        assert found == msgspec.structs.replace(later, opened_at=first.opened_at)
        assert len(episodes.list_(conn)) == 2


def test_saving_nothing_is_nothing(state: State) -> None:
    with state.begin() as tx:
        episodes.save(tx, [])


def test_open_are_those_neither_closed_nor_superseded(state: State) -> None:
    with state.begin() as tx:
        episodes.save(
            tx, [made("c", 2), made("a", 1, closed_at=T0), made("b", 3, superseded_by="c"), made("d", 1), made("e", 1)]
        )

    with state.read() as conn:
        assert [e.id for e in episodes.load_open(conn)] == ["d", "e", "c"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["e4", "e3", "e1", "e0"]),
        ({"limit": 2}, ["e4", "e3"]),
        ({"limit": None, "superseded": True}, ["e4", "e3", "e2", "e1", "e0"]),
        ({"open_only": True}, ["e4", "e3", "e0"]),
        ({"rules": ["token_sharing", "nonsense"]}, ["e4"]),
        ({"levels": ["low"]}, ["e3"]),
        ({"since": T0 + timedelta(minutes=3, seconds=30)}, ["e4", "e3"]),
        ({"since": T0 + timedelta(minutes=3, seconds=31)}, ["e4"]),
        ({"until": T0 + timedelta(minutes=1)}, ["e0"]),
        ({"until": T0 + timedelta(minutes=1, microseconds=1)}, ["e1", "e0"]),
    ],
)
def test_the_list_by_filter(state: State, filters: dict[str, Any], expected: list[str]) -> None:
    with state.begin() as tx:
        episodes.save(
            tx,
            [
                made("e0", 0),
                made("e1", 1, closed_at=T0 + timedelta(hours=1)),
                made("e2", 2, superseded_by="e1"),
                made("e3", 3, level="low"),
                made("e4", 4, rule="token_sharing"),
            ],
        )

    with state.read() as conn:
        assert [e.id for e in episodes.list_(conn, **filters)] == expected
