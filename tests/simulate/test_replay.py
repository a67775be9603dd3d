"""What is replayed into a spool is what was simulated, moved to now, and at the speed asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bearerwatch.event import AuthEvent
from bearerwatch.simulate.replay import Replay
from bearerwatch.simulate.simulation import Plan, Simulation

SpoolLines = Callable[..., list[bytes]]
PLAN = Plan(seed=3, events=1_000, only=("token_guessing",), tuned={"token_guessing": {"each_day": 2}})


def test_every_event_is_sent_once_and_none_of_them_lies_in_the_future(tmp_path: Path, spool_lines: SpoolLines) -> None:
    expected = sum(len(rows) for rows in Simulation(PLAN))
    before = datetime.now(UTC)
    sent, _ = Replay(Simulation(PLAN), tmp_path / "spool", speed=1e6)()
    after = datetime.now(UTC)
    decode = msgspec.json.Decoder(AuthEvent).decode
    events = [decode(line) for line in spool_lines(tmp_path / "spool")]
    assert sent == expected == len(events) == len({event.event_id for event in events})
    newest, oldest = max(event.ts for event in events), min(event.ts for event in events)
    assert before - timedelta(minutes=3) < newest <= after
    assert timedelta(hours=23, minutes=40) < newest - oldest < timedelta(hours=24, seconds=1)
    assert {path.name for path in (tmp_path / "spool").iterdir()} == {event.service for event in events}


def test_the_truth_is_moved_as_the_events_are(tmp_path: Path, spool_lines: SpoolLines) -> None:
    _, truth = Replay(Simulation(PLAN), tmp_path / "spool", speed=1e6)()
    events = [msgspec.json.decode(line, type=AuthEvent) for line in spool_lines(tmp_path / "spool")]
    attacks = [one for one in truth.marked if one.attack]
    assert len(attacks) == 2
    for one in attacks:
        theirs = [event.ts for event in events if event.client_ip in one.key["client_ip"]]
        assert (min(theirs), max(theirs), len(theirs)) == (one.first, one.last, one.events)


def test_it_takes_as_long_as_the_speed_says(tmp_path: Path) -> None:
    slept: list[float] = []
    Replay(Simulation(PLAN), tmp_path / "spool", speed=100, sleep=slept.append)()
    # A day at that speed is 864 seconds: the last step waits for nearly all of it, for nobody really sleeps here.
    assert 600 < max(slept) <= 864
