"""Events in tests of applications that are watched."""

from __future__ import annotations

import io
import logging
import threading

import flask
import pytest

import fakes
from bearerwatch.event import Kind, Outcome
from bearerwatch.flask import Bearerwatch
from bearerwatch.testing.events import capture_events, make_event


def app() -> flask.Flask:
    made = flask.Flask("shop")
    Bearerwatch(made)
    made.add_url_rule("/", view_func=lambda: "hello")
    return made


def test_events_are_caught_in_order_and_from_every_thread(spool_lines) -> None:
    client = app().test_client()
    with capture_events() as events:
        client.get("/")
        thread = threading.Thread(target=client.get, args=("/nowhere",))
        thread.start()
        thread.join()
    client.get("/")
    assert [event.status for event in events] == [200, 404]
    assert len(spool_lines()) == 3


def test_they_may_be_nested() -> None:
    client = app().test_client()
    with capture_events() as outer:
        with capture_events() as inner:
            client.get("/")
        client.get("/")
    assert (len(outer), len(inner)) == (2, 1)


def test_those_of_one_kind_are_caught_unless_told() -> None:
    made = app()
    logger = logging.Logger("shop")  # noqa: LOG001 - not one that somebody else's configuration disables
    logger.addHandler(logging.StreamHandler(io.StringIO()))

    @made.get("/leaky")
    def leaky() -> str:
        logger.warning("token=%s", fakes.jwt())
        return "hello"

    with capture_events() as usual, capture_events(Kind.LEAK) as leaks, capture_events(None) as every:
        made.test_client().get("/leaky")
    assert [event.kind for event in usual] == [Kind.AUTH]
    assert [event.kind for event in leaks] == [Kind.LEAK]
    assert [event.kind for event in every] == [Kind.LEAK, Kind.AUTH]
    assert every[0].request_id == every[1].request_id


def test_an_error_ends_the_catching() -> None:
    with pytest.raises(ZeroDivisionError), capture_events() as events:
        raise ZeroDivisionError
    app().test_client().get("/")
    assert events == []


def test_a_made_event_is_a_success_unless_told() -> None:
    assert make_event().outcome is Outcome.SUCCESS
    assert make_event(outcome=Outcome.ERROR, status=503).status == 503
    assert make_event().event_id != make_event().event_id
