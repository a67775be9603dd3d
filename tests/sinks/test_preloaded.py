"""A real gunicorn that loads the application before it forks: its workers deliver every event over both sinks."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from fakes import free_port, leaked
from otlp_read import attributes
from receivers import http_receiver, stream_receiver
from syslog_read import Message, frames, parse
from watched.policy import opaque

REQUESTS = 40
TESTS = Path(__file__).parents[1]


def ask(port: int, number: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"X-Request-ID": f"probe-{number:04d}", "Authorization": f"Bearer {opaque('alice')}"}
    connection.request("GET", f"/orders/{number}", headers=headers)
    connection.getresponse().read()
    connection.close()


def test_every_request_arrives_once_over_otlp_and_over_syslog(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--workers=2", "--preload", f"--bind=127.0.0.1:{port}"]
    with http_receiver() as otlp, stream_receiver() as syslog, (tmp_path / "log").open("wb") as log:
        environment = os.environ | {
            "PYTHONPATH": str(TESTS),
            "BEARERWATCH_STATE": str(tmp_path),
            "BEARERWATCH_KEYS": "the-key-of-this-server-alone",
            "BEARERWATCH_TRUSTED_PROXIES": "127.0.0.1",
            "BEARERWATCH_SINKS": "otlp,syslog",
            "BEARERWATCH_SYSLOG": f"syslog+tcp://127.0.0.1:{syslog.port}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
        }
        server = subprocess.Popen([*command, "watched.flask_stack:build()"], env=environment, stdout=log, stderr=log)
        try:
            end = time.monotonic() + 30
            while True:
                try:
                    ask(port, 0)
                    break
                except OSError:
                    assert time.monotonic() < end, (tmp_path / "log").read_text()
                    time.sleep(0.1)
            for number in range(1, REQUESTS):
                ask(port, number)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(20)
        sent = [
            attributes(record)["bearerwatch.auth.request_id"]
            for asked in otlp.asked
            for resource in ExportLogsServiceRequest.FromString(asked.body).resource_logs
            for record in resource.scope_logs[0].log_records
        ]
        end = time.monotonic() + 5
        messages: list[Message] = []
        while len(messages) < REQUESTS and time.monotonic() < end:  # one connection a worker that had a request
            time.sleep(0.02)
            messages = [parse(message) for read in [*syslog.connections] for message in frames(read)]
    expected = [f"probe-{number:04d}" for number in range(REQUESTS)]
    assert sorted(sent) == expected
    assert sorted(message.data["bearerwatch@32473"]["request_id"] for message in messages) == expected
    said = (tmp_path / "log").read_text()
    assert "bearerwatch: " not in said, said
    assert leaked(opaque("alice"), said, *(asked.body for asked in otlp.asked)) == []
