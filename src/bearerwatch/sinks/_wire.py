"""A connection to a syslog receiver: UDP (RFC 5426), TCP (RFC 6587), TLS (RFC 5425) or a Unix datagram socket."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bearerwatch.formats.syslog import frame

if TYPE_CHECKING:
    import ssl

    from bearerwatch.sinks._destination import Destination

__all__ = ["Wire"]

_TIMEOUT = 10.0
_FAREWELL = 2.0


class Wire:
    """Opened when something is to be written, and again after it broke.

    Args:
        to: the receiver.
    """

    def __init__(self, to: Destination) -> None:
        self._to = to
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None
        self.datagrams = to.transport in ("udp", "unix")
        """Whether each message goes by itself."""

    def write(self, messages: list[bytes]) -> int:
        """Send *messages*; those that went by themselves are removed from the list.

        Returns:
            How many were too large for a datagram here, and are lost.

        Raises:
            OSError: the receiver is away; of a stream, none may have arrived.
        """
        if self._socket is not None and not (self._to.transport == "tcp" and _left(self._socket)):
            with suppress(OSError):  # it may be back already
                return self._written(self._socket, messages)
        self.close()
        self._socket = self._connected()
        try:
            return self._written(self._socket, messages)
        except OSError:
            self.close()
            raise

    def _written(self, connection: socket.socket, messages: list[bytes]) -> int:
        lost = 0
        if not self.datagrams:
            connection.sendall(b"".join(map(frame, messages)))
            messages.clear()
        while messages:
            try:
                connection.send(messages[0])
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
                lost += 1  # no other try would fare better, and those behind it wait
            del messages[0]
        return lost

    def farewell(self) -> None:
        """Say that nothing more comes, and wait some seconds until the receiver has read everything.

        Raises:
            OSError: it has not, as far as can be told.
        """
        if self._socket is None or self.datagrams:
            return
        self._socket.settimeout(_FAREWELL)
        if self._tls is not None:
            import ssl  # noqa: PLC0415 - see below

            with suppress(TimeoutError, ssl.SSLError):  # many receivers hang up without a goodbye of their own
                self._socket.unwrap()  # type: ignore[attr-defined]  # an SSLSocket
            return
        self._socket.shutdown(socket.SHUT_WR)
        with suppress(TimeoutError):
            while self._socket.recv(4096):
                pass

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        to = self._to
        if to.transport == "unix":
            return _joined(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), to.path)
        if to.transport == "udp":
            *kind, _, address = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_DGRAM)[0]
            return _joined(socket.socket(*kind), address)
        plain = socket.create_connection((to.host, to.port), _TIMEOUT)
        if to.transport == "tcp":
            return plain
        try:
            if self._tls is None:
                import ssl  # noqa: PLC0415 - takes time, and most receivers are on this host

                self._tls = ssl.create_default_context()
            return self._tls.wrap_socket(plain, server_hostname=to.host)
        except BaseException:
            plain.close()
            raise


def _joined(made: socket.socket, address: Any) -> socket.socket:
    try:
        made.settimeout(_TIMEOUT)
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


def _left(stream: socket.socket) -> bool:
    """Whether the other end has hung up: else the first write after that would seem to be read.

    Receivers of syslog never say anything, so that there is nothing to read but the end.
    """
    stream.setblocking(False)
    try:
        return stream.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        stream.settimeout(_TIMEOUT)
