"""Compaction and retention, in a thread of their own: a large merge takes seconds, a tick may not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import duckdb
from sqlalchemy.exc import SQLAlchemyError

from bearerwatch.errors import BearerwatchError
from bearerwatch.ingest.complaints import Complaints
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import StateBusy

__all__ = ["Upkeep"]

_COMPACT_EVERY = 60.0
_RETAIN_EVERY = 3_600.0
_JOIN_SECONDS = 30.0


class Upkeep(threading.Thread):
    """Keeps the lake in shape: merges every minute, drops what is past its time every hour.

    Args:
        lake: what to keep in shape; merging uses a DuckDB of its own.
        keep: how long events are kept; ``None`` for ever.
        clock: aware UTC.
        complain: takes what the operator should know.
    """

    def __init__(self, lake: Lake, keep: timedelta | None, clock: Callable[[], datetime], complain: Complaints) -> None:
        # a daemon, so that a merge that hangs on a dead disk does not keep the process from ending
        super().__init__(name="bearerwatch-upkeep", daemon=True)
        self._lake = lake
        self._keep = keep
        self._clock = clock
        self._complain = complain
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work until :meth:`stop`; retention first, for nobody wants merged what goes away."""
        retain_at = time.monotonic()
        while not self._stopping.is_set():
            if time.monotonic() >= retain_at and self._tried("retention", self._retain) is not None:
                retain_at = time.monotonic() + _RETAIN_EVERY
            while not self._stopping.is_set():
                # one merge a time, so that stopping waits for one at most
                if not self._tried("compaction", self._compact):
                    break
            self._stopping.wait(_COMPACT_EVERY)

    def stop(self) -> None:
        """Finish the merge at hand and end."""
        self._stopping.set()
        if self.is_alive():
            self.join(_JOIN_SECONDS)

    def _retain(self) -> int:
        return 0 if self._keep is None else self._lake.retain(self._clock(), self._keep)

    def _compact(self) -> int:
        return self._lake.compact(self._clock(), limit=1)

    def _tried(self, what: str, work: Callable[[], int]) -> int | None:
        try:
            return work()
        except StateBusy:
            return None  # the loop meets the same trouble and says so
        except (BearerwatchError, OSError, SQLAlchemyError, duckdb.Error, RuntimeError) as error:
            said = str(error) if isinstance(error, BearerwatchError) else type(error).__name__
            self._complain(
                f"upkeep {what}", f"{what} of the lake failed ({said}); events are safe, and it is tried again"
            )
            return None
