"""The outbox: nothing is sent twice, nothing before its time, no end before its beginning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bearerwatch.store import outbox
from bearerwatch.store.outbox import OutboxRow
from bearerwatch.store.state import State

T0 = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def row(episode: str = "e1", transition: str = "opened", channel: str = "hook", **changes: Any) -> OutboxRow:
    values: dict[str, Any] = {
        "key": f"{episode}:{transition}",
        "channel": channel,
        "episode_id": episode,
        "transition": transition,
        "payload": {"title": "T", "n": [1]},
        "created_at": T0,
        "next_try_at": T0,
    }
    return OutboxRow(**(values | changes))


def due(state: State, now: datetime = T0, limit: int = 100) -> list[tuple[str, str]]:
    with state.read() as conn:
        return [(r.key, r.channel) for channel in ("hook", "mail") for r in outbox.due(conn, channel, now, limit)]


def test_what_is_enqueued_is_due_as_it_is(state: State) -> None:
    with state.begin() as tx:
        assert outbox.enqueue(tx, [row(), row(channel="mail")]) == 2

    with state.read() as conn:
        assert outbox.due(conn, "hook", T0) == [row()]
        assert outbox.due(conn, "mail", T0) == [row(channel="mail")]
        assert outbox.due(conn, "other", T0) == []


def test_the_same_key_and_channel_is_enqueued_once(state: State) -> None:
    with state.begin() as tx:
        assert outbox.enqueue(tx, [row(), row(payload={"title": "other"})]) == 1
    with state.begin() as tx:
        outbox.delivered(tx, "e1:opened", "hook", T0)
        assert outbox.enqueue(tx, [row()]) == 0

    assert due(state) == []


def test_a_transaction_that_fails_enqueues_nothing(state: State) -> None:
    with pytest.raises(ZeroDivisionError), state.begin() as tx:  # noqa: PT012
        outbox.enqueue(tx, [row()])
        _ = 1 / 0

    assert due(state) == []


def test_the_oldest_come_first_and_no_more_than_asked_for(state: State) -> None:
    with state.begin() as tx:
        outbox.enqueue(tx, [row(f"e{n}", created_at=T0 - n * SECOND) for n in range(5)])

    assert due(state, limit=2) == [("e4:opened", "hook"), ("e3:opened", "hook")]


def test_a_failed_one_waits_and_remembers(state: State) -> None:
    with state.begin() as tx:
        outbox.enqueue(tx, [row()])
        outbox.failed(tx, "e1:opened", "hook", T0 + 5 * SECOND, "\x00503\ud800 " + "x" * 1000)

    assert due(state, T0 + 4 * SECOND) == []
    with state.read() as conn:
        assert outbox.next_due(conn, "hook") == T0 + 5 * SECOND
        assert outbox.next_due(conn, "mail") is None
        [found] = outbox.due(conn, "hook", T0 + 5 * SECOND)
    assert (found.attempts, found.last_error) == (1, "503? " + "x" * 494)


def test_a_dead_one_is_never_tried_again(state: State) -> None:
    with state.begin() as tx:
        outbox.enqueue(tx, [row()])
        outbox.dead(tx, "e1:opened", "hook", T0, "410 gone")
        outbox.failed(tx, "e1:opened", "hook", T0, "late answer")
        outbox.delivered(tx, "e1:opened", "hook", T0)

    assert due(state, T0 + timedelta(days=1)) == []
    with state.read() as conn:
        assert outbox.next_due(conn, "hook") is None
        assert outbox.counts(conn) == {"waiting": 0, "delivered": 0, "dead": 1}


def test_the_closing_waits_for_the_opening_on_its_channel(state: State) -> None:
    with state.begin() as tx:
        outbox.enqueue(tx, [row(transition=t, channel=c) for t in ("closed", "opened") for c in ("hook", "mail")])
        outbox.failed(tx, "e1:opened", "hook", T0 + SECOND, "503")
        outbox.delivered(tx, "e1:opened", "mail", T0)
    assert due(state) == [("e1:closed", "mail")]

    with state.begin() as tx:
        outbox.dead(tx, "e1:opened", "hook", T0, "410")
    assert due(state) == [("e1:closed", "hook"), ("e1:closed", "mail")]


def test_of_what_began_together_the_beginnings_come_first(state: State) -> None:
    """Among the notices of one tick, what is new comes before what is over."""
    with state.begin() as tx:
        outbox.enqueue(tx, [row("a", "closed"), row("b"), row("c")])

    assert due(state) == [("b:opened", "hook"), ("c:opened", "hook"), ("a:closed", "hook")]


def test_a_closing_without_an_opening_is_sent(state: State) -> None:
    with state.begin() as tx:
        outbox.enqueue(tx, [row(transition="closed"), row("e2")])

    assert ("e1:closed", "hook") in due(state)


def test_what_is_done_is_forgotten_after_a_time(state: State) -> None:
    with state.begin() as tx:
        outbox.enqueue(tx, [row(f"e{n}") for n in range(4)])
        outbox.delivered(tx, "e0:opened", "hook", T0)
        outbox.dead(tx, "e1:opened", "hook", T0, "410")
        outbox.delivered(tx, "e2:opened", "hook", T0 + SECOND)
    with state.begin() as tx:
        assert outbox.prune(tx, T0 + SECOND) == 2

    with state.read() as conn:
        assert outbox.counts(conn) == {"waiting": 1, "delivered": 1, "dead": 0}


_STEPS = st.lists(
    st.tuples(st.sampled_from(["enqueue", "ok", "fail", "dead"]), st.sampled_from(["opened", "closed"])), max_size=12
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=_STEPS)
def test_whatever_happens_nothing_is_delivered_twice(sqlite: State, steps: list[tuple[str, str]]) -> None:
    """A worker that takes what is due and answers as it likes delivers each key once at most, the opening first."""
    sent: list[str] = []
    with sqlite.begin() as tx:
        tx.exec_driver_sql("DELETE FROM outbox")
    for step, transition in steps:
        with sqlite.begin() as tx:
            if step == "enqueue":
                outbox.enqueue(tx, [row(transition=transition)])
                continue
            for found in outbox.due(tx, "hook", T0):
                if step == "ok":
                    sent.append(found.transition)
                    outbox.delivered(tx, found.key, found.channel, T0)
                elif step == "fail":
                    outbox.failed(tx, found.key, found.channel, T0, "503")
                else:
                    outbox.dead(tx, found.key, found.channel, T0, "410")

    assert len(sent) == len(set(sent))
    enqueued_first = next((t for s, t in steps if s == "enqueue"), None)
    if enqueued_first == "opened":
        assert sent in ([], ["opened"], ["opened", "closed"], ["closed"])
