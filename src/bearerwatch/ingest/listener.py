"""Serves an ASGI application from a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bearerwatch.errors import ConfigurationError

__all__ = ["Listener"]

_HEAD_SECONDS = 10.0
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


class _Protocol(H11Protocol):
    """HTTP that gives each connection so many seconds for a request's head, the first as well as the next.

    uvicorn waits for ever for the first one, and for any that comes byte by byte: a hundred connections that keep
    silent would take all the places there are, without a key.
    """

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Begin to wait."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._head_came()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Wait no longer once a request is under way."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr] # at first
            self._head_came()

    def on_response_complete(self) -> None:
        """Wait for the next one; what the client still sends of this one's body does not prolong that."""
        self._expect_head()
        super().on_response_complete()

    def _expect_head(self) -> None:
        self._head_came()
        if not self.transport.is_closing():
            # abort: to close would wait for a client that does not read its answer
            self._head_timer = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Listener:
    """An HTTP server: bound at once, so that a wrong address is found out in time; serving after :meth:`start`.

    Args:
        app: the ASGI application.
        host: address to bind.
        port: port to bind; 0 lets the system choose.

    Raises:
        ConfigurationError: the address cannot be bound.
    """

    def __init__(self, app: Any, host: str, port: int) -> None:
        if not 0 <= port <= 65_535:  # getaddrinfo would take it modulo 65536
            raise ConfigurationError(f"--listen {host}:{port}: there is no such port; choose one up to 65535")
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, address = found[0]
            self._socket = socket.create_server(address[:2], family=family, backlog=256)
        except OSError as error:
            raise ConfigurationError(
                f"--listen {host}:{port} cannot be bound ({error.strerror}): choose another address or port, or 0 to"
                " go without"
            ) from None
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        """Host and port bound."""
        # h11 rather than httptools: it bounds the head of a request
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=128,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=5,
            h11_max_incomplete_event_size=32_768,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="bearerwatch-http", daemon=True)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Serve.

        Raises:
            ConfigurationError: the server does not start.
        """
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ConfigurationError("the HTTP server does not start: see standard error")
            time.sleep(0.005)

    def ask_to_stop(self) -> None:
        """Take no new connection; what is under way goes on."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Answer what is under way, then stop."""
        self.ask_to_stop()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        self._socket.close()
