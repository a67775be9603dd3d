"""A server of key sets on loopback, which counts what it is asked and can be as bad as a server can be."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["KeyServer", "key_server"]


class KeyServer(ThreadingHTTPServer):
    """Answers each path by what stands in ``answers``: JSON, bytes, a status, or a function of the handler."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.base = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """A client that does not trust the certificate goes away, which is what some tests want."""

    def url(self, path: str = "/keys") -> str:
        return f"{self.base}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answer = self.server.answers.get(self.path, 404)
        if callable(answer):
            answer(self)
            return
        status = answer if isinstance(answer, int) else 200
        body = b"" if isinstance(answer, int) else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def drip(piece: bytes, pieces: int = 10_000) -> Callable[[_Handler], None]:
    """Sends *piece* every twentieth of a second, for ever as far as a client can tell."""

    def answer(handler: _Handler) -> None:
        try:
            for _ in range(pieces):
                handler.wfile.write(piece)
                handler.wfile.flush()
                time.sleep(0.05)
        except OSError:
            handler.close_connection = True

    return answer


@contextmanager
def key_server(tls: ssl.SSLContext | None = None) -> Iterator[KeyServer]:
    server = KeyServer(tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
