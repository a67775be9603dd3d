"""Simulated events sent into a spool as they would happen, so that a real collector takes them."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from bearerwatch.detect.truth import Truth
from bearerwatch.event import AuthEvent
from bearerwatch.simulate.columns import SECOND, Events
from bearerwatch.simulate.simulation import Simulation
from bearerwatch.sinks.spool import SpoolSink

__all__ = ["Replay"]

_STEP = 0.05
"""Seconds of the clock sent at a time."""
_QUOTA = 1 << 50
_decode = msgspec.json.Decoder(AuthEvent).decode


@dataclass(slots=True)
class Replay:
    """Sends what *simulation* makes to a spool.

    What arrives within *speed* seconds of the simulation is sent within one. Times keep their distances, so that
    windows and thresholds mean what they say at any speed, and are moved so that the last event is sent at the instant
    it tells of: none lies in the future.
    """

    simulation: Simulation
    spool: Path
    """The folder the collector tails."""
    speed: float = 1.0
    """At least 1."""
    sleep: Callable[[float], None] = time.sleep

    def __call__(self) -> tuple[int, Truth]:
        """Send everything.

        Returns:
            How many events that were, and the truth about them in their own time. So far, when interrupted.

        Raises:
            OSError: the spool cannot be written.
        """
        simulation = self.simulation
        began = datetime.now(UTC)
        span = simulation.until - simulation.since
        shift = began + timedelta(microseconds=span / self.speed - span) - simulation.plan.start
        sinks: dict[str, SpoolSink] = {}
        clock = time.monotonic()
        sent = 0
        try:
            for rows in simulation:
                lines = [line for chunk in simulation.writer.lines(rows) for line in chunk.splitlines()]
                for first_row, after, due in self._steps(rows):
                    wait = clock + due - time.monotonic()
                    if wait > 0:
                        self.sleep(wait)
                    _send(lines[first_row:after], shift, self.spool, sinks)
                    sent += after - first_row
        except KeyboardInterrupt:
            pass
        finally:
            for sink in sinks.values():
                sink.close()
        lost = sum(sink.dropped for sink in sinks.values())
        if lost:
            words = f"{lost} of {sent} events could not be written: free space, or mend its owner and mode"
            raise OSError(errno.EIO, words, str(self.spool))
        return sent, _moved(simulation.truth, shift)

    def _steps(self, rows: Events) -> list[tuple[int, int, float]]:
        """From which row to which is sent at the same moment, and when, in seconds from the beginning."""
        due = (rows["arrive"] - self.simulation.since) / SECOND / self.speed
        borders = [0, *(np.flatnonzero(np.diff(due // _STEP)) + 1).tolist(), len(rows)]
        return [(start, end, float(due[end - 1])) for start, end in pairwise(borders) if end > start]


def _send(lines: list[bytes], shift: timedelta, spool: Path, sinks: dict[str, SpoolSink]) -> None:
    for line in lines:
        event = _decode(line)
        service = event.service or "service"
        if service not in sinks:
            sinks[service] = SpoolSink(spool / service, quota=_QUOTA)
        sinks[service].send(msgspec.structs.replace(event, ts=event.ts + shift))


def _moved(truth: Truth, shift: timedelta) -> Truth:
    replace = msgspec.structs.replace
    marked = [replace(one, first=one.first + shift, last=one.last + shift) for one in truth.marked]
    return replace(truth, since=truth.since + shift, until=truth.until + shift, marked=marked)
