"""Waking a loop from other threads and from signal handlers, and stopping it by signal."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["Waker", "stopping_by_signal"]


class Waker:
    """Something to sleep on. A pipe rather than a :class:`threading.Event`, whose lock a signal handler
    could find taken by the very thread it interrupts.
    """  # noqa: D205 - one sentence and its reason

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(self) -> None:
        """End the sleep, or the next one."""
        with suppress(BlockingIOError, OSError):  # full: it is awake already; closed: there is nobody to wake
            os.write(self._write, b"!")

    def sleep(self, seconds: float) -> bool:
        """Sleep for *seconds* or until woken; returns whether it was woken."""
        ready, _, _ = select.select([self._read], [], [], max(0.0, seconds))
        if not ready:
            return False
        with suppress(BlockingIOError):
            while os.read(self._read, 4_096):
                pass
        return True

    def close(self) -> None:
        """Let go of the pipe."""
        for handle in (self._read, self._write):
            with suppress(OSError):
                os.close(handle)
        self._read = self._write = -1


@contextmanager
def stopping_by_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block SIGTERM and SIGINT call *stop*; the second one ends the process as if we were not there.

    Does nothing outside the main thread, where Python allows no signal handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def asked(_number: int, _frame: FrameType | None) -> None:
        for number in former:
            signal.signal(number, signal.SIG_DFL)
        stop()

    for number in former:
        signal.signal(number, asked)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
