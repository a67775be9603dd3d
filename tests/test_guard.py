"""The host boundary: counted, said once a minute, never raised, and never with the error's text."""

from __future__ import annotations

import io
import sys

import pytest

from bearerwatch import _guard


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "__stderr__", stream)
    return stream


@pytest.mark.usefixtures("swallowing")
def test_an_error_is_counted_and_said_once_a_minute(stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        _guard.swallowed("a sink", ValueError("what a client sent"))
    _guard.swallowed("reading a route", KeyError("x"))
    assert _guard.counts() == {"a sink": 3, "reading a route": 1}
    assert stderr.getvalue().splitlines() == [
        "bearerwatch: a sink failed with ValueError (1 so far); the request was not affected",
        "bearerwatch: reading a route failed with KeyError (1 so far); the request was not affected",
    ]
    later = _guard.time.monotonic() + 61
    monkeypatch.setattr(_guard.time, "monotonic", lambda: later)
    _guard.swallowed("a sink", ValueError("what a client sent"))
    assert "(4 so far)" in stderr.getvalue()
    assert "client sent" not in stderr.getvalue()


def test_in_tests_it_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        _guard.swallowed("a sink", ZeroDivisionError())
    assert _guard.counts() == {}


@pytest.mark.parametrize("closed", [True, False])
def test_a_process_without_stderr_is_no_error(monkeypatch: pytest.MonkeyPatch, closed: bool) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "__stderr__", stream if closed else None)
    _guard.say("nobody hears")
