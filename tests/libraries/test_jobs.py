"""What is read of a broker is of the form it should be or is not there; what holds a token is held, and let go of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.context import current, live, onward, valid_request_id
from bearerwatch.fingerprint import fingerprint
from bearerwatch.integrations.libraries import _jobs
from bearerwatch.redact import redact_text
from desk import Desk, facts
from fakes import jwt, opaque

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=200) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["request_id", "traceparent", "tracestate", "token_id", "subject", "credential", "tickets"])


def begun(what: object, task_id: object = "a-task") -> Any:
    _jobs.begin(what, task_id)
    context = current.get()
    _jobs.end()
    assert current.get() is None
    return context


@settings(max_examples=120)
@given(what=junk | st.dictionaries(names, junk | st.from_regex(r"[A-Za-z0-9._-]{8,128}", fullmatch=True)), task_id=junk)
def test_whatever_a_broker_holds_what_is_made_of_it_may_be_logged(what: object, task_id: object) -> None:
    context = begun(what, task_id)
    if context is None:
        return
    assert valid_request_id(context.request_id) == context.request_id
    assert context.credential is context.decision is context.noted is None
    for text in (context.request_id, context.task_id, context.token_id, context.trace_id, context.parent_request_id):
        assert text is None or (
            text.isprintable() and text.isascii() and len(text) <= 128 and redact_text(text) == text
        )


@settings(max_examples=40)
@given(arguments=junk)
def test_whatever_the_arguments_are_looking_at_them_changes_nothing(arguments: object) -> None:
    before = repr(arguments)
    _jobs.begin({"request_id": "of-a-form", "token_id": fingerprint(opaque())}, "a-task")
    _jobs.hold(arguments, {"more": arguments})
    assert live.values() == ()
    _jobs.end()
    assert repr(arguments) == before


def test_what_a_job_is_told_is_what_its_worker_makes_of_it() -> None:
    desk = Desk()
    exchange = desk.watch.open(facts(authorization=f"Bearer {opaque()}"))
    told = _jobs.told()
    exchange.finish(200)
    exchange.end()
    (event,) = desk.kept.events
    assert told is not None
    context = begun(told)
    assert (context.request_id, context.trace_id, context.parent_request_id) == (
        event.request_id, event.trace_id, event.span_id,
    )  # fmt: skip
    assert (context.token_id, context.task_id) == (event.token_id, "a-task")
    assert context.span_id is None  # the job's own, once it asks somebody for something


def test_the_flags_of_a_trace_and_what_others_want_to_know_of_it_go_on() -> None:
    desk = Desk(trusted_proxies="192.0.2.0/24")
    given = {"traceparent": f"00-{'4b' * 16}-{'0a' * 8}-00", "tracestate": "of=another,tracer=1"}
    exchange = desk.watch.open(facts(**given))
    told = _jobs.told()
    exchange.end()
    _jobs.begin(told, "a-task")
    heard = onward()
    _jobs.end()
    assert heard["traceparent"].split("-")[1::2] == ["4b" * 16, "00"]
    assert heard["tracestate"] == given["tracestate"]


@pytest.mark.parametrize("state", ["", "no member", "k=v,k=w", "x" * 600, 7, None])
def test_a_tracestate_of_another_form_goes_nowhere(state: object) -> None:
    parent = f"00-{'4b' * 16}-{'0a' * 8}-01"
    assert begun({"request_id": "of-a-form", "traceparent": parent, "tracestate": state}).tracestate is None
    assert begun({"request_id": "of-a-form", "tracestate": "k=v"}).tracestate is None  # without a trace it is of none


def test_outside_of_a_request_nothing_is_told() -> None:
    assert _jobs.told() is None


def test_a_request_without_a_token_tells_of_none() -> None:
    desk = Desk()
    exchange = desk.watch.open(facts())
    told = _jobs.told()
    exchange.end()
    assert told is not None
    assert set(told) == {"request_id", "traceparent"}
    assert begun(told).token_id is None


@pytest.mark.parametrize("task_id", ["a task\nwith a line of its own", "x" * 129, 7, None, ""])
def test_a_task_without_a_proper_id_has_none(task_id: object) -> None:
    assert begun({"request_id": "of-a-form"}, task_id).task_id is None


def test_a_token_for_an_id_is_none() -> None:
    token = jwt({"sub": "x"})
    assert begun({"request_id": token[:100]}) is None
    assert begun({"request_id": "of-a-form", "token_id": token}).token_id is None
    assert begun({"request_id": "of-a-form"}, token[:100]).task_id is None


@pytest.mark.parametrize("kind", [opaque, jwt])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda token: token,
        lambda token: f"Bearer {token}",
        lambda token: {"headers": [{"Authorization": f"Bearer {token}"}]},
        lambda token: (1, None, [token]),
    ],
)
def test_the_token_of_the_request_is_held_while_the_job_lasts(kind: Any, wrap: Any) -> None:
    token = kind()
    _jobs.begin({"request_id": "of-a-form", "token_id": fingerprint(token)}, "a-task")
    _jobs.hold([opaque(), wrap(token)], {"n": opaque()})
    assert live.values() == (token,)
    assert token not in redact_text(f"it was {token}, bare")
    _jobs.end()
    assert live.values() == ()


def test_nothing_is_held_for_ids_that_many_share() -> None:
    _jobs.begin({"request_id": "of-a-form", "token_id": "short:14"}, "a-task")
    _jobs.hold(["fourteen chars"])
    assert live.values() == ()
    _jobs.end()


def test_looking_is_bounded() -> None:
    token = opaque()
    deep: Any = token
    for _ in range(100_000):
        deep = [deep]
    wide = ["a word of some length"] * 1_000_000
    _jobs.begin({"request_id": "of-a-form", "token_id": fingerprint(token)}, "a-task")
    _jobs.hold(deep, wide, {"wide": wide})
    assert live.values() == ()
    _jobs.end()
    while isinstance(deep, list):  # what is so deep cannot be forgotten all at once
        deep = deep.pop()


def test_what_cannot_be_read_leaves_nothing_of_the_job_before() -> None:
    class Hostile(dict[str, str]):
        def get(self, *_: object) -> Any:
            raise ZeroDivisionError

    _jobs.begin({"request_id": "of-a-form"}, "a-task")
    with pytest.raises(ZeroDivisionError):
        _jobs.begin(Hostile(), "another")
    assert current.get() is None
