from __future__ import annotations

import base64
import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from bearerwatch.alert.channel import DeliveryError
from bearerwatch.alert.channels.webhook import Channel as Hook
from bearerwatch.alert.delivery import Delivery, backoff
from bearerwatch.alert.notice import Notice
from bearerwatch.alert.options import Options
from bearerwatch.alert.secret import Secret
from bearerwatch.store import outbox
from bearerwatch.store.outbox import OutboxRow
from bearerwatch.store.state import State, default_url
from bearerwatch.store.tables import outbox as table

KEY = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


class Recorder:
    """A channel whose behaviour a test scripts: each delivery takes the next answer."""

    def __init__(self, *answers: Any, name: str = "recorder") -> None:
        self.name = name
        self.answers = list(answers)
        self.got: list[str] = []
        self.closed = threading.Event()

    def deliver(self, notice: Notice) -> None:
        self.got.append(notice.key)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            answer()

    def close(self) -> None:
        self.closed.set()


def hook(url: str, name: str = "hook", **table: Any) -> Hook:
    return Hook(Options({"url": url, **table}, where="test", name=name, secrets={"secret": Secret(KEY, "test")}))


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Migrations take a while: they are made once and the file copied."""
    folder = tmp_path_factory.mktemp("migrated")
    made = State(default_url(folder))
    made.migrate()
    made.close()
    return folder / "state.db"


@pytest.fixture
def state(tmp_path: Path, migrated: Path) -> Iterator[State]:
    shutil.copy(migrated, tmp_path / "state.db")
    made = State(default_url(tmp_path))
    yield made
    made.close()


@pytest.fixture
def deliver(state: State) -> Iterator[Callable[..., Delivery]]:
    started: list[Delivery] = []

    def start(*channels: Any, **options: Any) -> Delivery:
        delivery = Delivery(state, channels, **options)
        delivery.start()
        started.append(delivery)
        return delivery

    yield start
    for delivery in started:
        delivery.stop(4)


def put(state: State, *notices: Notice, channel: str = "recorder", at: datetime | None = None) -> None:
    at = at or datetime.now(UTC)
    with state.begin() as tx:
        outbox.enqueue(
            tx,
            [
                OutboxRow(
                    key=n.key,
                    channel=channel,
                    episode_id=n.episode_id,
                    transition=n.transition,
                    payload=n.dump(),
                    created_at=at,
                    next_try_at=at,
                )
                for n in notices
            ],
        )


def rows(state: State) -> list[Any]:
    with state.read() as conn:
        return list(conn.execute(sa.select(table).order_by(table.c.created_at, table.c.key)))


def until(condition: Callable[[], Any], timeout: float = 5.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def settled(state: State) -> bool:
    return all(row.delivered_at or row.dead_at for row in rows(state))


def test_a_notice_is_delivered_signed_and_marked(state: State, deliver: Any, receiver: Any, notice: Any) -> None:
    peer = receiver()
    put(state, notice(), channel="hook")
    deliver(hook(peer.url))
    (got,) = peer.wait(1)
    assert Webhook(KEY).verify(got.body, got.headers)["data"]["episode_id"] == notice().episode_id
    until(lambda: settled(state))
    time.sleep(0.3)
    assert len(peer.got) == 1


def test_notify_wakes_at_once(state: State, deliver: Any, notice: Any) -> None:
    channel = Recorder()
    delivery = deliver(channel)
    time.sleep(0.2)
    put(state, notice())
    began = time.monotonic()
    delivery.notify()
    until(lambda: channel.got)
    assert time.monotonic() - began < 0.2


def test_what_an_earlier_process_left_is_sent_at_start(state: State, deliver: Any, notice: Any) -> None:
    put(state, notice(), at=datetime.now(UTC) - timedelta(hours=1))
    channel = Recorder()
    deliver(channel)
    until(lambda: channel.got)


def test_a_failure_is_tried_again_with_the_same_id(state: State, deliver: Any, receiver: Any, notice: Any) -> None:
    peer = receiver(500)
    put(state, notice(), channel="hook")
    deliver(hook(peer.url))
    first, second = peer.wait(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == notice().key
    assert first.body == second.body
    until(lambda: settled(state))
    (row,) = rows(state)
    assert (row.attempts, row.dead_at) == (1, None)


def test_a_refusal_is_final(state: State, deliver: Any, receiver: Any, notice: Any, capfd: Any) -> None:
    peer = receiver(410)
    put(state, notice(), channel="hook")
    deliver(hook(peer.url))
    until(lambda: settled(state))
    (row,) = rows(state)
    assert row.dead_at is not None
    assert "gone for good (410): remove the channel" in row.last_error
    assert "given up" in capfd.readouterr().err
    assert len(peer.got) == 1


def test_a_notice_too_old_is_given_up(state: State, deliver: Any, notice: Any) -> None:
    put(state, notice(), at=datetime.now(UTC) - timedelta(hours=25))
    channel = Recorder(DeliveryError("still down", retry=True))
    deliver(channel)
    until(lambda: settled(state))
    assert rows(state)[0].last_error == "still down"


def test_a_dead_channel_holds_up_no_other(
    state: State, deliver: Any, dead_port: int, receiver: Any, notice: Any
) -> None:
    slow = receiver(delay=3.0)
    live = Recorder()
    for name in ("dead", "slow", "recorder"):
        put(state, *(notice(id=f"{n:032x}") for n in range(20)), channel=name)
    began = time.monotonic()
    deliver(hook(f"http://127.0.0.1:{dead_port}/", "dead"), hook(slow.url, "slow"), live)
    until(lambda: len(live.got) == 20)
    assert time.monotonic() - began < 2.0
    until(lambda: any(row.last_error for row in rows(state)))


def test_a_dead_channel_is_not_hammered(state: State, deliver: Any, notice: Any) -> None:
    channel = Recorder(*[DeliveryError("down", retry=True)] * 100)
    put(state, *(notice(id=f"{n:032x}") for n in range(50)))
    deliver(channel)
    time.sleep(1.3)
    assert 1 <= len(channel.got) <= 4


def test_closing_is_never_told_before_opening(state: State, deliver: Any, notice: Any) -> None:
    closed = notice("closed", closed_at=notice().opened_at)
    now = datetime.now(UTC)
    put(state, closed, at=now - timedelta(seconds=5))
    put(state, notice(), at=now)
    channel = Recorder(DeliveryError("down", retry=True))
    deliver(channel)
    until(lambda: settled(state))
    assert channel.got == [notice().key, notice().key, closed.key]


def test_closing_is_told_though_opening_was_given_up(state: State, deliver: Any, notice: Any) -> None:
    put(state, notice(), notice("closed", closed_at=notice().opened_at))
    channel = Recorder(DeliveryError("no such person", retry=False))
    deliver(channel)
    until(lambda: settled(state))
    assert [row.dead_at is None for row in rows(state)] == [True, False]
    assert len(channel.got) == 2


def test_a_receiver_that_says_when_is_left_alone_until_then(state: State, deliver: Any, notice: Any) -> None:
    channel = Recorder(DeliveryError("busy", retry=True, retry_after=300.0))
    put(state, notice())
    deliver(channel)
    until(lambda: rows(state)[0].attempts == 1)
    wait = rows(state)[0].next_try_at - datetime.now(UTC)
    assert timedelta(seconds=290) < wait < timedelta(seconds=301)


def test_a_bug_in_a_channel_stops_nothing_and_its_text_is_not_kept(
    state: State, deliver: Any, notice: Any, capfd: Any
) -> None:
    word = secrets.token_hex(8)
    channel = Recorder(RuntimeError(word))
    put(state, notice())
    deliver(channel)
    until(lambda: settled(state))
    assert len(channel.got) == 2
    assert word not in capfd.readouterr().err + str(rows(state))


def test_a_row_nobody_understands_is_put_aside(state: State, deliver: Any, notice: Any) -> None:
    put(state, notice())
    with state.begin() as tx:
        tx.execute(sa.update(table).values(payload={"version": "from the future"}))
    channel = Recorder()
    deliver(channel)
    until(lambda: settled(state))
    assert "does not understand" in rows(state)[0].last_error
    assert channel.got == []


def test_a_busy_database_repeats_nothing(state: State, deliver: Any, notice: Any, tmp_path: Path) -> None:
    lock = sqlite3.connect(tmp_path / "state.db", isolation_level=None, check_same_thread=False)
    try:
        channel = Recorder(lambda: lock.execute("BEGIN IMMEDIATE"))
        put(state, notice(), notice(id="f" * 32))
        deliver(channel)
        until(lambda: lock.in_transaction)
        time.sleep(2.2)  # longer than the busy timeout, so marking fails at least once
        assert channel.got == [notice().key]
        lock.execute("ROLLBACK")
        until(lambda: settled(state))
        assert channel.got == [notice().key, "f" * 32 + ":opened"]
    finally:
        lock.close()


def test_a_crash_between_sending_and_marking_repeats_under_the_same_id(
    state: State, deliver: Any, receiver: Any, notice: Any, tmp_path: Path
) -> None:
    """The process is killed by the receiver itself, before it answers."""
    put(state, notice(), channel="hook")
    peer = receiver(delay=0.5)
    code = """
        import os, sys, time
        from bearerwatch.alert.config import load_routes
        from bearerwatch.alert.delivery import Delivery
        from bearerwatch.store.state import State
        (_, route) = load_routes()
        route.channel.name = "hook"
        Delivery(State(sys.argv[1]), [route.channel]).start()
        print("up", flush=True)
        time.sleep(30)
    """
    env = os.environ | {
        "BEARERWATCH_WEBHOOK_URL": peer.url,
        "BEARERWATCH_WEBHOOK_SECRET": KEY,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-c", textwrap.dedent(code), default_url(tmp_path)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        try:
            peer.wait(1, 10)
        finally:
            process.send_signal(signal.SIGKILL)
    assert rows(state)[0].delivered_at is None
    deliver(hook(peer.url))
    first, second = peer.wait(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    until(lambda: settled(state))
    time.sleep(0.3)
    assert len(peer.got) == 2


def test_stopping_lets_the_notice_under_way_arrive(state: State, deliver: Any, receiver: Any, notice: Any) -> None:
    peer = receiver(delay=0.5)
    put(state, notice(), notice(id="f" * 32), channel="hook")
    delivery = deliver(hook(peer.url))
    time.sleep(0.3)
    delivery.stop(4)
    done = [row.delivered_at is not None for row in rows(state)]
    assert sorted(done) == [False, True]
    assert rows(state)[0].attempts == rows(state)[1].attempts == 0


def test_stopping_does_not_wait_for_a_receiver_that_hangs(
    state: State, deliver: Any, receiver: Any, notice: Any
) -> None:
    peer = receiver(delay=5.0)
    put(state, notice(), channel="hook")
    delivery = deliver(hook(peer.url))
    time.sleep(0.3)
    began = time.monotonic()
    delivery.stop(1)
    assert time.monotonic() - began < 1.5
    assert [thread.name for thread in threading.enumerate() if thread.name == "bearerwatch-alert-hook"] == []
    (row,) = rows(state)
    assert (row.delivered_at, row.dead_at, row.attempts) == (None, None, 0)


def test_stopping_when_idle_is_immediate(state: State, notice: Any) -> None:
    delivery = Delivery(state, [Recorder(), Recorder(name="other")])
    delivery.start()
    time.sleep(0.2)
    began = time.monotonic()
    delivery.stop()
    assert time.monotonic() - began < 0.3


def test_stopping_what_never_started_is_fine(state: State) -> None:
    Delivery(state, [Recorder()]).stop()


def test_old_business_is_tidied_away(state: State, deliver: Any, notice: Any) -> None:
    now = datetime.now(UTC)
    put(state, notice(id="a" * 32), at=now - timedelta(days=40))
    with state.begin() as tx:
        outbox.delivered(tx, "a" * 32 + ":opened", "recorder", now - timedelta(days=40))
    put(state, notice(id="b" * 32), channel="removed", at=now - timedelta(days=2))
    put(state, notice(id="c" * 32), channel="removed", at=now)
    deliver(Recorder())
    until(lambda: len(rows(state)) == 2)
    old, fresh = rows(state)
    assert (old.last_error, fresh.dead_at) == ("its channel is not configured", None)


def test_waits_double_up_to_a_quarter_of_an_hour() -> None:
    assert [backoff(tries, chance=lambda: 0.0) for tries in (1, 2, 3, 10, 11, 10_000)] == [1, 2, 4, 512, 900, 900]
    assert backoff(3, chance=lambda: 1.0) == 2
    assert backoff(0) <= 1


def test_two_hundred_at_once_arrive_once_each(state: State, deliver: Any, notice: Any) -> None:
    keys = [f"{n:032x}" for n in range(200)]
    put(state, *(notice(id=key) for key in keys))
    channel = Recorder()
    delivery = deliver(channel)
    for _ in range(20):
        delivery.notify()
        time.sleep(0.01)
    until(lambda: settled(state), 15)
    assert sorted(channel.got) == [f"{key}:opened" for key in keys]
