"""An authorization server on loopback that misbehaves on demand, and a clock that stands still."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import threading
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

__all__ = ["ACTIVE", "Asked", "Clock", "Server", "http"]

ACTIVE: dict[str, Any] = {"active": True, "sub": "u-1", "client_id": "web", "scope": "read list", "aud": "orders"}


def http(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


class Asked:
    """What the server was asked."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.line, *lines = head.decode("latin-1").split("\r\n")
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.form = {name: values[0] for name, values in parse_qs(body.decode()).items()}


class Server(socketserver.ThreadingTCPServer):
    """Answers a POST with what it is told to: a claims set, bytes, or pieces with pauses between them."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.tls = tls
        self.answer: Any = ACTIVE
        self.asked: list[Asked] = []
        self.sent = 0
        self.connections: list[socket.socket] = []
        self.port = self.server_address[1]
        self.url = f"http{'' if tls is None else 's'}://127.0.0.1:{self.port}/introspect"
        self.stopping = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        self.server.connections.append(self.request)
        while head := self._head():
            length = int(dict(line.lower().split(b": ") for line in head.split(b"\r\n")[1:])[b"content-length"])
            self.server.asked.append(asked := Asked(head, self.rfile.read(length)))
            answer = self.server.answer
            if callable(answer):
                answer = answer(asked)
            if answer is None:  # hang up, hard
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                self.request.close()
                return
            for piece in [http(json.dumps(answer).encode())] if isinstance(answer, dict) else answer:
                if isinstance(piece, float):
                    if self.server.stopping.wait(piece):
                        return
                    continue
                self.wfile.write(piece)
                self.server.sent += len(piece)
            if not isinstance(answer, dict):
                return

    def _head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return b""
            head += line
        return head[:-4]


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now
