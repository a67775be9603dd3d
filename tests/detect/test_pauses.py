"""Nothing is read for a while, and an attack goes on: a full disk, a database away, a sender out of reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.alert.config import load_routes
from bearerwatch.alert.router import Router
from bearerwatch.detect.book import Change
from bearerwatch.event import AuthEvent, Outcome
from bearerwatch.ingest.complaints import Complaints
from bearerwatch.server import Collector as Server
from bearerwatch.server import CollectorSettings
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.store import episodes
from detect import oracle
from detect.rules import FIVE_IN_TEN
from detect.world import T0, Collector, event

Make = Callable[..., Collector]


def fails(*at: float) -> list[AuthEvent]:
    return [event(ts, client_ip="192.0.2.1") for ts in at]


def said(changes: Sequence[Change]) -> list[str]:
    return [change.transition for change in changes if change.transition != "extended"]


def as_told(box: Collector, everything: Sequence[AuthEvent]) -> None:
    """What is saved is what the oracle makes of all events, each counted once."""
    box.commit()
    found = {(tuple(e.key.values()), e.first_hit, e.last_hit, e.peak, e.hits) for e in box.saved()}
    assert found == {tuple(told) for told in oracle.episodes(FIVE_IN_TEN, everything)}
    assert sum(e.evidence["events"] for e in box.saved()) == len(everything)


def closed_too_early(box: Collector) -> list[AuthEvent]:
    """An attack of one event a second that is told to be over at 75, for no more of it is read."""
    begun = fails(*range(5))
    box.tick(begun, 5)
    assert said(box.tick([], 75.1)) == ["closed"]
    box.commit()
    return begun


@pytest.mark.parametrize("restart", [False, True])
def test_an_attack_that_goes_on_after_its_end_was_told_is_told_again(collector: Make, restart: bool) -> None:
    """Once: all of it becomes one new episode, and the closed one a part of that."""
    box = collector(FIVE_IN_TEN)
    everything = closed_too_early(box)
    before = len(box.changes)
    if restart:
        box.restart(T0 + timedelta(seconds=299))
    for start in range(5, 300, 50):  # the backlog, in parts
        everything += (batch := fails(*range(start, min(start + 50, 300))))
        box.tick(batch, 300)
    assert said(box.changes[before:])[:2] == ["opened", "merged"]
    assert box.detector.open_episodes == 1
    box.commit()
    for second in range(300, 400, 10):
        everything += (batch := fails(*range(second, second + 10)))
        box.tick(batch, second + 10)
    assert said(box.changes[before:]) == ["opened", "merged"]
    assert box.detector.open_episodes == 1
    as_told(box, everything)
    (old,) = box.superseded()
    (new,) = box.saved()
    assert (old.superseded_by, old.closed_at) == (new.id, T0 + timedelta(seconds=75.1))
    assert said(box.tick([], 480)) == ["closed"]
    told = [(row.episode_id, row.transition) for row in Router(load_routes(env={})).rows(box.changes, T0)]
    assert told == [(old.id, "opened"), (old.id, "closed"), (new.id, "opened"), (new.id, "closed")]


def test_an_attack_that_ended_meanwhile_is_not_told_again(collector: Make) -> None:
    """Late hits from before the closing belong to what was told."""
    box = collector(FIVE_IN_TEN)
    everything = closed_too_early(box) + (late := fails(*range(5, 60)))
    assert said(box.tick(late, 200)) == []
    as_told(box, everything)
    assert said(box.tick([], 1000)) == []


def test_a_sender_that_is_always_late_is_told_of_again_too(collector: Make) -> None:
    """Its hits are never new by the clock, but at some time they are from after the closing."""
    box = collector(FIVE_IN_TEN)
    everything = closed_too_early(box)
    before = len(box.changes)
    for second in range(5, 120):
        everything += (batch := fails(second))
        box.tick(batch, second + 300)
        assert bool(said(box.changes[before:])) == (second > 75)
    assert said(box.changes[before:]) == ["opened", "merged"]
    as_told(box, everything)


def test_what_goes_on_from_the_very_same_first_hit_has_an_id_of_its_own(collector: Make) -> None:
    """Ids say what was told to whom: the same one again would be told to nobody."""
    box = collector(FIVE_IN_TEN)
    everything = fails(0, 0, 0, 0, 0)
    (first,) = box.tick(everything, 1)
    assert said(box.tick([], 71.1)) == ["closed"]
    everything += (batch := fails(0, 5, 9, 10, 11, 12, 13, 14))
    opened, merged = box.tick(batch, 80)
    assert (opened.transition, merged.transition) == ("opened", "merged")
    assert opened.episode.first_hit == first.episode.first_hit
    assert opened.episode.id != first.episode.id == merged.episode.id
    as_told(box, everything)
    assert said(box.tick([], 150.1)) == ["closed"]
    everything += (batch := fails(0, *range(15, 90)))  # once more
    assert said(box.tick(batch, 151)) == ["opened", "merged"]
    as_told(box, everything)
    assert len({e.id for e in [*box.saved(), *box.superseded()]}) == 3


def test_hits_within_the_allowed_lateness_never_open_a_second_episode(collector: Make) -> None:
    box = collector(FIVE_IN_TEN, lateness=20)
    box.tick(fails(0, 0, 0, 0, 0), 0.5)
    for ts in range(10, 200, 10):
        box.tick(fails(ts), ts + 19.9)  # as late as may be, and each as far from the last as may be
        box.tick(fails(*([ts] * 4)), ts + 19.95)
    assert said(box.changes) == ["opened"]


def test_nothing_is_over_while_nothing_is_read(collector: Make) -> None:
    """And afterwards, as after a restart, senders have time to send what they could not."""
    box = collector(FIVE_IN_TEN)
    box.tick(fails(*range(5)), 5)
    box.detector.read_up_to(T0 + timedelta(seconds=6))
    assert said(box.tick([], 500)) == []
    box.detector.read_up_to(T0 + timedelta(seconds=500), behind=400.5)
    assert said(box.tick([], 501)) == []
    box.detector.read_up_to(T0 + timedelta(seconds=502))
    assert said(box.tick([], 502)) == []
    for second in range(503, 573):
        box.detector.read_up_to(T0 + timedelta(seconds=second))
        assert said(box.tick([], 600)) == []
    box.detector.read_up_to(T0 + timedelta(seconds=573))
    (closed,) = box.tick([], 601)
    assert closed.episode.closed_at == T0 + timedelta(seconds=601)


def test_a_collector_that_may_not_read_closes_nothing(tmp_path: Path) -> None:
    """The disk is full for an hour: one alert, open until what waited has been read."""
    now = datetime.now(UTC) - timedelta(hours=2)
    roomy = CollectorSettings(state_dir=tmp_path / "state", min_free=0)
    server = Server(roomy, complain=Complaints(lambda _: None))
    sink = SpoolSink(tmp_path / "state" / "spool" / "shop")

    def uses(at: datetime) -> None:
        token = f"k00000000:{1:032x}"
        found: dict[str, Any] = {"client_ip": "203.0.113.7", "token_id": token, "presented_id": token}
        for _ in range(40):
            sink.send(event(at, Outcome.REVOKED, reason="blacklisted", verified=False, status=401, **found))

    def tick(seconds: float, *, full: bool = False) -> tuple[int, int]:
        server.settings = replace(roomy, min_free=1 << 62) if full else roomy
        server._status_at = server._committed_at = 0.0
        server._look_around(now + timedelta(seconds=seconds))
        server._tick(now + timedelta(seconds=seconds))
        with server._state.read() as conn:
            found = episodes.list_(conn, rules=["revoked_token_use"], superseded=True)
        return len(found), sum(e.closed_at is None for e in found)

    with ExitStack() as stack:
        stack.callback(server._waker.close)
        server._open(stack)
        stack.callback(sink.close)
        uses(now)
        assert tick(1) == (1, 1)
        for minute in range(1, 60):
            uses(now + timedelta(minutes=minute))
            assert tick(60 * minute, full=True) == (1, 1)
        assert tick(3600) == (1, 1)
        assert tick(3601) == (1, 1)
        assert tick(3605) == (1, 1)
        ends = [tick(second) for second in range(3609, 4400, 9)]
        assert ends[-1] == (1, 0)
