"""Revocations from a real collector's HTTP side: authenticated, within two seconds, whole or not at all."""

from __future__ import annotations

import http.client
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import fakes
from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.http import make_app
from bearerwatch.ingest.intake import Intake
from bearerwatch.ingest.keys import IngestKeys
from bearerwatch.ingest.listener import Listener
from bearerwatch.ingest.revoked import RevokedList
from bearerwatch.store.revocations import StateLedger
from bearerwatch.store.state import State, default_url
from bearerwatch.verify.revocations import Found, Revocation, Revocations, SourceLost, open_ledger, open_source
from bearerwatch.verify.revocations import collector as collector_module
from bearerwatch.verify.revocations._entry import dump
from verify.revocations.conftest import entry, eventually

KEY_ENV = "BEARERWATCH_REVOCATIONS_KEY"


class Site:
    """A collector's HTTP side on its state database."""

    def __init__(self, folder: Path, secret: str) -> None:
        url = default_url(folder)
        self.state = State(url)
        self.state.migrate()
        self.ledger = StateLedger(url)
        self.secret = secret
        self.start(0)
        self.port = self.listener.address[1]
        self.url = f"collector+http://127.0.0.1:{self.port}"

    def start(self, port: int) -> None:
        app = make_app(IngestKeys({"web": self.secret}), Intake(self.state), lambda: None, RevokedList(self.state))
        self.listener = Listener(app, "127.0.0.1", port)
        self.listener.start()

    def get(self, **headers: str) -> tuple[int, str | None, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", "/v1/revocations", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("ETag"), answer.read()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path / "collector", secrets.token_urlsafe(24))
    monkeypatch.setenv(KEY_ENV, made.secret)
    yield made
    made.listener.stop()
    made.state.close()


def test_what_is_revoked_there_is_refused_here_within_two_seconds(site: Site) -> None:
    first, second = entry(), entry()
    site.ledger.add([first])
    held = Revocations(site.url)
    assert first.token_id in held
    site.ledger.add([second])
    assert eventually(lambda: second.token_id in held) < 2
    site.ledger.remove([first.token_id])
    assert eventually(lambda: first.token_id not in held) < 2
    held.close()


def test_a_collector_that_went_away_comes_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector_module.Collector, "every", 0.02)
    one = entry()
    site.ledger.add([one])
    held = Revocations(site.url)
    assert one.token_id in held
    site.listener.stop()
    eventually(lambda: held.held().lost)
    assert one.token_id in held
    site.start(site.port)
    eventually(lambda: held.held().lost is None)
    held.close()


def test_who_has_no_key_reads_nothing(site: Site) -> None:
    site.ledger.add([entry()])
    for headers in ({}, {"Authorization": "Bearer " + fakes.opaque()}):
        status, _, body = site.get(**headers)
        assert (status, b"k" + b"0" not in body) == (401, True)
        assert b"token_id" not in body


def test_what_is_known_is_not_sent_again(site: Site) -> None:
    one = entry()
    site.ledger.add([Revocation(token_id=one.token_id, at=one.at, by="maria", reason="laptop stolen")])
    authorization = f"Bearer {site.secret}"
    status, etag, body = site.get(Authorization=authorization)
    assert (status, body) == (200, dump(one) + b"\n")  # by whom and why is not for every service to know
    assert etag is not None
    assert site.get(Authorization=authorization, **{"If-None-Match": etag}) == (304, etag, b"")
    source = open_source(site.url)
    assert source.poll() == Found({one.token_id: float("inf")})
    assert source.poll() is None


def test_a_wrong_key_is_said_and_not_repeated(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = fakes.opaque()
    monkeypatch.setenv(KEY_ENV, wrong)
    source = open_source(site.url)
    with pytest.raises(SourceLost, match="refuses our key") as caught:
        source.poll()
    assert not fakes.leaked(wrong, str(caught.value), repr(source))


def test_the_key_may_be_in_a_file_and_as_it_was_printed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY_ENV)
    file = tmp_path / "key"
    monkeypatch.setenv(f"{KEY_ENV}_FILE", str(file))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        open_source(site.url)
    file.write_text(f"web:{site.secret}\n")
    assert open_source(site.url).poll() is not None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("collector+ftp://127.0.0.1", "is named"),
        ("collector://127.0.0.1", "is named"),
        ("collector+https://", "is named"),
        ("collector+https://me:pass@host", "is named"),
        ("collector+https://host:99999", "is named"),
        ("collector+http://collector.internal", "clear text"),
    ],
)
def test_a_url_that_will_not_do_says_what_to_write(url: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, secrets.token_urlsafe(24))
    with pytest.raises(ConfigurationError, match=says):
        open_source(url)
    open_source("collector+http://collector.internal?cleartext=yes")
    open_source("collector+https://collector.internal/behind/a/proxy")


def test_without_a_key_and_for_writing_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="bearerwatch key ingest"):
        open_source("collector+https://host")
    with pytest.raises(ConfigurationError, match="--state"):
        open_ledger("collector+https://host")


@pytest.fixture
def says() -> Iterator[Callable[[bytes], str]]:
    """A server that answers each request with certain bytes, then hangs up."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        answers: list[bytes] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answers[-1])

        thread = threading.Thread(target=serve)
        thread.start()

        def start(answer: bytes) -> str:
            answers.append(answer)
            return f"collector+http://127.0.0.1:{server.getsockname()[1]}"

        yield start
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",  # nobody asked for that
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}",
        OK + b"Content-Length: 500\r\n\r\n{}",
        OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{}",
        OK + b"\r\n" + b"x" * 2000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
    ],
)
def test_what_is_no_list_changes_nothing(
    answer: bytes, says: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_ENV, secrets.token_urlsafe(24))
    monkeypatch.setattr(collector_module, "_MAX_BYTES", 1000)
    with pytest.raises(SourceLost):
        open_source(says(answer)).poll()


def test_lines_that_are_none_are_passed_over(says: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, secrets.token_urlsafe(24))
    one = entry()
    body = dump(one) + b"\n{\n" + b"y" * 9000 + b"\n"
    url = says(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert open_source(url).poll() == Found({one.token_id: float("inf")}, 2)
