"""Events as JSON lines on standard output, for platforms that collect it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bearerwatch.sinks._encode import encode_line

if TYPE_CHECKING:
    from bearerwatch.event import AuthEvent
    from bearerwatch.settings import Settings

__all__ = ["StdoutSink", "open_sink"]


class StdoutSink:
    """Writes each event as one line with one ``write``."""

    def __init__(self, handle: int = 1) -> None:
        self._handle = handle

    def send(self, event: AuthEvent) -> None:
        """Write one event."""
        os.write(self._handle, encode_line(event))

    def close(self) -> None:
        """Standard output is the process's."""


def open_sink(_settings: Settings) -> StdoutSink:
    """The sink ``stdout``."""
    return StdoutSink()
