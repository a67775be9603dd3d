"""Rounds of one check with other inputs each time: a few that are always the same, or as many as the time allows."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

import pytest

from bearerwatch.redact._accel import Prefilter

__all__ = ["LIMIT", "SECONDS", "Round", "pure", "rounds", "spent"]

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
"""How long each entry point is tried."""
LIMIT = 5.0
"""Seconds of processor time that no text of 100 KB takes; a busy machine does not count."""


class Round(NamedTuple):
    """What the inputs of a round are made from."""

    seed: int
    number: int

    def __str__(self) -> str:
        return f"{self.seed}/{self.number}"


def rounds(*checks: Callable[[Round], None], few: int | None = None) -> None:
    """Call each of *checks* for one round after another.

    ``SOAK_SEED=17`` begins elsewhere, and ``SOAK_SEED=17/4242`` is that round alone: as a failure tells it.

    Args:
        checks: raise when something is wrong.
        few: so many, the same ones every time; else as many as :data:`SECONDS` allow, other ones every time.
    """
    seed, _, only = os.environ.get("SOAK_SEED", "1" if few else str(secrets.randbits(31))).partition("/")
    end = time.monotonic() + SECONDS
    for number in [int(only)] if only else range(few) if few else count():
        try:
            for check in checks:
                check(Round(int(seed), number))
        except BaseException as error:
            error.add_note(f"to have it again: SOAK_SEED={seed}/{number}")
            raise
        if not few and time.monotonic() > end:
            print(f"{number + 1} rounds from SOAK_SEED={seed}")  # noqa: T201 - quoted where the long runs are reported
            break


@contextmanager
def pure() -> Iterator[None]:
    """All as it is without Hyperscan."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEARERWATCH_ACCEL", "off")  # asked where a gate for files is made
        patch.setattr(Prefilter, "__call__", lambda *_: None)
        yield


def spent(work: Callable[[], object]) -> float:
    """Seconds of this thread's processor time that *work* takes."""
    began = time.thread_time()
    work()
    return time.thread_time() - began
