"""HTTP: requests OpenTelemetry's own messages read, tried again as the receiver asks, and no secret in clear."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

import fakes
from bearerwatch.errors import ConfigurationError
from bearerwatch.exports import ExportError, http
from bearerwatch.exports.http import HttpTarget, check_url, read_headers
from bearerwatch.formats.otlp import request
from bearerwatch.testing.events import make_event
from otlp_read import from_json
from receivers import Answer, HttpReceiver, http_receiver


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as opened:
        yield opened


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_FIRST_PAUSE", 0.02)


def target(receiver: HttpReceiver, said: list[str], *, patience: float = 5.0, **headers: str) -> HttpTarget:
    return HttpTarget(
        f"{receiver.url}/v1/logs",
        headers=headers,
        body=request,
        content_type="application/json",
        patience=patience,
        report=said.append,
    )


def test_a_batch_is_one_request(receiver: HttpReceiver) -> None:
    events = [make_event(path=f"/{number}") for number in range(3)]
    with closing(target(receiver, [], authorization="Api-Key x")) as opened:
        assert opened.send(events) == 0
        assert opened.send(events[:1]) == 0
        opened.finish()
    first, second = receiver.asked
    assert (first.path, first.headers["content-type"]) == ("/v1/logs", "application/json")
    assert first.headers["authorization"] == "Api-Key x"
    (resource,) = from_json(first.body).resource_logs
    assert len(resource.scope_logs[0].log_records) == 3
    assert len(from_json(second.body).resource_logs) == 1


def test_it_waits_as_long_as_the_receiver_asks(receiver: HttpReceiver) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1.2), usegmt=True)
    receiver.answers = [Answer(429, {"retry-after": "1"}), Answer(503, {"retry-after": soon}), Answer(502)]
    said: list[str] = []
    began = time.monotonic()
    with closing(target(receiver, said)) as opened:
        opened.send([make_event()])
    assert 1.0 <= time.monotonic() - began < 4
    assert len(receiver.asked) == 4
    assert len({one.body for one in receiver.asked}) == 1
    assert [word in line for word, line in zip(["429", "503", "502"], said, strict=True)] == [True] * 3


def test_patience_ends(receiver: HttpReceiver) -> None:
    receiver.answers = [Answer(503)] * 100
    with closing(target(receiver, [], patience=0.2)) as opened, pytest.raises(ExportError, match="answered 503"):
        opened.send([make_event()])
    receiver.answers = [Answer(503, {"retry-after": "3600"})]
    with closing(target(receiver, [])) as opened, pytest.raises(ExportError, match="in 3600 s at the earliest"):
        opened.send([make_event()])


@pytest.mark.parametrize(
    ("status", "says"), [(400, "right"), (401, "--headers-file"), (302, "redirects"), (500, "500")]
)
def test_what_is_final_is_not_tried_again(status: int, says: str, receiver: HttpReceiver) -> None:
    receiver.answers = [Answer(status, {"location": "http://127.0.0.1:1/"})]
    with closing(target(receiver, [])) as opened, pytest.raises(ExportError, match=says):
        opened.send([make_event()])
    assert len(receiver.asked) == 1


def test_a_partial_success_is_counted_said_and_not_sent_again(receiver: HttpReceiver) -> None:
    answer = {"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "too old\x1b[31m"}}
    receiver.answers = [Answer(200, {}, json.dumps(answer).encode())]
    said: list[str] = []
    with closing(target(receiver, said)) as opened:
        assert opened.send([make_event()] * 5) == 2
    assert said == ["the receiver refused 2 records: too old\\x1b[31m"]
    assert len(receiver.asked) == 1


@pytest.mark.parametrize("body", [b"", b"\x00", b"[]", b'{"partialSuccess":7}', b"[" * 60_000, b"x" * (1 << 18)])
def test_an_answer_that_means_nothing_is_a_success(body: bytes, receiver: HttpReceiver) -> None:
    receiver.answers = [Answer(200, {}, body)]
    with closing(target(receiver, [])) as opened:
        assert opened.send([make_event()]) == 0


def test_too_large_a_batch_goes_in_halves(receiver: HttpReceiver) -> None:
    receiver.answers = [Answer(413), Answer(413)]
    events = [make_event(path=f"/{number}") for number in range(4)]
    with closing(target(receiver, [])) as opened:
        opened.send(events)
    taken = [from_json(one.body).resource_logs[0].scope_logs[0].log_records for one in receiver.asked]
    assert [len(records) for records in taken] == [4, 2, 1, 1, 2]
    receiver.answers = [Answer(413)]
    with closing(target(receiver, [])) as opened, pytest.raises(ExportError, match="single event too large"):
        opened.send(events[:1])


def test_nobody_there(receiver: HttpReceiver) -> None:
    receiver.url = f"http://127.0.0.1:{fakes.free_port()}"
    with closing(target(receiver, [], patience=0.1)) as opened, pytest.raises(ExportError, match="ConnectError"):
        opened.send([make_event()])


def test_headers_are_read_and_never_repeated() -> None:
    secret = fakes.opaque()
    text = f"# a comment\n\nAuthorization: Bearer {secret}\nX-Scope-OrgID:  tenant 1 \n"
    assert read_headers(text, "the file") == {"authorization": f"Bearer {secret}", "x-scope-orgid": "tenant 1"}
    for wrong in (f"{secret}", f"Authorization {secret}", f"A:\x00{secret}", f"Host: {secret}", f"Ä: {secret}"):
        with pytest.raises(ConfigurationError, match="line 1 of the file is no header") as caught:
            read_headers(wrong, "the file")
        assert fakes.leaked(secret, str(caught.value)) == []


@pytest.mark.parametrize(
    ("url", "headers", "says"),
    [
        ("https://", {}, "no web address"),
        ("https://[", {}, "no URL"),
        ("https://a b/", {}, "no web address"),
        ("https://me:pw@host/", {}, "holds a user or password"),
        ("http://host/v1/logs", {"authorization": "x"}, "plain http"),
    ],
)
def test_an_address_that_will_not_do_is_refused(url: str, headers: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        check_url(url, headers)
    assert check_url("http://collector:4318/v1/logs", {}) == "http://collector:4318/v1/logs"
    assert check_url("http://127.0.0.1:4318/v1/logs", {"authorization": "x"}) == "http://127.0.0.1:4318/v1/logs"
