"""What hands events to slow receivers: never a wait, nothing lost without a word, each process its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bearerwatch.event import AuthEvent
from bearerwatch.sinks import _courier
from bearerwatch.sinks._courier import Courier
from bearerwatch.testing.events import make_event

EVENTS = [make_event(path=f"/{number}") for number in range(3000)]


class Receiver:
    """Takes events, unless it is away or slow."""

    def __init__(self) -> None:
        self.taken: list[AuthEvent] = []
        self.sizes: list[int] = []
        self.away = False
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()

    def deliver(self, events: list[AuthEvent]) -> int:
        self.asked.set()
        self.open.wait(10)
        if self.away:
            raise ConnectionRefusedError
        self.sizes.append(len(events))
        self.taken += events
        events.clear()
        return 0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_courier, "_LINGER", 0.01)
    monkeypatch.setattr(_courier, "_FIRST_PAUSE", 0.01)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def courier(receiver: Receiver) -> Iterator[Courier]:
    opened = Courier("slow", receiver.deliver)
    yield opened
    receiver.away = False
    receiver.open.set()
    opened.close()


def test_events_arrive_in_order_and_in_batches(courier: Courier, receiver: Receiver) -> None:
    for event in EVENTS:
        courier.send(event)
    courier.close()
    assert receiver.taken == EVENTS
    assert max(receiver.sizes) <= 512
    assert len(receiver.sizes) < 100
    assert courier.dropped == 0


def test_nobody_waits_for_a_receiver_that_hangs(
    courier: Courier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(_courier, "_CAPACITY", 100)
    receiver.open.clear()
    courier.send(EVENTS[0])
    assert receiver.asked.wait(5)
    began = time.monotonic()
    for event in EVENTS:
        courier.send(event)
    assert time.monotonic() - began < 2
    assert courier.dropped >= len(EVENTS) - 100
    lost = courier.dropped
    receiver.open.set()
    courier.close()
    assert len(receiver.taken) == len(EVENTS) + 1 - lost
    assert capfd.readouterr().err.count("the sink slow lost events, 1 so far (more came than it could deliver)") == 1


def test_what_a_receiver_that_was_away_missed_is_delivered_later(courier: Courier, receiver: Receiver) -> None:
    receiver.away = True
    for event in EVENTS[:600]:
        courier.send(event)
    assert receiver.asked.wait(5)
    time.sleep(0.1)
    assert receiver.taken == []
    receiver.away = False
    courier.close()
    assert receiver.taken == EVENTS[:600]
    assert courier.dropped == 0


def test_at_the_end_what_could_not_be_delivered_is_counted(courier: Courier, receiver: Receiver, capfd: Any) -> None:
    receiver.away = True
    for event in EVENTS[:600]:
        courier.send(event)
    courier.close()
    assert courier.dropped == 600
    assert "its receiver is away" in capfd.readouterr().err


def test_the_end_is_not_waited_for_for_ever(courier: Courier, receiver: Receiver) -> None:
    receiver.open.clear()
    courier.send(EVENTS[0])
    assert receiver.asked.wait(5)
    courier.send(EVENTS[1])
    began = time.monotonic()
    courier.close(0.1)
    assert time.monotonic() - began < 1
    assert courier.dropped == 1


def test_where_no_thread_is_to_be_had_any_more_the_end_delivers(
    courier: Courier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    courier.send(EVENTS[0])
    courier.send(EVENTS[1])
    courier.close()
    assert receiver.taken == EVENTS[:2]


def test_sending_after_the_end_begins_anew(courier: Courier, receiver: Receiver) -> None:
    courier.send(EVENTS[0])
    courier.close()
    courier.send(EVENTS[1])
    courier.close()
    assert receiver.taken == EVENTS[:2]


@pytest.mark.usefixtures("swallowing")
def test_an_error_of_ours_costs_one_batch(receiver: Receiver, capfd: Any) -> None:
    def fail(events: list[AuthEvent]) -> int:
        if not receiver.taken and not receiver.asked.is_set():
            receiver.asked.set()
            raise KeyError("x")
        return receiver.deliver(events)

    courier = Courier("odd", fail)
    courier.send(EVENTS[0])
    assert receiver.asked.wait(5)
    time.sleep(0.05)
    courier.send(EVENTS[1])
    courier.close()
    assert (receiver.taken, courier.dropped) == ([EVENTS[1]], 1)
    assert "the sink odd failed with KeyError" in capfd.readouterr().err


def test_a_child_delivers_its_own_events_and_no_others(courier: Courier, receiver: Receiver) -> None:
    receiver.open.clear()
    courier.send(EVENTS[0])
    assert receiver.asked.wait(5)
    courier.send(EVENTS[1])
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            receiver.open = threading.Event()
            receiver.open.set()
            courier.send(EVENTS[2])
            courier.close()
            os.write(write, " ".join(event.path or "" for event in receiver.taken).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "/2"
    os.waitpid(child, 0)
    receiver.open.set()
    courier.close()
    assert receiver.taken == EVENTS[:2]
