"""One plain request at a time to a server on loopback."""

from __future__ import annotations

import socket
import time

__all__ = ["ask", "listening"]


def listening(port: int) -> None:
    """Wait until somebody listens there."""
    deadline = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.02)
        else:
            return


def ask(port: int, target: str, *headers: str) -> None:
    """Send a request and read its answer to the end."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        lines = [f"GET {target} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
        sock.sendall("\r\n".join(lines).encode())
        while sock.recv(65_536):
            pass
