"""The detector among real parts: what late events, merges, restarts, rollbacks and failures do to episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bearerwatch.detect import recent
from bearerwatch.detect.book import Change
from bearerwatch.detect.ir import EventCount, Rule, ValueCount
from bearerwatch.event import AuthEvent, Kind
from bearerwatch.store.state import StateBusy
from detect import oracle
from detect.rules import ALL, CHAINED, FAILED, FIVE_IN_TEN, LET_IN, ONE, SHARED, rule
from detect.world import T0, Collector, event

Make = Callable[..., Collector]


def fails(*at: float, ip: str = "192.0.2.1", **fields: Any) -> list[AuthEvent]:
    return [event(ts, client_ip=ip, **fields) for ts in at]


def said(changes: list[Change]) -> list[tuple[str, str]]:
    return [(c.transition, c.episode.rule) for c in changes if c.transition != "extended"]


def spans(box: Collector) -> list[tuple[float, float, int, int]]:
    """First and last hit in seconds after T0, peak and hits of the saved episodes, by time."""
    found = [
        ((e.first_hit - T0).total_seconds(), (e.last_hit - T0).total_seconds(), e.peak, e.hits) for e in box.saved()
    ]
    return sorted(found)


# -- opening, extending, closing ---------------------------------------------------------------------------------------


def test_an_episode_opens_extends_and_closes_once(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    assert said(box.tick(fails(0, 1, 2, 3), 3)) == []
    (opened,) = box.tick(fails(4), 4)
    assert opened.transition == "opened"
    assert opened.episode.key == {"client_ip": "192.0.2.1"}
    assert (opened.episode.hits, opened.episode.peak) == (1, 5)
    assert opened.episode.opened_at == T0 + timedelta(seconds=4)
    assert opened.episode.evidence["events"] == 5
    assert said(box.tick(fails(5, 6), 6)) == []
    assert said(box.tick([], 6 + 70)) == []
    (closed,) = box.tick([], 6 + 70.1)
    assert (closed.transition, closed.episode.id) == ("closed", opened.episode.id)
    assert (closed.episode.hits, closed.episode.peak, closed.episode.evidence["events"]) == (3, 7, 7)
    assert said(box.tick([], 1000)) == []


def test_a_change_shows_the_episode_as_it_was_then(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    (opened,) = box.tick(fails(0, 1, 2, 3, 4), 4)
    box.tick(fails(5), 6)
    box.again(8)
    assert opened.episode.hits == 1
    assert opened.episode.evidence["events"] == 5


def test_extended_is_said_at_most_once_a_second_and_saved_at_every_commit(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick(fails(*range(5)), 5)
    heard = []
    for tick in range(12):
        heard += box.tick(fails(5 + tick / 4), 5 + (tick + 1) / 4)
        box.commit()
        assert spans(box) == [(4, 5 + tick / 4, spans(box)[0][2], 2 + tick)]
    assert {c.transition for c in heard} == {"extended"}
    assert len(heard) <= 3


def test_the_same_batch_is_never_counted_twice(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick(fails(0, 1, 2), 3)
    for _ in range(5):
        assert box.again(3) == []
    assert said(box.tick(fails(3), 4)) == []
    box.tick([], 4)
    box.tick(fails(4), 5)
    box.again(5)
    box.commit()
    box.again(5)
    box.commit()
    assert spans(box) == [(4, 4, 5, 1)]
    assert box.saved()[0].evidence["events"] == 5


def test_waiting_costs_no_memory(collector: Make) -> None:
    box = collector(*ALL)
    box.tick(fails(*range(5)), 5)
    for _ in range(20):
        box.again(6)
    for _ in range(20):
        box.tick([], 6)
    ((used,),) = box.con.execute(f"SELECT count(*) FROM {recent.TABLE}").fetchall()
    ((ever,),) = box.con.execute(f"SELECT max(rowid) + 1 FROM {recent.TABLE}").fetchall()
    assert used == ever == 5


def test_nothing_happens_without_events(collector: Make) -> None:
    box = collector(*ALL)
    for now in range(3):
        assert box.tick([], now) == []
    box.commit()
    assert box.saved() == []


def test_no_rules_find_nothing(collector: Make) -> None:
    box = collector()
    assert box.tick(fails(*range(30)), 30) == []
    box.commit()


def test_events_of_other_kinds_and_without_key_do_not_count(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick([event(i, kind=Kind.AUDIT, client_ip="192.0.2.1") for i in range(9)], 9)
    box.tick([event(10 + i / 2) for i in range(9)], 19)
    assert said(box.changes) == []


# -- late events -------------------------------------------------------------------------------------------------------


def test_a_late_event_can_make_older_anchors_hits(collector: Make) -> None:
    """The late event is no hit itself; the anchors after it become hits, and they are all that do."""
    box = collector(FIVE_IN_TEN)
    box.tick(fails(0, 1, 9, 10, 10.5), 11)  # five, but never within ten seconds: 0.5 s too far apart
    assert said(box.changes) == []
    (opened,) = box.tick(fails(5), 12)
    assert opened.transition == "opened"
    box.commit()
    assert spans(box) == [(10, 10.5, 5, 2)]


def test_a_late_event_that_reaches_the_threshold_by_itself_is_found_in_its_own_time(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick(fails(0, 1, 2, 3), 4)
    box.tick(fails(40), 41)
    box.tick(fails(2.5), 42)
    box.commit()
    assert spans(box) == [(3, 3, 5, 1)]


def test_an_earlier_first_hit_keeps_the_id(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    (opened,) = box.tick(fails(0, 1, 2, 3, 4, 5), 6)
    assert opened.episode.first_hit == T0 + timedelta(seconds=4)
    box.tick(fails(0.5), 7)
    box.commit()
    assert spans(box) == [(3, 5, 7, 3)]
    assert box.saved()[0].id == opened.episode.id
    assert box.saved()[0].evidence["events"] == 7


def test_a_late_event_bridges_two_episodes(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    (older,) = box.tick(fails(0, 0, 0, 0, 0), 1)
    (younger,) = [c for c in box.tick(fails(15, 15, 15, 15, 15), 16) if c.transition == "opened"]
    heard = box.tick(fails(8, 8, 8, 8, 8), 17)
    assert said(heard) == [("merged", "five_in_ten")]
    assert heard[0].episode.id == younger.episode.id
    assert heard[0].episode.superseded_by == older.episode.id
    box.commit()
    assert spans(box) == [(0, 15, 10, 15)]
    assert [e.id for e in box.superseded()] == [younger.episode.id]
    assert box.saved()[0].evidence["events"] == 15
    assert said(box.tick([], 1000)) == [("closed", "five_in_ten")]
    box.commit()
    assert box.superseded()[0].closed_at is None


def test_a_late_hit_extends_a_closed_episode_without_a_word(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick(fails(0, 1, 2, 3, 4), 5)
    assert said(box.tick([], 80)) == [("closed", "five_in_ten")]
    box.commit()
    assert said(box.tick(fails(5, 6), 81)) == []
    box.commit()
    (episode,) = box.saved()
    assert spans(box) == [(4, 6, 7, 3)]
    assert episode.closed_at == T0 + timedelta(seconds=80)
    assert episode.evidence["events"] == 7
    assert said(box.tick([], 1000)) == []


def test_a_closed_episode_is_found_again_after_a_restart(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick(fails(0, 1, 2, 3, 4), 5)
    box.tick([], 80)
    box.commit()
    (before,) = box.saved()
    box.restart(T0 + timedelta(hours=3))
    assert said(box.tick(fails(5, 14), 3 * 3600 + 1)) == []
    box.commit()
    (after,) = box.saved()
    assert (after.id, after.closed_at) == (before.id, before.closed_at)
    assert spans(box) == [(4, 5, 6, 2)]
    assert after.evidence["events"] == 6


def test_an_ongoing_episode_is_preferred_to_a_closed_one(collector: Make) -> None:
    """The closed one becomes part of it, so that the alert that is still going on is also the one that will close."""
    box = collector(FIVE_IN_TEN, lateness=1)
    box.tick(fails(0, 0, 0, 0, 0), 1)
    assert said(box.tick([], 13)) == [("closed", "five_in_ten")]
    (opened,) = box.tick(fails(15, 15, 15, 15, 15), 16)
    heard = box.tick(fails(8, 8, 8, 8, 8), 17)
    assert said(heard) == [("merged", "five_in_ten")]
    box.commit()
    (episode,) = box.saved()
    assert episode.id == opened.episode.id
    assert spans(box) == [(0, 15, 10, 15)]
    assert said(box.tick([], 200)) == [("closed", "five_in_ten")]


def test_a_source_that_lags_behind_does_not_close_what_it_keeps_feeding(collector: Make) -> None:
    """Five minutes late, all the time: one alert, closed when it is over, not at every event."""
    box = collector(FIVE_IN_TEN, lateness=5)
    for i in range(20):
        box.tick(fails(i * 2), i * 2 + 300)
    assert said(box.changes) == [("opened", "five_in_ten")]
    assert said(box.tick([], 1000)) == [("closed", "five_in_ten")]


@pytest.mark.parametrize("late", [90, 3600, 86_400 * 3])
def test_events_far_beyond_the_allowed_lateness_are_evaluated_just_as_exactly(collector: Make, late: int) -> None:
    box = collector(*ALL, lateness=2)
    now = float(late)
    everything = [event(late + i, "success", client_ip="192.0.2.9", presented_id="p") for i in range(60)]
    box.tick(everything, now + 60)
    box.commit()
    box.tick([], now + 90)
    old = [e for i in range(30) for e in fails(i, ip=f"192.0.2.{i % 12}", presented_id=f"p{i % 3}", service="s")]
    old += fails(*range(9), ip="198.51.100.1")
    for start in range(0, len(old), 7):
        box.tick(old[start : start + 7], now + 91 + start)
        if start % 2:
            box.commit()
    box.tick(event_list := fails(9, ip="198.51.100.1"), now + 200)
    box.tick([], now + 202)
    box.commit()
    told = {(r.name, *found) for r in ALL for found in oracle.episodes(r, [*everything, *old, *event_list])}
    assert {(e.rule, tuple(e.key.values()), e.first_hit, e.last_hit, e.peak, e.hits) for e in box.saved()} == told
    assert told


def test_events_from_the_future_blind_nobody(collector: Make) -> None:
    """A sender whose clock is wrong is evaluated in its own time; everybody else is evaluated as ever, from memory."""
    box = collector(FIVE_IN_TEN, SHARED)
    future = fails(*(86_400 + i for i in range(6)), ip="198.51.100.1")
    box.tick(future, 1)
    for i in range(0, 300, 6):
        box.tick(fails(i, ip="192.0.2.1"), i)
    box.tick(fails(301, 301.5, 302, 302.5, 303), 304)
    box.again(306)
    box.commit()
    told = {
        f[1:3]
        for f in oracle.episodes(FIVE_IN_TEN, [*future, *fails(*range(0, 300, 6)), *fails(301, 301.5, 302, 302.5, 303)])
    }
    assert {(e.first_hit, e.last_hit) for e in box.saved()} == told
    floor = box.detector._evaluation._floor
    assert floor is not None
    assert floor < (T0 + timedelta(seconds=305)).timestamp() * 1e6


def test_the_last_day_there_is_breaks_nothing(collector: Make) -> None:
    """The collector refuses such events; should one come through, it is an event like any other."""
    box = collector(*ALL)
    last = datetime(9999, 12, 31, tzinfo=UTC)
    first = datetime(1970, 1, 1, tzinfo=UTC)
    events = [
        event(at, o, client_ip="a", presented_id="p", service="s", path="/")
        for at in (last, first)
        for o in ("expired", "success")
        for _ in range(6)
    ]
    box.tick(events, 5)
    box.tick(events[:1], 6)
    box.tick([], 7)
    box.commit()
    told = {(r.name, *found) for r in ALL for found in oracle.episodes(r, [*events, events[0]])}
    assert {(e.rule, tuple(e.key.values()), e.first_hit, e.last_hit, e.peak, e.hits) for e in box.saved()} == told
    box.restart(T0)
    box.tick([], 100)


# -- restarts and failures ---------------------------------------------------------------------------------------------


def test_after_a_restart_the_episode_goes_on(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    (opened,) = box.tick(fails(0, 1, 2, 3, 4), 5)
    box.commit()
    box.restart(T0 + timedelta(seconds=6))
    assert said(box.tick(fails(7, 8), 8)) == []
    box.commit()
    assert spans(box) == [(4, 8, 7, 3)]
    assert box.saved()[0].id == opened.episode.id
    assert box.saved()[0].evidence["events"] == 7
    assert said(box.tick([], 100)) == [("closed", "five_in_ten")]


def test_what_was_not_committed_happens_again_after_a_restart_with_the_same_id(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    batch = fails(0, 1, 2, 3, 4)
    (first,) = box.tick(batch, 5)
    box.restart(T0 + timedelta(seconds=6))
    (second,) = box.tick(batch, 7)
    assert (first.transition, first.episode.id) == (second.transition, second.episode.id)
    box.commit()
    assert len(box.saved()) == 1


def test_counts_from_before_a_restart_still_count(collector: Make) -> None:
    """Sketches and recent events come back from the lake."""
    box = collector(*ALL)
    box.tick([event(i, "success", presented_id="p", client_ip=f"192.0.2.{i}") for i in range(2)], 2)
    box.tick(fails(0, 1, 2, 3), 4)
    box.commit()
    box.restart(T0 + timedelta(seconds=5))
    heard = box.tick([*fails(5), event(5, "success", presented_id="p", client_ip="192.0.2.7")], 6)
    assert {c.episode.rule for c in heard} == {"five_in_ten", "shared"}


def test_a_failed_commit_is_made_up_for_by_the_next(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick(fails(0, 1, 2, 3, 4), 5)
    box.fail_commit()
    assert box.saved() == []
    box.tick(fails(6), 7)
    box.fail_commit()
    box.again(9)
    box.commit()
    assert spans(box) == [(4, 6, 6, 2)]
    assert box.rows_in_lake() == 6


def test_a_new_version_of_a_rule_opens_episodes_of_its_own(collector: Make, tmp_path: Path) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick(fails(0, 1, 2, 3, 4), 5)
    box.commit()
    box.rules = [replace(FIVE_IN_TEN, version=2)]
    box.restart(T0 + timedelta(seconds=6))
    (opened,) = box.tick(fails(6), 7)
    assert (opened.transition, opened.episode.rule_version) == ("opened", 2)
    assert said(box.tick([], 200)) == [("closed", "five_in_ten")] * 2
    box.commit()
    assert {(e.rule_version, e.closed_at is not None) for e in box.saved()} == {(1, True), (2, True)}


def test_episodes_of_a_rule_that_is_gone_are_closed(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick(fails(0, 1, 2, 3, 4), 5)
    box.commit()
    box.rules = [ONE]
    box.restart(T0 + timedelta(seconds=6))
    assert said(box.tick([], 100)) == [("closed", "five_in_ten")]


@contextmanager
def out_of_reach(box: Collector) -> Iterator[None]:
    """The state database cannot be read: no way to have that from SQLite at will."""
    read = box.state.read

    def refuse() -> None:
        raise StateBusy("not now")

    box.state.read = refuse  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        box.state.read = read  # type: ignore[method-assign]


def test_a_state_database_out_of_reach_delays_and_loses_nothing(collector: Make) -> None:
    box = collector(FIVE_IN_TEN, SHARED)
    box.tick(fails(0, 1, 2, 3, 4), 5)
    box.tick([], 80)
    box.commit()
    box.restart(T0 + timedelta(seconds=81))
    box.tick(fails(500), 501)
    box.commit()
    with out_of_reach(box):
        # Late: needs the lake and, for the episode that was closed, the state database.
        with pytest.raises(StateBusy, match="not now"):
            box.tick(fails(5, 6), 502)
        with pytest.raises(StateBusy):
            box.again(503)
        with pytest.raises(StateBusy, match="not now"):
            box.tick(fails(7), 504)
    with pytest.raises(StateBusy, match="tick again"), box.state.begin() as tx:
        box.detector.save(tx)
    assert said(box.again(505)) == []
    box.commit()
    assert spans(box) == [(4, 7, 8, 4)]
    assert box.saved()[0].evidence["events"] == 8


def test_running_out_of_memory_is_said_and_survived(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick(fails(0, 1, 2, 3, 4), 5)
    box.commit()
    box.tick(fails(5), 5.5)  # waits to be evaluated
    add = box.detector._evaluation._focus.add

    def fail(*_: object) -> None:
        raise duckdb.OutOfMemoryException("no room")

    box.detector._evaluation._focus.add = fail  # type: ignore[method-assign]
    with pytest.raises(StateBusy, match="no memory is left"):
        box.tick(fails(6), 6.5)
    box.detector._evaluation._focus.add = add  # type: ignore[method-assign]
    box.again(6.6)
    box.tick(fails(7), 8)
    box.again(10)
    box.commit()
    (episode,) = box.saved()
    assert (episode.first_hit, episode.last_hit, episode.peak) == (
        T0 + timedelta(seconds=4),
        T0 + timedelta(seconds=7),
        8,
    )


def test_a_damaged_lake_file_costs_its_events_and_nothing_else(collector: Make) -> None:
    box = collector(FIVE_IN_TEN, lateness=1)
    box.tick(fails(0, 1), 2)
    box.commit()
    box.tick(fails(2, 3, ip="192.0.2.2"), 3)
    box.commit()
    box.tick(fails(500, ip="198.51.100.1"), 501)
    box.tick([], 600)
    box.commit()
    files = sorted((box.folder / "lake").rglob("*.parquet"), key=lambda p: p.stat().st_mtime_ns)
    raw = files[0].read_bytes()
    files[0].write_bytes(raw[:100] + bytes(len(raw) - 200) + raw[-100:])
    box.tick(fails(2, 3, 4, 4.5, 5), 602)
    box.again(604)
    box.commit()
    assert spans(box) == [(5, 5, 5, 1)]


def test_compaction_changes_nothing(collector: Make) -> None:
    box = collector(FIVE_IN_TEN, lateness=1)
    for i in range(40):
        box.tick(fails(i / 20, ip=f"192.0.2.{i % 20}"), i / 20)
        box.commit()
    box.tick(fails(500, ip="198.51.100.1"), 501)
    box.tick([], 600)
    box.commit()
    assert box.lake.compact(T0 + timedelta(hours=5)) > 0
    box.tick(fails(2, 2.1, 2.2, ip="192.0.2.3"), 602)
    box.again(604)
    box.commit()
    assert spans(box) == [(2.2, 2.2, 5, 1)]


# -- memory ------------------------------------------------------------------------------------------------------------


def test_recent_events_stay_within_their_bounds(collector: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST_COMMON", 200)
    monkeypatch.setattr(recent, "MOST_RARE", 100)
    box = collector(FIVE_IN_TEN, SHARED, CHAINED)
    for i in range(15):
        box.tick([event(i + j / 50, "success", presented_id=f"p{j}", client_ip=f"a{j}") for j in range(40)], i + 1)
        box.tick([event(i + j / 50, presented_id=f"p{j}", client_ip=f"b{i}{j}") for j in range(10)], i + 1)
        ((rows,),) = box.con.execute(f"SELECT count(*) FROM {recent.TABLE}").fetchall()
        assert rows <= 200 * 1.25 + 100 * 1.25 + 50
        box.commit()


def test_rows_that_wait_outlast_the_recent_ones(collector: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST_RARE", 8)
    box = collector(FIVE_IN_TEN)
    box.tick(fails(0, 1, 2, 3, 4), 4)
    box.tick([*fails(5, 5.1), *(e for i in range(20) for e in fails(6, ip=f"198.51.100.{i}"))], 6)
    ((left,),) = box.con.execute(f"SELECT count(*) FROM {recent.TABLE} WHERE client_ip = '192.0.2.1'").fetchall()
    assert left == 0
    box.tick(fails(7), 8)
    box.commit()
    assert spans(box) == [(4, 7, 8, 4)]


def test_rows_that_wait_are_counted_once_when_a_very_late_one_joins_them(collector: Make) -> None:
    """The lake is asked for what is old then, and of the rows in memory those that wait are not."""
    box = collector(FIVE_IN_TEN, lateness=1)
    everything = [fails(i) for i in range(95)]
    for i, events in enumerate(everything):
        box.tick(events, i)
        box.commit()
    for now, events in ((95.1, fails(95)), (95.3, fails(20.5))):
        everything.append(events)
        box.tick(events, now)
    box.commit()
    told = oracle.episodes(FIVE_IN_TEN, [e for events in everything for e in events])
    assert [(e.first_hit, e.last_hit, e.peak, e.hits) for e in box.saved()] == [
        (found.first, found.last, found.peak, found.hits) for found in told
    ]


def test_keys_leave_the_focus_when_they_are_quiet(collector: Make) -> None:
    box = collector(FIVE_IN_TEN, lateness=1)
    box.tick(fails(0, 1, 2, 3, 4), 5)
    assert box.detector._evaluation._focus.keys[0]
    for i in range(5, 120, 5):
        box.tick(fails(i, ip="198.51.100.1"), i + 1)
    box.tick(fails(200, ip="198.51.100.1"), 201)
    assert box.con.execute("SELECT count(*) FROM detect_focus").fetchall() == [(0,)]
    assert not box.detector._evaluation._focus.keys[0]


def test_closed_episodes_leave_memory_and_are_found_again(collector: Make) -> None:
    box = collector(FIVE_IN_TEN, lateness=1)
    box.tick(fails(0, 1, 2, 3, 4), 5)
    box.tick([], 80)
    box.commit()
    box.tick(fails(5000, ip="198.51.100.1"), 5001)
    box.tick(fails(6000, ip="198.51.100.1"), 6001)
    assert box.detector.episodes == []
    assert said(box.tick(fails(5), 6002)) == []
    box.again(6004)
    box.commit()
    assert spans(box) == [(4, 5, 6, 2)]


def test_a_flood_of_keys_degrades_and_stays_exact(collector: Make) -> None:
    wide = rule("wide", ValueCount(LET_IN, ("presented_id",), 10, 2, "client_ip"))
    box = collector(wide)
    box.detector._evaluation._watches._budget = 600  # bytes: some fifty pairs
    assert box.detector.degraded == []
    everything = [event(i / 100, "success", presented_id=f"p{i // 2}", client_ip=f"a{i % 4}") for i in range(400)]
    for start in range(0, 400, 40):
        box.tick(everything[start : start + 40], start / 100 + 1)
    assert box.detector.degraded == ["wide"]
    box.again(100)
    box.commit()
    assert len(box.saved()) == len(oracle.episodes(wide, everything)) == 200


def test_evidence_is_bounded(collector: Make) -> None:
    box = collector(rule("any_ip", EventCount(FAILED, ("kind",), 60, 5)))
    for i in range(5):
        box.tick([event(i + j / 100, client_ip=f"a{i}.{j}", token_id=f"t{i}.{j}", count=3) for j in range(50)], i + 1)
    box.commit()
    (episode,) = box.saved()
    assert episode.evidence["events"] == 750
    assert episode.evidence["outcomes"] == {"invalid": 750}
    assert all(
        len(episode.evidence[name]) <= 10 for name in ("addresses", "token_ids", "event_ids", "services", "routes")
    )
    assert episode.evidence["cut"] == ["addresses", "event_ids", "token_ids"]


def test_many_selections_are_no_limit(collector: Make) -> None:
    many: list[Rule] = []
    for i in range(20):
        where = replace(FAILED, where=replace(FAILED.where, items=(*FAILED.where.items,)))  # type: ignore[call-arg, union-attr]
        many.append(rule(f"r{i}", EventCount(where, ("client_ip",), 10 + i, 5)))
    box = collector(*many)
    heard = box.tick(fails(0, 1, 2, 3, 4), 5)
    assert len(heard) == 20


def test_extending_waits_at_most_a_second(collector: Make) -> None:
    """A key under attack is evaluated once a second, not four times, and yet nothing is committed without."""
    box = collector(FIVE_IN_TEN)
    box.tick(fails(*range(5)), 5)
    asked: list[int] = []
    copied: list[int] = []
    focus: Any = box.detector._evaluation._focus
    hits, add = focus.hits, focus.add
    focus.hits = lambda *a, **k: asked.append(1) or hits(*a, **k)  # type: ignore[func-returns-value]
    focus.add = lambda pairs, *a: copied.extend([1] * bool(pairs)) or add(pairs, *a)  # type: ignore[func-returns-value]
    for tick in range(20):
        box.tick(fails(5 + tick / 4), 5 + (tick + 1) / 4)
    assert 4 <= len(asked) <= 6
    assert len(copied) <= len(asked)
    box.commit()
    assert spans(box)[0][1] == 5 + 19 / 4
