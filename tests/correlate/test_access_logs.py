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
    "uvicorn-django": [*UVICORN[:-1], "watched.django_stack:asgi"],
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


@pytest.mark.parametrize("name", ["gunicorn-threads", "uvicorn-django"])
def test_what_django_says_of_an_answer_names_its_request(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does once every middleware is done: ``Not Found: /fine/first``, and so of what was not let in."""
    monkeypatch.setenv("BEARERWATCH_LOG_IDS", "append")
    serve = "import sys, logging, runpy; logging.basicConfig(); import watched.django_stack as it; it.configure(); "
    serve += "logging.getLogger('django.request').setLevel(0); sys.argv[:] = sys.argv[1:]; "
    serve += "runpy.run_module(sys.argv[0], run_name='__main__')"
    with Served(["-c", serve, *SERVERS[name][1:]], tmp_path) as server:
        request_id = ask(server, "/fine/first")
        said = server.said("Not Found: /fine/first", request_id)
    assert f"Not Found: /fine/first request_id={request_id}" in said


def test_what_uvicorn_says_of_an_application_that_fails_names_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARERWATCH_LOG_IDS", "append")
    with Served(SERVERS["uvicorn-h11"], tmp_path) as server:
        ask(server, "/raise/first")
        said = server.said("GET /raise/first ", "Exception in ASGI application", "ValueError")
    lines = said.splitlines()
    (access,) = (line for line in lines if "GET /raise/first " in line)
    (failure,) = (line for line in lines if "Exception in ASGI application" in line)
    assert access[access.index("request_id=") :] == failure[failure.index("request_id=") :]


def test_gunicorns_own_format_can_name_it(tmp_path: Path) -> None:
    """By the header of the answer: for logs that go elsewhere than through logging's formats."""
    form = "--access-logformat=%(r)s %({{x-request-id}}o)s"
    with Served([*GUNICORN, form, "quoting:flask()"], tmp_path) as server:
        request_id = ask(server, "/fine/first")
        said = server.said(request_id)
    assert f"GET /fine/first HTTP/1.1 {request_id}" in said
