"""Events as records of the standard logger ``bearerwatch.security``, for logs that already go somewhere.

INFO for a request let in, WARNING for a failure, and for a token that was about to be logged. The message reads
as one line, or is a record in another format where one is named; the fields stand in ``record.bearerwatch`` (a dict)
and as ``record.bearerwatch_<field>``, so that a JSON formatter has them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from bearerwatch.event import FAILURES, AuthEvent, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from bearerwatch.settings import Settings

__all__ = ["LogSink", "open_as", "open_sink"]

_LINE = (
    "outcome",
    "reason",
    "status",
    "method",
    "route",
    "path",
    "client_ip",
    "token_id",
    "service",
    "request_id",
    "detail",
)


class LogSink:
    """Writes each event to the logger ``bearerwatch.security``.

    Args:
        encode: what makes the message of an event; a line for people if not given.
    """

    def __init__(self, encode: Callable[[AuthEvent], bytes] | None = None) -> None:
        self._encode = encode
        self._logger = logging.getLogger("bearerwatch.security")
        if self._logger.level == logging.NOTSET:
            self._logger.setLevel(logging.INFO)  # else the root's WARNING would hide every success

    def send(self, event: AuthEvent) -> None:
        """Log one event."""
        level = logging.WARNING if event.outcome in FAILURES or event.kind is Kind.LEAK else logging.INFO
        if not self._logger.isEnabledFor(level):
            return
        values: dict[str, Any] = msgspec.to_builtins(event)
        extra = {"bearerwatch": values, **{f"bearerwatch_{name}": value for name, value in values.items()}}
        if self._encode is None:
            line = " ".join(f"{name}={_printable(values[name])}" for name in _LINE if name in values)
            self._logger.log(level, "%s %s", event.kind.value, line, extra=extra)
        else:
            self._logger.log(level, "%s", self._encode(event).decode(), extra=extra)

    def close(self) -> None:
        """Nothing to let go of: handlers are the application's."""


def _printable(value: Any) -> str:
    """*value* on one line and without terminal control: a client chose some of these (CWE-117)."""
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape", "replace").decode("ascii")


def open_sink(_settings: Settings) -> LogSink:
    """The sink ``log``."""
    return LogSink()


def open_as(encode: Callable[[AuthEvent], bytes]) -> LogSink:
    """The sink ``log`` in another format."""
    return LogSink(encode)
