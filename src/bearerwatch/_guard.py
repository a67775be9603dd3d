"""The host boundary: an error of ours never reaches the application, and is never lost either."""

from __future__ import annotations

import sys
import time
from collections import Counter

__all__ = ["Seldom", "counts", "reraise", "reset", "swallowed"]

_counts: Counter[str] = Counter()
_last_said: dict[str, float] = {}
_reraise = False
_SAY_EVERY = 60.0


def reraise(enabled: bool) -> None:
    """In tests: raise what would have been swallowed."""
    global _reraise  # noqa: PLW0603
    _reraise = enabled


def swallowed(where: str, error: BaseException) -> None:
    """Count *error*, say so on stderr at most once a minute per place, and go on.

    Only the error's class is printed: its text may hold what a client sent.
    """
    if _reraise:
        raise error
    _counts[where] += 1
    now = time.monotonic()
    if now - _last_said.get(where, -_SAY_EVERY) >= _SAY_EVERY:
        _last_said[where] = now
        say(f"{where} failed with {type(error).__name__} ({_counts[where]} so far); the request was not affected")


def say(message: str) -> None:
    """One line to the process's real stderr, whatever state logging is in."""
    try:
        stream = sys.__stderr__
        if stream is not None:
            stream.write(f"bearerwatch: {message}\n")
            stream.flush()
    except (OSError, ValueError):
        pass  # a closed stderr is not ours to mend


class Seldom:
    """Whether it is time to say something again: once a minute, whatever happens in between."""

    def __init__(self) -> None:
        self._said_at = float("-inf")

    def __call__(self, now: float) -> bool:
        """Whether to say it at *now*, in seconds of a clock that only goes on; then it has been said."""
        if now - self._said_at < _SAY_EVERY:
            return False
        self._said_at = now
        return True


def counts() -> dict[str, int]:
    """How often each guarded place failed since the process began."""
    return dict(_counts)


def reset() -> None:
    """Forget all counts (tests)."""
    _counts.clear()
    _last_said.clear()
