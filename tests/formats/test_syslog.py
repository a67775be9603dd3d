"""Syslog by RFC 5424: read back by a strict reader, of bounded size, and no message forges another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.formats.syslog import FACILITIES, MAX_BYTES, Syslog, encode, frame
from events_made import EVENTS, FULL, full
from syslog_read import frames, parse

DATA = "bearerwatch@32473"


def test_a_message_says_all_of_an_event() -> None:
    message = parse(encode(full()))
    assert (message.facility, message.severity, message.ts) == (10, 4, FULL["ts"])
    assert (message.hostname, message.app, message.process, message.msgid) == ("web-1", "orders", "4711", "invalid")
    assert message.text == "invalid (bad_signature): POST /orders/{id} -> 401"
    assert message.data["opentelemetry"] == {"trace_id": FULL["trace_id"], "span_id": FULL["span_id"]}
    expected = {name: str(value) for name, value in FULL.items() if name not in ("kind", "ts", "trace_id", "span_id")}
    assert message.data[DATA] == expected | {"verified": "true"}


@settings(max_examples=150)
@given(event=EVENTS, most=st.sampled_from([480, 1024, MAX_BYTES, 65_000]))
def test_whatever_a_client_sent_it_is_one_strict_message_of_bounded_size(event: AuthEvent, most: int) -> None:
    raw = Syslog(max_bytes=most)(event)
    message = parse(raw)
    assert len(raw) <= most
    assert b"\n" not in raw
    assert message.msgid == (event.outcome or event.kind)
    assert message.data[DATA]["event_id"] == event.event_id
    if "truncated" not in message.data[DATA] and event.user_agent is not None and event.user_agent.isprintable():
        assert message.data[DATA]["user_agent"] == event.user_agent


@given(st.lists(EVENTS, max_size=5))
def test_a_stream_comes_apart_where_it_was_joined(events: list[AuthEvent]) -> None:
    messages = [encode(event) for event in events]
    assert frames(b"".join(map(frame, messages))) == messages


def test_values_are_escaped_and_control_characters_spelled_out() -> None:
    raw = encode(full(user_agent='a"b\\c]d\ne\x85f\u2028'))
    assert rb'user_agent="a\"b\\c\]d\\u000ae\\u0085f\\u2028"' in raw
    assert parse(raw).data[DATA]["user_agent"] == 'a"b\\c]d\\u000ae\\u0085f\\u2028'


def test_what_does_not_fit_is_left_out_from_the_end_and_it_is_said() -> None:
    event = full(path="/" + "é" * 511, user_agent="ü" * 256, scopes="x " * 1000)
    message = parse(Syslog(max_bytes=700)(event))
    data = message.data[DATA]
    assert data["truncated"] == "1"
    assert (data["event_id"], data["token_id"], data["client_ip"]) == (
        FULL["event_id"],
        FULL["token_id"],
        FULL["client_ip"],
    )
    assert "user_agent" not in data
    whole = parse(Syslog(max_bytes=9000)(event)).data[DATA]
    assert "truncated" not in whole
    assert whole["path"] == event.path


@pytest.mark.parametrize(
    ("event", "severity"),
    [
        (full(outcome=Outcome.SUCCESS), 6),
        (full(outcome=Outcome.ANONYMOUS), 6),
        (full(outcome=Outcome.EXPIRED), 4),
        (full(outcome=Outcome.ERROR), 3),
        (full(kind=Kind.LEAK, outcome=None), 4),
        (full(kind=Kind.HEARTBEAT, outcome=None), 6),
    ],
)
def test_severities(event: AuthEvent, severity: int) -> None:
    assert parse(encode(event)).severity == severity


@pytest.mark.parametrize("facility", FACILITIES)
def test_facilities_and_enterprise_numbers(facility: str) -> None:
    message = parse(Syslog(facility=facility, enterprise=99)(full()))
    assert message.facility == FACILITIES[facility]
    assert "bearerwatch@99" in message.data


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"facility": "kern"}, "one of user, daemon, auth, authpriv, local0"),
        ({"enterprise": 0}, "IANA"),
        ({"max_bytes": 100}, "480 bytes or more"),
    ],
)
def test_a_bad_option_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Syslog(**options)


@pytest.mark.parametrize(
    "forged",
    [
        b"no header",
        b"<192>1 - - - - - - ",
        b'<34>1 - h a p m [x a="]"]',
        b'<34>1 - h a p m [x a="b"',
        b"<34>2 - h a p m -",
    ],
)
def test_the_reader_is_strict(forged: bytes) -> None:
    with pytest.raises(ValueError):
        parse(forged)
