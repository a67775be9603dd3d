"""The sink ``log``: records of the standard logger ``bearerwatch.security``."""

from __future__ import annotations

import json
import logging

import pytest

import bearerwatch
from bearerwatch import _units
from bearerwatch.event import FAILURES, Outcome
from bearerwatch.formats import encoder
from bearerwatch.settings import Settings
from bearerwatch.sinks import open_sinks
from bearerwatch.sinks.log import LogSink
from bearerwatch.testing.events import make_event
from events_made import full


@pytest.mark.parametrize("outcome", Outcome)
def test_success_is_info_and_failure_a_warning(outcome: Outcome, caplog: pytest.LogCaptureFixture) -> None:
    LogSink().send(make_event(outcome=outcome))
    (record,) = caplog.records
    assert record.name == "bearerwatch.security"
    assert record.levelno == (logging.WARNING if outcome in FAILURES else logging.INFO)


def test_the_line_reads_and_the_fields_stand_beside_it(caplog: pytest.LogCaptureFixture) -> None:
    event = make_event(outcome="invalid", reason="query_token", status=401, request_id="r-12345678")
    LogSink().send(event)
    (record,) = caplog.records
    assert record.getMessage() == (
        "auth outcome=invalid reason=query_token status=401 method=GET route=/orders/{order_id} path=/orders/7 "
        f"client_ip=192.0.2.1 token_id={event.token_id} service=app request_id=r-12345678"
    )
    assert record.bearerwatch["token_id"] == event.token_id
    assert record.bearerwatch_status == 401
    json.dumps(record.bearerwatch)


def test_redaction_leaves_our_own_records_alone(caplog: pytest.LogCaptureFixture) -> None:
    bearerwatch.install_logging()
    for outcome in Outcome:
        for reason in (None, "query_token", "unknown_token", "bad_signature"):
            for kind in ("jwt", "opaque"):
                sent = make_event(outcome=outcome, reason=reason, token_kind=kind)
                LogSink().send(sent)
                assert caplog.records[-1].bearerwatch["token_id"] == sent.token_id
                assert f"token_id={sent.token_id} " in caplog.records[-1].getMessage()
                assert "[token" not in caplog.text


@pytest.mark.parametrize("form", _units.names("bearerwatch.formats"))
def test_in_another_format_the_message_is_its_record_and_redaction_leaves_it_alone(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    bearerwatch.install_logging()
    (sink,) = open_sinks(Settings(sinks=(f"log:{form}",)))
    for event in (full(), make_event(), full(kind="leak", outcome=None)):
        sink.send(event)
        assert caplog.records[-1].getMessage() == encoder(form)(event).decode()
        assert caplog.records[-1].bearerwatch["token_id"] == event.token_id


@pytest.mark.parametrize("path", ["/a\r\nFAKE line", "/\x1b[31mred", "/\u2028next", "/\ud800", "/\x00", "/a\tb"])
def test_a_client_cannot_forge_a_line(path: str, caplog: pytest.LogCaptureFixture) -> None:
    LogSink().send(make_event(path=path))
    line = caplog.records[0].getMessage()
    assert line.isprintable()
    assert line.isascii()


def test_a_silenced_logger_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    sink = LogSink()
    logging.getLogger("bearerwatch.security").setLevel(logging.ERROR)
    try:
        sink.send(make_event())
    finally:
        logging.getLogger("bearerwatch.security").setLevel(logging.NOTSET)
    assert caplog.records == []


def test_a_level_somebody_chose_is_kept() -> None:
    logger = logging.getLogger("bearerwatch.security")
    logger.setLevel(logging.WARNING)
    try:
        LogSink()
        assert logger.level == logging.WARNING
    finally:
        logger.setLevel(logging.NOTSET)


def test_it_is_found_by_its_name(caplog: pytest.LogCaptureFixture) -> None:
    (sink,) = open_sinks(Settings(sinks=("log",)))
    sink.send(make_event())
    sink.close()
    assert len(caplog.records) == 1
