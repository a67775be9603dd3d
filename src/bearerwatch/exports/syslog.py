"""Exports to a syslog receiver.

Syslog knows no answer. Over TCP and TLS a lost connection is noticed, and the batch sent anew over the next one; over
UDP what the receiver drops is lost without a word.
"""

from __future__ import annotations

import random
import ssl
import time
from typing import TYPE_CHECKING

from bearerwatch.exports import ExportError
from bearerwatch.sinks._wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from bearerwatch.event import AuthEvent
    from bearerwatch.sinks._destination import Destination

__all__ = ["SyslogTarget"]

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0


class SyslogTarget:
    """Sends a message an event.

    Args:
        to: the receiver.
        patience: seconds one batch is tried for.
        report: told about pauses.
    """

    def __init__(self, to: Destination, *, patience: float, report: Callable[[str], None]) -> None:
        self._encode = to.encode
        self._wire = Wire(to)
        self.lasting = self._wire.datagrams  # over a stream, only its end tells that all of it was read
        self._patience = patience
        self._report = report

    def send(self, events: list[AuthEvent]) -> int:
        """Send *events*; returns how many were too large for a datagram of this system.

        Raises:
            ExportError: the receiver cannot be reached for as long as we have patience.
        """
        messages = [self._encode(event) for event in events]
        give_up = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._wire.write(messages)
            except OSError as error:
                why = _reason(error)
            seconds = pause * random.uniform(0.8, 1.2)  # noqa: S311 - only spreads load
            if time.monotonic() + seconds > give_up:
                raise ExportError(f"the syslog receiver cannot be reached ({why}): run the export again later")
            self._report(f"the syslog receiver cannot be reached ({why}); trying again in {seconds:.1f} s")
            time.sleep(seconds)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def finish(self) -> None:
        """Say goodbye, and wait until the receiver has read everything.

        Raises:
            ExportError: it has not, as far as can be told.
        """
        try:
            self._wire.farewell()
        except OSError as error:
            raise ExportError(
                f"the syslog receiver cut the connection at the end ({_reason(error)}): it may lack the last events"
            ) from None

    def close(self) -> None:
        """Hang up."""
        self._wire.close()


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its TLS certificate is not trusted here: mend it, or add its CA with SSL_CERT_FILE"
    return error.strerror or type(error).__name__
