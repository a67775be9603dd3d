"""One POST and its answer within a time, over pools of connections: for threads and for coroutines.

httpcore2 is what httpx2 is made of. It follows no redirect, keeps no cookie, reads no environment, undoes no
compression and writes no URL into a log: none of which this wants.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import httpcore2

from bearerwatch._version import __version__

__all__ = ["Answered", "AsyncWire", "NoAnswer", "Wire"]

_TRANSPORT = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol, OSError)
_Headers = dict[bytes | str, bytes | str]
_HEADERS: _Headers = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"bearerwatch/{__version__}",
}
_CONNECTIONS = 50
_KEEPALIVE_SECONDS = 30.0
_POOL_SHARE = 0.9
"""Of the time there is, how much may be waited for a connection: then it is not the server that is slow."""
_CONNECT_SHARE = 0.45
"""The same of connecting, and again of TLS: httpcore2 closes what it gives up itself, but not what is cancelled."""


class NoAnswer(Exception):  # noqa: N818 - says what happened
    """There was none; ``word`` is ``timeout``, ``unreachable`` or ``busy``. The libraries' own text is left out."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Answered(NamedTuple):
    """Head of an answer."""

    status: int
    headers: Mapping[bytes, bytes]


class _Deadline(threading.local):
    """When the question of this thread has to be answered, on the monotonic clock."""

    at = float("inf")


_deadline = _Deadline()


def _left(timeout: float | None, error: type[Exception]) -> float:
    """What is left of the time: httpcore2 gives each read all of it anew, and a byte a second would go on for ever."""
    left = _deadline.at - time.monotonic()
    if left <= 0:
        raise error
    return left if timeout is None else min(left, timeout)


class _Stream(httpcore2.NetworkStream):
    """A connection whose every wait is within the deadline."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore2.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options))


def _extensions(seconds: float) -> dict[str, Any]:
    connect, pool = seconds * _CONNECT_SHARE, seconds * _POOL_SHARE
    return {"timeout": {"connect": connect, "read": seconds, "write": seconds, "pool": pool}}


def _all_of(headers: Mapping[str, str]) -> _Headers:
    made = dict(_HEADERS)
    made.update(headers)
    return made


def _read(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in headers}


class Wire:
    """Connections of threads.

    Args:
        url: where questions go.
        tls: ``None`` for the usual authorities.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None) -> None:
        self._url, self._tls = url, tls
        self._pool = self._made()

    def _made(self) -> httpcore2.ConnectionPool:
        return httpcore2.ConnectionPool(
            ssl_context=self._tls,
            max_connections=_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE_SECONDS,
            network_backend=_Backend(),
        )

    def ask(self, body: bytes, headers: Mapping[str, str], seconds: float, reader: Any) -> bytes:
        """The body of the answer to *body*.

        Args:
            body: a form.
            headers: besides the usual ones.
            seconds: for all of it.
            reader: is given the head of the answer, then each piece; what it raises is passed on.

        Raises:
            NoAnswer: there was none.
        """
        _deadline.at = time.monotonic() + seconds
        try:
            return self._asked(body, headers, seconds, reader, again=True)
        except httpcore2.PoolTimeout:
            raise NoAnswer("busy") from None
        except httpcore2.TimeoutException:
            raise NoAnswer("timeout") from None
        except _TRANSPORT:
            raise NoAnswer("unreachable") from None
        finally:
            _deadline.at = float("inf")

    def _asked(self, body: bytes, headers: Mapping[str, str], seconds: float, reader: Any, *, again: bool) -> bytes:
        answered = False
        try:
            with self._pool.stream(
                "POST", self._url, headers=_all_of(headers), content=body, extensions=_extensions(seconds)
            ) as response:
                answered = True
                reader.head(Answered(response.status, _read(response.headers)))
                pieces: Iterator[bytes] = response.iter_stream()
                for piece in pieces:
                    reader.piece(piece)
        except (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError):
            # a connection that was kept may have been hung up on at that very moment; asking changes nothing
            if answered or not again:
                raise
            return self._asked(body, headers, seconds, reader, again=False)
        return bytes(reader.body)

    def forked(self) -> httpcore2.ConnectionPool:
        """In a child process: connections of its own. Returns the former, which are the parent's to close."""
        former, self._pool = self._pool, self._made()
        return former

    def close(self) -> None:
        """Hang up."""
        self._pool.close()


class AsyncWire:
    """Connections of the coroutines of one event loop; see :class:`Wire`."""

    def __init__(self, url: str, tls: ssl.SSLContext | None) -> None:
        self._url = url
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls, max_connections=_CONNECTIONS, keepalive_expiry=_KEEPALIVE_SECONDS
        )

    async def ask(self, body: bytes, headers: Mapping[str, str], seconds: float, reader: Any) -> bytes:
        """See :meth:`Wire.ask`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._asked(body, headers, seconds, reader, again=True)
        except httpcore2.PoolTimeout:
            raise NoAnswer("busy") from None
        except (httpcore2.TimeoutException, TimeoutError):
            raise NoAnswer("timeout") from None
        except _TRANSPORT:
            raise NoAnswer("unreachable") from None

    async def _asked(
        self, body: bytes, headers: Mapping[str, str], seconds: float, reader: Any, *, again: bool
    ) -> bytes:
        answered = False
        try:
            async with self._pool.stream(
                "POST", self._url, headers=_all_of(headers), content=body, extensions=_extensions(seconds)
            ) as response:
                answered = True
                reader.head(Answered(response.status, _read(response.headers)))
                pieces: AsyncIterator[bytes] = response.aiter_stream()
                async for piece in pieces:
                    reader.piece(piece)
        except (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError):
            if answered or not again:
                raise
            return await self._asked(body, headers, seconds, reader, again=False)
        return bytes(reader.body)

    async def aclose(self) -> None:
        """Hang up."""
        await self._pool.aclose()
