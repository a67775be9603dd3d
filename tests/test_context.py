"""What is known about the request at hand, and the tokens in flight."""

from __future__ import annotations

import contextvars
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bearerwatch
from bearerwatch.context import (
    _MAX_LIVE,
    RequestContext,
    current,
    decide,
    live,
    parse_traceparent,
    valid_request_id,
)
from bearerwatch.event import Outcome

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_decision_goes_to_the_current_request_and_the_last_one_wins() -> None:
    def run() -> None:
        context = RequestContext("r-1")
        current.set(context)
        bearerwatch.decide("revoked", reason="unknown_token", subject="u", scopes="a b")
        decide(Outcome.SUCCESS)
        assert context.decision is not None
        assert (context.decision.outcome, context.decision.verified) == (Outcome.SUCCESS, True)
        assert context.decision.subject is None

    contextvars.copy_context().run(run)
    assert current.get() is None


@pytest.mark.parametrize(("outcome", "verified"), [("success", True), ("invalid", False), ("forbidden", False)])
def test_only_success_is_taken_as_verified_unless_said(outcome: str, verified: bool) -> None:
    def run() -> None:
        context = RequestContext("r-1")
        current.set(context)
        decide(outcome)
        assert context.decision is not None
        assert context.decision.verified is verified
        decide(outcome, verified=not verified)
        assert context.decision.verified is not verified

    contextvars.copy_context().run(run)


def test_outside_of_a_request_a_decision_is_nothing() -> None:
    decide("success")
    with pytest.raises(ValueError, match="sucess"):
        decide("sucess")


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ("0198c0de-0000-7000-8000-000000000001", True),
        ("A.b_c-12", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("x" * 7, False),
        ("", False),
        (None, False),
        ("abcdefgh\n", False),
        ("abcdefgh\r\nSet-Cookie: a=b", False),
        ("abcd efgh", False),
        ("\x1b[31mred-id", False),
        ("abcdefgh\x00", False),
        ("äbcdefghi", False),
        ("٣٣٣٣٣٣٣٣", False),
        ("<script>alert", False),
        ("x" * 10_000_000, False),
    ],
)
def test_only_a_harmless_request_id_is_taken(value: str | None, fine: bool) -> None:
    assert valid_request_id(value) == (value if fine else None)


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-ff", True),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-holds", True),
        (f"00-{TRACE}-{SPAN}-01-extra", False),
        (f"00-{TRACE}-{SPAN}-01-", False),
        (f"cc-{TRACE}-{SPAN}-01.extra", False),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}-1", False),
        (f"00-{TRACE}-{SPAN}-01\n", False),
        (f"0-{TRACE}-{SPAN}-01", False),
        (f"00-{TRACE}-{SPAN}", False),
        (f"cc-{TRACE}-{SPAN}-01-" + "x" * 300, False),
        ("", False),
        (None, False),
    ],
)
def test_traceparent_is_read_as_the_w3c_has_it(value: str | None, fine: bool) -> None:
    """https://www.w3.org/TR/trace-context/#traceparent-header; version 00 has these four fields and no more."""
    assert parse_traceparent(value) == ((TRACE, SPAN) if fine else (None, None))


@given(st.text(max_size=300) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"))
def test_no_traceparent_is_too_strange(value: str) -> None:
    trace, span = parse_traceparent(value)
    assert (trace is None) == (span is None)
    if trace is not None and span is not None:
        assert (len(trace), len(span)) == (32, 16)
        assert int(trace, 16)
        assert int(span, 16)


def test_a_credential_is_live_until_every_request_with_it_is_over() -> None:
    first, second = live.add("the same token"), live.add("the same token")
    live.discard(first)
    live.discard(first)
    assert live.values() == ("the same token",)
    live.discard(second)
    assert live.values() == ()


def test_requests_that_never_end_do_not_fill_the_memory() -> None:
    for number in range(_MAX_LIVE + 10):
        live.add(f"token number {number}")
    assert len(live.values()) == _MAX_LIVE
    assert f"token number {_MAX_LIVE + 9}" in live.values()


def test_threads_hold_and_let_go_while_others_look() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    wrong: list[BaseException] = []
    start = threading.Barrier(5)

    def serve(name: int) -> None:
        try:
            start.wait()
            for number in range(3000):
                ticket = live.add(f"{name} {number}")
                assert f"{name} {number}" in live.values()
                live.discard(ticket)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=serve, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    start.wait()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert not wrong
    assert live.values() == ()
