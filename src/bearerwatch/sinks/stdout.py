"""Events on standard output, a line each, for platforms that collect it: in our own schema or in another format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bearerwatch.sinks._encode import encode_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from bearerwatch.event import AuthEvent
    from bearerwatch.settings import Settings

__all__ = ["StdoutSink", "open_as", "open_sink"]


class StdoutSink:
    """Writes each event as one line with one ``write``.

    Args:
        handle: file descriptor to write to.
        encode: what makes a record of an event; our own schema if not given.
    """

    def __init__(self, handle: int = 1, encode: Callable[[AuthEvent], bytes] | None = None) -> None:
        self._handle = handle
        self._line = encode_line if encode is None else lambda event: encode(event) + b"\n"

    def send(self, event: AuthEvent) -> None:
        """Write one event."""
        os.write(self._handle, self._line(event))

    def close(self) -> None:
        """Standard output is the process's."""


def open_sink(_settings: Settings) -> StdoutSink:
    """The sink ``stdout``."""
    return StdoutSink()


def open_as(encode: Callable[[AuthEvent], bytes]) -> StdoutSink:
    """The sink ``stdout`` in another format."""
    return StdoutSink(encode=encode)
