"""Receivers on loopback, for real: HTTP with answers told beforehand, and syslog over UDP, TCP and Unix sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Answer", "HttpReceiver", "datagrams", "http_receiver", "stream_receiver"]


class Answer(NamedTuple):
    """What is answered to one request."""

    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it
    body: bytes = b"{}"


class Asked(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


class HttpReceiver:
    """What was asked, and what is answered: the answers in turn, then 200."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Answer] = []
        self.url = ""
        self.arrived = threading.Condition()

    def wait(self, count: int, seconds: float = 10) -> list[Asked]:
        """The requests, once there are so many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.asked) >= count, seconds), len(self.asked)
            return list(self.asked)


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    """An HTTP server on loopback; ``url`` is its root."""
    receiver = HttpReceiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with receiver.arrived:
                answer = receiver.answers.pop(0) if receiver.answers else Answer()
                receiver.asked.append(Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                receiver.arrived.notify_all()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            """Clients hang up; that is theirs to notice."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def datagrams(path: Path | None = None) -> Iterator[socket.socket]:
    """A bound socket for datagrams: UDP on loopback, or a Unix socket at *path*."""
    kind = socket.AF_INET if path is None else socket.AF_UNIX
    with socket.socket(kind, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0) if path is None else str(path))
        bound.settimeout(5)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        yield bound


class Stream:
    """What a stream receiver read, connection by connection."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.port: int = listener.getsockname()[1]
        self.connections: list[bytes] = []
        self.cut_after: int | None = None
        """Bytes after which the next connection is ended."""
        self.reset = True
        """Whether that is by a reset, rather than as by a receiver that stops in good order."""
        self.ended = threading.Condition()

    def wait(self, count: int, seconds: float = 10) -> list[bytes]:
        """What was read, once so many connections have ended."""
        with self.ended:
            assert self.ended.wait_for(lambda: len(self.connections) >= count, seconds), self.connections
            return list(self.connections)

    def serve(self, wrap: Any) -> None:
        """Accept until the listener is closed."""
        with suppress(OSError):
            while True:
                accepted, _ = self.listener.accept()
                threading.Thread(target=self._read, args=(wrap, accepted), daemon=True).start()

    def _read(self, wrap: Any, accepted: socket.socket) -> None:
        read = b""
        accepted.settimeout(10)
        with accepted, suppress(OSError), wrap(accepted) as connection:
            while chunk := connection.recv(65536):
                read += chunk
                if self.cut_after is not None and len(read) >= self.cut_after:
                    self.cut_after = None
                    if self.reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    break
        with self.ended:
            self.connections.append(read)
            self.ended.notify_all()


@contextmanager
def stream_receiver(wrap: Any = lambda accepted: accepted) -> Iterator[Stream]:
    """A TCP server on loopback that reads whatever it is sent; *wrap* makes TLS of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = Stream(listener)
        thread = threading.Thread(target=stream.serve, args=(wrap,))
        thread.start()
        try:
            yield stream
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
