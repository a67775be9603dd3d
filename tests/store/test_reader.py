"""What people and commands read."""

from __future__ import annotations

import random
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bearerwatch.event import Outcome
from bearerwatch.store.engine import COLUMNS, connect
from bearerwatch.store.reader import AmbiguousToken, Reader
from bearerwatch.store.state import State, default_url
from store.kept import Kept
from store.made import HOUR, KEY, event_id, line, lines

A = f"{KEY}:{'a' * 31}1"
A2 = f"{KEY}:{'a' * 31}2"
B = f"k00000000:{'b' * 32}"
C = f"{KEY}:{'c' * 32}"


EVENTS = [
    line(0, HOUR, token_id=A, service="orders", client_ip="192.0.2.1", presented_id=C),
    line(1, HOUR + timedelta(hours=1), token_id=A2, outcome=Outcome.INVALID, service="users", request_id="r-1"),
    line(
        2,
        HOUR + timedelta(hours=2),
        token_id=A,
        token_id_prev=B,
        outcome=Outcome.EXPIRED,
        client_ip="2001:db8::1",
    ),
    line(3, HOUR + timedelta(hours=3), token_id="short:5", presented_id="short:5"),
    line(4, HOUR + timedelta(hours=4), token_id=None, kind="leak", outcome=None),
]


@pytest.fixture
def reader(kept: Kept) -> Iterator[Reader]:
    kept.keep(EVENTS)
    with Reader(kept.folder, report=kept.said.append) as opened:
        yield opened


@pytest.fixture(scope="module")
def readable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader of the same events, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("readable")
    with closing(State(default_url(folder))) as state, closing(connect(folder / "tmp")) as con:
        state.migrate()
        Kept(folder, state, con, []).keep(EVENTS)
    with Reader(folder) as opened:
        yield opened


def found(events: list[dict[str, Any]]) -> list[int]:
    return [int(event["event_id"][-2:], 16) for event in events]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"limit": 2}, [4, 3]),
        ({"limit": None}, [4, 3, 2, 1, 0]),
        ({"since": HOUR + timedelta(hours=1)}, [4, 3, 2, 1]),
        ({"since": HOUR + timedelta(hours=1, microseconds=1)}, [4, 3, 2]),
        ({"until": HOUR + timedelta(hours=1)}, [0]),
        ({"since": datetime(2027, 1, 1, tzinfo=UTC)}, []),
        ({"outcome": "invalid"}, [1]),
        ({"outcome": Outcome.INVALID}, [1]),
        ({"outcome": [Outcome.INVALID, "expired"]}, [2, 1]),
        ({"kind": "leak"}, [4]),
        ({"client_ip": "2001:db8::1"}, [2]),
        ({"service": "users"}, [1]),
        ({"service": "' OR true --"}, []),
        ({"request_id": "r-1"}, [1]),
        ({"request_id": event_id(2)}, [2]),
        ({"token": A}, [2, 0]),
        ({"token": A2}, [1]),
        ({"token": B}, [2]),
        ({"token": C}, [0]),
        ({"token": "k00000000:bbbb"}, [2]),
        ({"token": "bbbbbbbb"}, [2]),
        ({"token": "bbbbbbbb…"}, [2]),
        ({"token": f"{KEY}:cccccccc..."}, [0]),
        ({"token": "a" * 31 + "2"}, [1]),
        ({"token": "k00000000:aaaa"}, []),
        ({"token": "dddd"}, []),
        ({"token": f"{KEY}:{'d' * 32}"}, []),
        ({"token": "short:5"}, [3]),
        ({"token": A, "outcome": "expired", "since": HOUR + timedelta(hours=1)}, [2]),
        ({"token": "aaaa", "until": HOUR + timedelta(minutes=1)}, [0]),
    ],
)
def test_events_by_filter(readable: Reader, filters: dict[str, Any], expected: list[int]) -> None:
    assert found(readable.events(**filters)) == expected
    if filters.get("limit", 100) != 2:
        assert found(readable.timeline(**filters)) == expected[::-1]


def test_the_beginning_of_several_token_ids(readable: Reader) -> None:
    for given in ("aaaa", f"{KEY}:aaaaaaaa"):
        with pytest.raises(AmbiguousToken, match="give more of it") as caught:
            readable.events(token=given)
        assert A in str(caught.value)
        assert A2 in str(caught.value)


def test_of_many_token_ids_ten_are_listed(kept: Kept) -> None:
    kept.keep([line(n, token_id=f"{KEY}:{'e' * 28}{n:04x}") for n in range(50)])
    with Reader(kept.folder) as reader, pytest.raises(AmbiguousToken) as caught:
        reader.events(token="eeee")
    assert str(caught.value).count(KEY) == 10


@pytest.mark.parametrize("secret", ["eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "s3cr3t-of-mine", "abc", "k1:%' OR 1=1", ""])
def test_a_token_given_by_mistake_is_not_repeated(readable: Reader, secret: str) -> None:
    with pytest.raises(ValueError, match="no token id") as caught:
        readable.events(token=secret)
    assert not secret or secret not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_event_has_every_column_and_instants_know_their_zone(readable: Reader) -> None:
    [event] = readable.events(limit=1)

    assert list(event) == list(COLUMNS)
    assert event["ts"] == HOUR + timedelta(hours=4)
    assert event["received_at"].tzinfo is UTC


def test_an_instant_without_a_zone_is_refused(readable: Reader) -> None:
    with pytest.raises(ValueError, match="time zone"):
        readable.events(since=datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_query_of_ones_own(readable: Reader) -> None:
    rows = readable.query(
        "SELECT outcome, count(*) AS n, {{'a': 1}} AS s FROM {events} WHERE ts < ? GROUP BY outcome ORDER BY n DESC LIMIT 1",
        [datetime(2026, 1, 2, 8)],  # noqa: DTZ001
    )
    assert rows == [{"outcome": "success", "n": 2, "s": {"a": 1}}]


def test_a_mistake_in_ones_own_query(readable: Reader) -> None:
    with pytest.raises(duckdb.BinderException):
        readable.query("SELECT nothing FROM {events}")


def test_events_committed_meanwhile_are_seen(kept: Kept, reader: Reader) -> None:
    kept.keep(lines(5, 1))
    assert len(reader.events()) == 6


def test_damage_is_reported_and_read_around(kept: Kept, reader: Reader) -> None:
    victim = next(path for path in kept.files if "hour=03" in str(path))
    victim.write_bytes(random.Random(1).randbytes(victim.stat().st_size))

    assert found(reader.events()) == [4, 3, 2, 1]
    assert "damaged" in kept.said[0]
    assert not victim.exists()


def test_reading_leaves_no_files_for_others(kept: Kept, reader: Reader) -> None:
    reader.events()
    for path in kept.folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_state_elsewhere(kept_anywhere: Kept, url: str) -> None:
    kept_anywhere.keep(lines(0, 3))
    with Reader(kept_anywhere.folder, url) as reader:
        assert len(reader.events()) == 3


def test_a_relative_folder(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep(lines(0, 3))
    monkeypatch.chdir(kept.folder.parent)
    with Reader(Path(kept.folder.name)) as reader:
        monkeypatch.chdir("/")
        assert len(reader.events()) == 3
