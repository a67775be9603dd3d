"""W3C Trace Context: what is taken of a caller, what is passed on, and from whom."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch._trace import parse_traceparent, parse_tracestate, passed_flags
from bearerwatch.context import onward
from desk import Desk, facts
from fakes import jwt, leaked

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def asked(peer: str = "192.0.2.9", **given: str) -> tuple[dict[str, str], dict[str, str | None]]:
    """What a request of *peer* tells another service, and the ids of its event."""
    desk = Desk(trusted_proxies="192.0.2.9")
    exchange = desk.watch.open(facts(peer_ip=peer, **given))
    told = onward()
    exchange.finish(200)
    exchange.end()
    event = desk.kept.events[-1]
    names = ("request_id", "trace_id", "span_id", "parent_request_id")
    return told, {name: getattr(event, name) for name in names}


def test_a_trusted_peers_trace_goes_on_with_a_span_of_our_own() -> None:
    told, ids = asked(traceparent=PARENT, tracestate="rojo=1,congo=t61")
    assert told == {
        "X-Request-ID": ids["request_id"],
        "traceparent": f"00-{TRACE}-{ids['span_id']}-01",
        "tracestate": "rojo=1,congo=t61",
    }
    assert (ids["trace_id"], ids["parent_request_id"]) == (TRACE, SPAN)
    assert ids["span_id"] != SPAN


def test_a_tracestate_that_is_none_is_not_passed_on() -> None:
    told, ids = asked(traceparent=PARENT, tracestate="rojo=1\r\nSet-Cookie: a=b")
    assert "tracestate" not in told
    assert ids["trace_id"] == TRACE


def test_a_stranger_chooses_nothing() -> None:
    told, ids = asked("203.0.113.7", traceparent=PARENT, tracestate="rojo=1", request_id="chosen-by-client")
    assert not leaked(f"{TRACE}{SPAN}", repr(told), repr(ids))
    assert "tracestate" not in told
    assert ids["parent_request_id"] is None
    assert "chosen" not in repr((told, ids))
    assert parse_traceparent(told["traceparent"]) == (ids["trace_id"], ids["span_id"])


def test_nobody_is_trusted_unless_named() -> None:
    event = Desk().serve(traceparent=PARENT)
    assert (event.trace_id, event.parent_request_id) == (None, None)


@pytest.mark.parametrize(
    ("flags", "passed"), [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("fe", "02"), ("ff", "03")]
)
def test_flags_that_mean_something_are_passed_on_and_no_others(flags: str, passed: str) -> None:
    assert passed_flags(f"00-{TRACE}-{SPAN}-{flags}") == passed
    told, _ = asked(traceparent=f"00-{TRACE}-{SPAN}-{flags}")
    assert told["traceparent"].endswith(f"-{passed}")


def test_a_later_version_is_read_and_ours_is_written() -> None:
    told, ids = asked(traceparent=f"cc-{TRACE}-{SPAN}-01-what-the-future-holds")
    assert told["traceparent"] == f"00-{TRACE}-{ids['span_id']}-01"


@pytest.mark.parametrize(
    "bad", ["", PARENT.upper(), f"{PARENT},{PARENT}", f"ff{PARENT[2:]}", f"{PARENT}-x", "0" * 100_000]
)
def test_a_traceparent_that_is_none_takes_the_tracestate_along(bad: str) -> None:
    told, ids = asked(traceparent=bad, tracestate="rojo=1")
    assert "tracestate" not in told
    assert ids["trace_id"] not in (None, TRACE)
    assert ids["parent_request_id"] is None


@pytest.mark.parametrize(
    ("value", "passed"),
    [
        ("rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7"),
        ("rojo=1 , congo=2,\tfw529a3039@dt=FfV_k2", "rojo=1,congo=2,fw529a3039@dt=FfV_k2"),
        (",rojo=1,,congo=2,", "rojo=1,congo=2"),
        ("0rojo/x=a b", "0rojo/x=a b"),
        (",".join(f"k{n}=v" for n in range(32)), ",".join(f"k{n}=v" for n in range(32))),
        (",".join(f"k{n}=v" for n in range(33)), None),
        ("rojo=" + "v" * 256, "rojo=" + "v" * 256),
        ("rojo=" + "v" * 257, None),
        ("a=1," + "b=" + "v" * 510, None),
        ("rojo=1,rojo=2", None),
        ("Rojo=1", None),
        ("rojo=1=2", None),
        ("rojo=", None),
        ("rojo", None),
        ("rojo=\x1b[31m", None),
        ("rojo=1\r\nSet-Cookie: a=b", None),
        ("rojo=ä", None),
        (" , ,", None),
        ("", None),
        (None, None),
    ],
)
def test_tracestate_is_passed_on_whole_or_not_at_all(value: str | None, passed: str | None) -> None:
    """https://www.w3.org/TR/trace-context/#tracestate-header; it is all or nothing."""
    assert parse_tracestate(value) == passed


@settings(max_examples=50)
@given(st.text(max_size=600) | st.from_regex(r"([a-z0-9_*/@-]{1,9}=[ -~]{0,9},?){0,40}", fullmatch=True))
def test_no_tracestate_is_too_strange(value: str) -> None:
    passed = parse_tracestate(value)
    if passed is not None:
        assert re.fullmatch(r"[ -~]{3,512}", passed)
        assert parse_tracestate(passed) == passed


def test_a_credential_never_goes_along() -> None:
    token = jwt()
    told, _ = asked(authorization=f"Bearer {token}", traceparent=PARENT)
    assert not leaked(token, repr(told))
    assert {*told} == {"X-Request-ID", "traceparent"}
