"""Receives the alerts: a webhook endpoint that checks signatures and notes when each alert came in."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

__all__ = ["Alert", "Receiver"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One webhook, verified."""

    at: float
    """When it was received, seconds since 1970."""
    kind: str
    """``opened`` or ``closed``."""
    data: dict[str, Any] = field(repr=False)

    @property
    def rule(self) -> str:
        """Id of the rule."""
        return str(self.data["rule"])

    @property
    def key(self) -> dict[str, str]:
        """What the rule counted by."""
        return dict(self.data.get("group", {}))


class Receiver:
    """A webhook endpoint on a free loopback port, in a thread of its own.

    Args:
        secret: shared with the sender; Standard Webhooks form (``whsec_`` and base64).
        kept: file to which every body received is appended.
        heard: called with each alert, in the receiver's thread.
    """

    def __init__(self, secret: str, kept: Path, heard: Callable[[Alert], None]) -> None:
        self.alerts: list[Alert] = []
        self.forged = 0
        """Bodies whose signature was wrong."""
        webhook = Webhook(secret)
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                at = time.time()
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    webhook.verify(body, {k.lower(): v for k, v in self.headers.items()})
                except WebhookVerificationError:
                    outer.forged += 1
                    self.send_response(401)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                message = json.loads(body)
                alert = Alert(at, str(message["type"]).rpartition(".")[2], message["data"])
                with lock, kept.open("ab") as file:
                    file.write(body.replace(b"\n", b" ") + b"\n")
                    outer.alerts.append(alert)
                self.send_response(204)
                self.end_headers()
                heard(alert)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as above
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_port}/alerts"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
