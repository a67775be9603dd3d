"""structlog: events of a request have its ids, whatever renders them, and foreign records those they were given."""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from structlog.processors import JSONRenderer, KeyValueRenderer
from structlog.stdlib import LoggerFactory, ProcessorFormatter

from bearerwatch import _guard, install_logging
from bearerwatch.correlate import LOG_IDS
from bearerwatch.correlate.structlog import AddIds
from bearerwatch.redact.structlog import Redactor
from fakes import leaked, opaque
from logged import Said

Serving = Callable[..., Any]


@pytest.fixture(autouse=True)
def own_configuration() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def printing(*processors: Any) -> tuple[Any, Said]:
    said = Said()
    return structlog.wrap_logger(structlog.PrintLogger(said), processors=list(processors)), said


def test_an_event_of_a_request_has_what_is_known(serving: Serving) -> None:
    log, said = printing(AddIds(), JSONRenderer())
    with serving() as exchange:
        log.info("served", order=7)
    log.info("outside")
    amid, outside = (json.loads(line) for line in str(said).splitlines())
    context = exchange.context
    assert amid == {
        "event": "served",
        "order": 7,
        "request_id": context.request_id,
        "trace_id": context.trace_id,
        "span_id": context.span_id,
        "token_id": context.token_id,
    }
    assert outside == {"event": "outside"}


def test_what_is_bound_by_such_a_name_stands(serving: Serving) -> None:
    log, said = printing(AddIds(), KeyValueRenderer(key_order=["request_id"]))
    with serving():
        log.bind(request_id="of-the-caller").info("served")
    assert str(said).startswith("request_id='of-the-caller'")


def test_beside_redaction(serving: Serving) -> None:
    log, said = printing(AddIds(), Redactor(JSONRenderer()))
    token = opaque()
    with serving(authorization=f"Bearer {token}") as exchange:
        log.info("got", auth=token)
    assert not leaked(token, str(said))
    assert json.loads(str(said))["token_id"] == exchange.context.token_id


class Passing(logging.handlers.QueueHandler):
    """A queue of records as they are: the standard library's makes text of structlog's dicts."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record


def test_lines_of_others_through_its_formatter_and_a_listener(log: logging.Logger, serving: Serving) -> None:
    """What a listener's thread formats amid another request has the ids of the request that logged it."""
    install_logging()
    waiting: queue.Queue[Any] = queue.Queue()
    log.addHandler(Passing(waiting))
    said = Said()
    handler = logging.StreamHandler(said)
    handler.setFormatter(ProcessorFormatter(processor=JSONRenderer(), foreign_pre_chain=[AddIds()]))
    structlog.configure(
        processors=[AddIds(), ProcessorFormatter.wrap_for_formatter],
        logger_factory=LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    with serving() as exchange:
        log.info("theirs")
        structlog.get_logger(log.name).info("structlog's", order=7)
    log.info("outside")
    with serving():
        while not waiting.empty():
            handler.handle(waiting.get())
    theirs, own, outside = (json.loads(line) for line in str(said).splitlines())
    assert theirs["request_id"] == own["request_id"] == exchange.request_id
    assert theirs["token_id"] == own["token_id"] == exchange.context.token_id
    assert not {*outside} & {*LOG_IDS}


def test_an_odd_event_is_passed_on(serving: Serving, swallowing: None) -> None:
    class Frozen(dict[str, Any]):
        def setdefault(self, *_: Any) -> Any:
            raise TypeError

    with serving():
        assert AddIds()(None, "info", Frozen(event="served")) == {"event": "served"}
    assert _guard.counts()["ids of a structlog event"] == 1
