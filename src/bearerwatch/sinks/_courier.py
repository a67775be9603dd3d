"""Handing events to receivers that may be slow or away: from a thread of its own, so that no request waits.

The queue is bounded: what comes while it is full is lost, counted, and said once a minute. A child made by ``fork``
begins with an empty queue, for what is in its parent's is the parent's to deliver; at exit there are some seconds to
deliver what is left.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import threading
import weakref
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from bearerwatch import _guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from bearerwatch.event import AuthEvent

__all__ = ["Courier"]

_CAPACITY = 10_000
_BATCH = 512
_LINGER = 0.2
"""Seconds in which more events may join the first of a batch."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_FAREWELL = 5.0


class Courier:
    """Delivers events in batches, in order.

    Args:
        name: of the sink, for messages.
        deliver: takes a list of events and removes from it what needs no other try; returns how many of those are
            lost for good. An :exc:`OSError` means that the receiver is away: what is left in the list is kept, and
            tried again after a pause.
        forked: called in a child after ``fork``, before anything else: to let go of connections.
    """

    def __init__(
        self, name: str, deliver: Callable[[list[AuthEvent]], int], *, forked: Callable[[], None] | None = None
    ) -> None:
        self._name = name
        self._deliver = deliver
        self._on_fork = forked
        self._starting = threading.Lock()
        self._seldom = _guard.Seldom()
        self.dropped = 0
        """Events lost: the queue was full, the receiver refused them, or the process ended first."""
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._queue: deque[AuthEvent] = deque()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()

    def send(self, event: AuthEvent) -> None:
        """Take one event. Never waits, and never raises for a receiver that is away."""
        if len(self._queue) >= _CAPACITY:
            self._lost(1, "more came than it could deliver")
            return
        self._queue.append(event)
        if self._thread is None:
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def close(self, seconds: float = _FAREWELL) -> None:
        """Deliver what is left, for so many seconds at most. Sending again begins anew."""
        thread, queue = self._thread, self._queue
        self._stop.set()
        self._wake.set()
        if thread is None:
            self._work(queue, self._wake, self._stop)
        else:
            thread.join(seconds)
            if thread.is_alive():
                self._lost(len(queue), "its receiver did not take the last ones in time")
        self._begin()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            arguments = (self._queue, self._wake, self._stop)
            thread = threading.Thread(target=self._work, args=arguments, name=f"bearerwatch-{self._name}", daemon=True)
            try:
                # What is delivered later has nothing to do with the request at hand.
                contextvars.Context().run(thread.start)
            except RuntimeError:
                return  # none is to be had any more while a process ends: then :meth:`close` delivers
            self._thread = thread

    def _work(self, queue: deque[AuthEvent], wake: threading.Event, stop: threading.Event) -> None:
        held: list[AuthEvent] = []
        pause = _FIRST_PAUSE
        while True:
            if not held:
                if not queue:
                    if stop.is_set():
                        return
                    wake.wait()
                    wake.clear()
                    stop.wait(_LINGER)
                while queue and len(held) < _BATCH:
                    held.append(queue.popleft())
            if not held or self._delivered(held):
                pause = _FIRST_PAUSE
            elif stop.is_set():
                self._lost(len(held) + len(queue), "its receiver is away")
                return
            else:
                stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _delivered(self, held: list[AuthEvent]) -> bool:
        """Whether nothing of *held* is left to deliver."""
        try:
            lost = self._deliver(held)
        except OSError:
            return False
        except Exception as error:  # noqa: BLE001 - host boundary: the thread goes on with the next events
            self._lost(len(held), "they could not be written")
            held.clear()
            _guard.swallowed(f"the sink {self._name}", error)
            return True
        if lost:
            self._lost(lost, "its receiver does not take them")
        return not held

    def _lost(self, count: int, why: str) -> None:
        self.dropped += count
        if count and self._seldom(monotonic()):
            _guard.say(
                f"the sink {self._name} lost events, {self.dropped} so far ({why}); no request was held up. See that "
                "its receiver is there and keeps up, or send to the spool, which waits for the collector"
            )

    def _forked(self) -> None:
        self._starting = threading.Lock()
        self.dropped = 0
        self._begin()
        if self._on_fork is not None:
            self._on_fork()


_all: weakref.WeakSet[Courier] = weakref.WeakSet()


def _after_fork() -> None:
    for courier in list(_all):
        courier._forked()  # noqa: SLF001


def _at_exit() -> None:
    for courier in list(_all):
        courier.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
