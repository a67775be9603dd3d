"""Exports to a syslog receiver: UDP (RFC 5426), TCP (RFC 6587), TLS (RFC 5425), or a Unix datagram socket.

Syslog knows no answer. Over TCP and TLS a lost connection is noticed, and the batch sent anew over the next one; over
UDP what the receiver drops is lost without a word.
"""

from __future__ import annotations

import random
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bearerwatch.exports import ExportError
from bearerwatch.formats.syslog import frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from bearerwatch.event import AuthEvent
    from bearerwatch.sinks._destination import Destination

__all__ = ["SyslogTarget"]

_TIMEOUT = 10.0
_FAREWELL = 2.0
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
        self._to = to
        self.lasting = to.transport in ("udp", "unix")  # over a stream, only its end tells that all of it was read
        self._patience = patience
        self._report = report
        self._socket: socket.socket | None = None
        self._tls = ssl.create_default_context() if to.transport == "tls" else None

    def send(self, events: list[AuthEvent]) -> int:
        """Send *events*.

        Raises:
            ExportError: the receiver cannot be reached for as long as we have patience.
        """
        messages = [self._to.encode(event) for event in events]
        give_up = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            try:
                self._write(messages)
            except OSError as error:
                self._hang_up()
                why = _reason(error)
            else:
                return 0
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
        if self._socket is None or self._to.transport in ("udp", "unix"):
            return
        try:
            self._socket.settimeout(_FAREWELL)
            if isinstance(self._socket, ssl.SSLSocket):
                with suppress(TimeoutError, ssl.SSLError):
                    self._socket.unwrap()
            else:
                self._socket.shutdown(socket.SHUT_WR)
                with suppress(TimeoutError):
                    while self._socket.recv(4096):
                        pass
        except OSError as error:
            raise ExportError(
                f"the syslog receiver cut the connection at the end ({_reason(error)}): it may lack the last events"
            ) from None

    def close(self) -> None:
        """Hang up."""
        self._hang_up()

    def _write(self, messages: list[bytes]) -> None:
        if self._socket is None:
            self._socket = self._connected()
        if self._to.transport in ("udp", "unix"):
            for message in messages:
                self._socket.send(message)
        else:
            self._socket.sendall(b"".join(map(frame, messages)))

    def _connected(self) -> socket.socket:
        to = self._to
        if to.transport == "unix":
            return _joined(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), to.path)
        if to.transport == "udp":
            *kind, _, address = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_DGRAM)[0]
            return _joined(socket.socket(*kind), address)
        plain = socket.create_connection((to.host, to.port), _TIMEOUT)
        if self._tls is None:
            return plain
        try:
            return self._tls.wrap_socket(plain, server_hostname=to.host)
        except BaseException:
            plain.close()
            raise

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _joined(made: socket.socket, address: Any) -> socket.socket:
    try:
        made.settimeout(_TIMEOUT)
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its TLS certificate is not trusted here: mend it, or add its CA with SSL_CERT_FILE"
    return error.strerror or type(error).__name__
