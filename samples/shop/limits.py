"""A small rate limit: so many calls per window and caller, counted in this process."""

from __future__ import annotations

import threading
import time

__all__ = ["RateLimit"]


class RateLimit:
    """Fixed windows. ``limit(caller)`` returns the seconds to wait, 0 when the call may go on."""

    def __init__(self, calls: int, seconds: int) -> None:
        self._calls = calls
        self._seconds = seconds
        self._lock = threading.Lock()
        self._window = 0
        self._seen: dict[str, int] = {}

    def __call__(self, caller: str) -> int:
        now = time.time()
        with self._lock:
            if int(now) // self._seconds != self._window:
                self._window = int(now) // self._seconds
                self._seen.clear()
            self._seen[caller] = self._seen.get(caller, 0) + 1
            over = self._seen[caller] > self._calls
        return self._seconds - int(now) % self._seconds if over else 0
