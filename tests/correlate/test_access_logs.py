"""Access logs of real servers: which of them say, without a format of their own, which request a line is of."""

from __future__ import annotations

import http.client
from contextlib import closing
from pathlib import Path

import pytest

from quoting import Served

GUNICORN = ["-m", "gunicorn", "--bind=127.0.0.1:{port}", "--access-logfile=-"]
UVICORN = ["-m", "uvicorn", "--factory", "--host=127.0.0.1", "--port={port}", "quoting:asgi"]
GRANIAN = ["-m", "granian", "--factory", "--host=127.0.0.1", "--port={port}", "--access-log"]
SERVERS = {
    "gunicorn-sync": [*GUNICORN, "quoting:flask()"],
    "gunicorn-threads": [*GUNICORN, "--worker-class=gthread", "--threads=4", "watched.django_stack:wsgi()"],
    "uvicorn-h11": [*UVICORN, "--http=h11"],
    "uvicorn-httptools": [*UVICORN, "--http=httptools"],
    "granian": [*GRANIAN, "--interface=asginl", "quoting:asgi"],
}


def ask(server: Served, path: str) -> str:
    """Send one request; its id."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.headers["X-Request-ID"]


@pytest.mark.parametrize("name", SERVERS)
def test_a_line_names_its_request(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARERWATCH_LOG_IDS", "append")
    with Served(SERVERS[name], tmp_path) as server:
        asked = {path: ask(server, path) for path in ("/fine/first", "/fine/second")}
        said = server.said("/fine/second ", asked["/fine/second"])
    assert len({*asked.values()}) == 2
    for path, request_id in asked.items():
        (line,) = (line for line in said.splitlines() if f"GET {path} " in line)
        assert f" request_id={request_id}" in line


def test_gunicorns_own_format_can_name_it(tmp_path: Path) -> None:
    """By the header of the answer: for logs that go elsewhere than through logging's formats."""
    form = "--access-logformat=%(r)s %({{x-request-id}}o)s"
    with Served([*GUNICORN, form, "quoting:flask()"], tmp_path) as server:
        request_id = ask(server, "/fine/first")
        said = server.said(request_id)
    assert f"GET /fine/first HTTP/1.1 {request_id}" in said
