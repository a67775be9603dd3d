"""What is remembered: bounded, kept over restarts, and never a reason to stop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.detect.ir_keyed import FirstSeen, Learned, Silence
from bearerwatch.detect.keyed import lives
from detect.rules import LET_IN, rule, selection
from detect.world import T0, Collector, event

COUNTRY = rule("country", FirstSeen(LET_IN, ("token_id",), 60, ("country",), Learned((), 2, 2, 20, 9, 86_400), 5))
SILENCE = rule(
    "silence",
    Silence(selection("any"), ("service",), 15, floor=10, ratio=1.5, sightings=3, span=15, memory=600, settle=5),
)


def token(i: int) -> str:
    return f"k00000000:{i:032x}"


def test_a_restart_remembers_what_the_lake_does_not_tell_any_more(
    collector: Callable[..., Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bearerwatch.detect.keyed import remembered

    monkeypatch.setattr(remembered, "_REBUILT", timedelta(seconds=1))  # without the snapshot, nobody would be known
    box = collector(COUNTRY)
    box.tick([event(s, "success", token_id=token(1), country="DE") for s in range(0, 60, 5)], 60)
    box.commit()
    box.restart(T0 + timedelta(seconds=61))
    changes = box.tick([event(62, "success", token_id=token(1), country="US")], 63)
    assert [c.transition for c in changes] == ["opened"]


def test_a_snapshot_that_is_damaged_or_gone_is_made_again(collector: Callable[..., Collector]) -> None:
    box = collector(COUNTRY)
    box.tick([event(s, "success", token_id=token(1), country="DE") for s in range(0, 60, 5)], 60)
    box.commit()
    (kept,) = (box.folder / "memory").glob("*.msgpack")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert token(1).encode() not in kept.read_bytes()
    kept.write_bytes(b"\xc1" * 40)
    box.restart(T0 + timedelta(seconds=61))
    changes = box.tick([event(62, "success", token_id=token(1), country="US")], 63)
    assert [c.transition for c in changes] == ["opened"]


def test_a_full_disk_costs_the_snapshot_and_no_event(collector: Callable[..., Collector]) -> None:
    box = collector(COUNTRY)
    (box.folder / "memory").write_text("in the way")
    box.tick([event(1, "success", token_id=token(1), country="DE")], 2)
    box.commit()
    assert box.rows_in_lake() == 1


def test_a_flood_of_keys_is_forgotten_from_the_oldest_on_and_said(
    collector: Callable[..., Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "MOST", 200)
    box = collector(COUNTRY)
    box.tick([event(s, "success", token_id=token(1), country="DE") for s in range(0, 100, 5)], 100)
    box.tick([event(50 + i / 100, "success", token_id=token(i), country="DE") for i in range(2, 900)], 200)
    assert box.detector.degraded == ["country"]
    changes = box.tick([event(104, "success", token_id=token(1), country="US")], 201)
    assert [c.transition for c in changes] == ["opened"], "who was seen last is known still"


def test_silence_goes_by_what_was_read_and_ends_when_it_is_heard_again(collector: Callable[..., Any]) -> None:
    box = collector(SILENCE, lateness=1)
    box.tick([event(s, "success", service="shop") for s in range(0, 60, 5)], 60)
    box.detector.read_up_to(T0 + timedelta(seconds=60))
    assert box.again(500) == [], "a backlog is no silence"
    box.detector.read_up_to(T0 + timedelta(seconds=90))
    assert [c.transition for c in box.again(90)] == ["opened"], "it is, though no event came"
    box.tick([event(s, "success", service="shop") for s in range(91, 170, 5)], 130)
    told = []
    for second in range(130, 171, 8):
        box.detector.read_up_to(T0 + timedelta(seconds=second))
        told += [c.transition for c in box.again(second)]
    assert told[-1] == "closed"
    assert "opened" not in told


def test_a_clock_years_ahead_neither_silences_nor_forgets_anybody(collector: Callable[..., Any]) -> None:
    box = collector(COUNTRY, SILENCE)
    box.detector.read_up_to(T0 + timedelta(seconds=60))
    box.tick([event(s, "success", token_id=token(1), country="DE", service="shop") for s in range(0, 60, 5)], 60)
    years = timedelta(days=3650) // timedelta(seconds=1)
    assert box.tick([event(years, "success", token_id=token(2), country="DE", service="shop")], 61) == []
    box.detector.read_up_to(T0 + timedelta(seconds=63))
    changes = box.tick([event(62, "success", token_id=token(1), country="US", service="shop")], 63)
    assert [c.episode.rule for c in changes] == ["country"]


def test_one_token_in_two_orders_of_arrival_makes_the_same_alert(tmp_path: Path) -> None:
    events = [event(s, "success", token_id=token(1), country="DE") for s in range(0, 60, 5)]
    events.append(event(61, "success", token_id=token(1), country="US"))
    ids = set()
    for n, order in enumerate((events, events[::-1])):
        folder = tmp_path / str(n)
        folder.mkdir(mode=0o700)
        box = Collector(folder, [COUNTRY])
        box.tick(order, 62)
        ids |= {e.id for e in box.detector.episodes}
        box.close()
    assert len(ids) == 1
