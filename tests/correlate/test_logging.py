"""logging: every line of a request has its ids, for every handler and format, whoever writes it and wherever."""
# ruff: noqa: G004 - log calls as people write them

from __future__ import annotations

import asyncio
import contextvars
import io
import json
import logging
import logging.config
import logging.handlers
import pickle
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch import _guard, install_logging, uninstall_logging
from bearerwatch.correlate import LOG_IDS
from bearerwatch.correlate.logging import JsonFormatter
from bearerwatch.errors import ConfigurationError
from bearerwatch.redact.logging import PLACEHOLDER
from fakes import jwt, leaked, opaque
from logged import Keeper, Said, Shown

NAMED = " ".join(f"%({name})s" for name in LOG_IDS)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Serving = Callable[..., Any]


def writing(log: logging.Logger, form: str | logging.Formatter = NAMED, kind: type = logging.StreamHandler) -> Said:
    """What *log* writes from now on."""
    said = Said()
    handler = kind(said)
    handler.setFormatter(logging.Formatter(form) if isinstance(form, str) else form)
    log.addHandler(handler)
    return said


def fail(text: str) -> None:
    raise LookupError(text)


def test_a_line_of_a_request_has_all_its_ids(log: logging.Logger, serving: Serving) -> None:
    install_logging()
    said = writing(log)
    with serving(traceparent=f"00-{TRACE}-{SPAN}-01") as exchange:
        log.info("served")
        context = exchange.context
    request_id, trace_id, span_id, parent, token_id, task_id = str(said).split()
    assert (request_id, token_id) == (context.request_id, context.token_id)
    assert token_id is not None
    assert (trace_id, span_id, parent) == (TRACE, context.span_id, SPAN)
    assert span_id != SPAN
    assert task_id == "-"


def test_the_event_and_the_lines_are_of_one_trace(log: logging.Logger, serving: Serving) -> None:
    """Where none came in the first line begins one."""
    install_logging()
    said = writing(log, "%(trace_id)s %(span_id)s")
    with serving() as exchange:
        log.info("one")
        log.info("two")
        watch = exchange._watch
    event = watch._sends[0].__self__.events[-1]  # type: ignore[attr-defined]
    assert str(said).splitlines() == [f"{event.trace_id} {event.span_id}"] * 2
    assert (len(event.trace_id or ""), len(event.span_id or "")) == (32, 16)


def test_outside_of_a_request_the_same_format_works(log: logging.Logger, serving: Serving) -> None:
    install_logging()
    said = writing(log)
    log.info("before")
    with serving():
        pass
    log.info("after")
    assert str(said) == "- - - - - -\n" * 2


class Overriding(logging.StreamHandler[Any]):
    """A handler that replaces both doors."""

    def handle(self, record: logging.LogRecord) -> Any:
        return super().handle(record)

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record)


@pytest.mark.parametrize("kind", [logging.StreamHandler, Overriding])
@pytest.mark.parametrize("when", ["before", "after"])
def test_every_handler_has_them_whenever_it_was_added(
    log: logging.Logger, serving: Serving, kind: type, when: str
) -> None:
    if when == "after":
        install_logging()
    said = writing(log, "%(request_id)s", kind)
    install_logging()
    with serving() as exchange:
        log.info("served")
        logging.getLogger("tests.correlate.below").warning("also")
    assert str(said).splitlines() == [exchange.request_id] * 2


def test_several_handlers_say_the_same(log: logging.Logger, serving: Serving) -> None:
    install_logging()
    first, second, third = writing(log), writing(log, "%(request_id)s %(message)s %(asctime)s"), Keeper()
    log.addHandler(third)
    with serving() as exchange:
        log.info("got %s", f"Bearer {opaque()}", extra={"order": 7})
    assert str(first).split()[0] == str(second).split()[0] == exchange.request_id
    record = third.records[0]
    assert (record.request_id, record.order) == (exchange.request_id, 7)  # type: ignore[attr-defined]


def test_what_is_extra_is_redacted_for_every_handler(log: logging.Logger, serving: Serving) -> None:
    """Also for the second, which is given a record that has its ids already, and for one that only writes."""
    install_logging()
    keepers = [Keeper(), Keeper(), Keeper()]
    for keeper in keepers:
        log.addHandler(keeper)
    said = writing(log, "%(message)s %(auth)s")
    token = opaque()
    with serving(authorization=f"Bearer {token}"):
        log.info("got", extra={"auth": token})
        log.info("got", extra={"auth": token, "request_id": "of-the-caller"})
    assert not leaked(token, str(said), *(repr(record.__dict__) for keeper in keepers for record in keeper.records))
    assert all("token " in record.auth for keeper in keepers for record in keeper.records)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", LOG_IDS)
def test_what_the_caller_says_by_such_a_name_stands(log: logging.Logger, serving: Serving, name: str) -> None:
    install_logging()
    said = writing(log, f"%({name})s %(request_id)s")
    with serving() as exchange:
        log.info("mine", extra={name: "of-the-caller"})
        log.info("ours")
    first, second = str(said).splitlines()
    assert first.split()[0] == "of-the-caller"
    assert second.split()[1] == exchange.request_id
    assert name == "request_id" or first.split()[1] == exchange.request_id


@pytest.mark.parametrize("name", LOG_IDS)
def test_a_token_by_such_a_name_is_redacted_all_the_same(log: logging.Logger, serving: Serving, name: str) -> None:
    install_logging()
    said, keeper = writing(log, f"%({name})s"), Keeper()
    log.addHandler(keeper)
    token, other = opaque(), jwt()
    with serving(authorization=f"Bearer {token}"):
        log.info("mine", extra={name: token})
        log.info("mine", extra={name: other})
        log.info("mine", extra={name: Shown(token)})
        log.info("mine", extra={name: {"nested": [token]}})
    assert not leaked(token, str(said), *(repr(record.__dict__) for record in keeper.records[:2]))
    assert not leaked(other, str(said), *(repr(record.__dict__) for record in keeper.records))


def test_a_filter_or_a_factory_that_has_named_the_request_stands(log: logging.Logger, serving: Serving) -> None:
    install_logging()
    said = writing(log, "%(request_id)s")

    def name(record: logging.LogRecord) -> bool:
        record.request_id = "of-a-filter"
        return True

    log.addFilter(name)
    with serving():
        log.info("served")
    assert str(said) == "of-a-filter\n"


def test_a_listener_writes_the_ids_of_the_request_that_logged(log: logging.Logger, serving: Serving) -> None:
    install_logging()
    waiting: queue.Queue[Any] = queue.Queue()
    log.addHandler(logging.handlers.QueueHandler(waiting))
    said = Said()
    handler = logging.StreamHandler(said)
    handler.setFormatter(logging.Formatter("%(request_id)s %(token_id)s %(message)s"))
    with serving() as first:
        log.info("first")
    log.info("outside")
    with serving() as second:
        listener = logging.handlers.QueueListener(waiting, handler)
        listener.start()  # amid another request, and in a thread of its own
        listener.stop()
    assert str(said).splitlines() == [f"{first.request_id} {first.context.token_id} first", "- - outside"]
    assert first.request_id != second.request_id


def test_a_memory_handler_and_a_pickled_record_keep_them(log: logging.Logger, serving: Serving) -> None:
    install_logging()
    keeper = Keeper()
    memory = logging.handlers.MemoryHandler(10, target=keeper)
    log.addHandler(memory)
    with serving() as exchange:
        log.info("kept")
    memory.flush()
    carried = logging.makeLogRecord(pickle.loads(pickle.dumps(keeper.records[0].__dict__)))
    assert carried.request_id == exchange.request_id  # type: ignore[attr-defined]
    memory.setTarget(None)


def test_threads_that_are_given_the_context_and_tasks_have_them(log: logging.Logger, serving: Serving) -> None:
    install_logging()
    said = writing(log, "%(request_id)s %(trace_id)s")
    with serving() as exchange:
        bare = threading.Thread(target=log.info, args=("in a thread",))
        context = contextvars.copy_context()
        given = threading.Thread(target=context.run, args=(log.info, "in a thread"))
        for thread in (bare, given):
            thread.start()
            thread.join()

        async def tasks() -> None:
            await asyncio.gather(asyncio.to_thread(log.info, "elsewhere"), asyncio.create_task(one()))

        async def one() -> None:
            log.info("in a task")

        asyncio.run(tasks())
        named = f"{exchange.request_id} {exchange.context.trace_id}"
    assert str(said).splitlines() == ["- -", named, named, named]


def test_requests_side_by_side_keep_theirs_apart(log: logging.Logger, serving: Serving) -> None:
    install_logging()
    said = writing(log, "%(request_id)s %(message)s")

    async def one() -> None:
        with serving() as exchange:
            for _ in range(5):
                log.info(exchange.request_id)
                await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(20)))

    asyncio.run(all_of_them())
    pairs = [line.split() for line in str(said).splitlines()]
    assert len(pairs) == 100
    assert all(named == meant for named, meant in pairs)
    assert len({named for named, _ in pairs}) == 20


def test_a_record_that_cannot_be_redacted_still_has_them(
    log: logging.Logger, serving: Serving, swallowing: None
) -> None:
    install_logging()
    said = writing(log, "%(request_id)s %(msg)s")

    class Unshowable:
        def __str__(self) -> str:
            raise RuntimeError

    with serving() as exchange:
        log.info(Unshowable())
    assert str(said) == f"{exchange.request_id} {PLACEHOLDER}\n"
    assert _guard.counts()["redaction of a log record"]


def test_an_extra_that_cannot_be_compared_is_no_harm(log: logging.Logger, serving: Serving, swallowing: None) -> None:
    class Incomparable:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    install_logging()
    said = writing(log, "%(message)s")
    with serving():
        log.info("served", extra={"request_id": Incomparable()})
    assert "served" in str(said) or PLACEHOLDER in str(said)


def test_without_ids_nothing_is_put_on_a_record(log: logging.Logger, serving: Serving) -> None:
    install_logging(log_ids=False)
    keeper = Keeper()
    log.addHandler(keeper)
    with serving():
        log.info("served")
    assert not {*LOG_IDS} & {*keeper.records[0].__dict__}


def test_ids_without_redaction(log: logging.Logger, serving: Serving) -> None:
    install_logging(redact=False)
    said = writing(log, "%(request_id)s %(message)s")
    token = jwt()
    with serving(authorization=f"Bearer {token}") as exchange:
        log.info(token)
    assert str(said) == f"{exchange.request_id} {token}\n"


@pytest.mark.parametrize(
    ("said", "then", "named"),
    [
        (None, None, True),
        ("false", None, False),
        ("false", True, True),
        ("append", None, "append"),
        (None, "append", "append"),
        (None, False, False),
    ],
)
def test_what_is_said_last_counts(
    monkeypatch: pytest.MonkeyPatch, log: logging.Logger, serving: Serving, said: str | None, then: Any, named: Any
) -> None:
    if said is not None:
        monkeypatch.setenv("BEARERWATCH_LOG_IDS", said)
    install_logging()
    if then is not None:
        install_logging(log_ids=then)
    install_logging()
    keeper, written = Keeper(), writing(log, "%(message)s")
    log.addHandler(keeper)
    with serving() as exchange:
        log.info("served")
    assert hasattr(keeper.records[0], "request_id") is bool(named)
    assert (f"request_id={exchange.request_id}" in str(written)) is (named == "append")


def test_nonsense_about_ids_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARERWATCH_LOG_IDS", "perhaps")
    with pytest.raises(ConfigurationError, match=r"BEARERWATCH_LOG_IDS.*append"):
        install_logging()
    uninstall_logging()


def test_a_filter_in_a_configuration_does_without_anything_installed(
    log: logging.Logger, serving: Serving, tmp_path: Path
) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"ids": {"()": "bearerwatch.correlate.logging.AddIds"}},
            "formatters": {"named": {"format": "%(request_id)s %(message)s"}},
            "handlers": {
                "file": {
                    "class": "logging.FileHandler",
                    "filename": tmp_path / "app.log",
                    "filters": ["ids"],
                    "formatter": "named",
                }
            },
            "loggers": {log.name: {"handlers": ["file"], "level": "INFO", "propagate": False}},
        }
    )
    log.info("before")
    with serving() as exchange:
        log.info("amid")
    assert (tmp_path / "app.log").read_text().splitlines() == ["- before", f"{exchange.request_id} amid"]


class TestAppended:
    """Ids behind lines whose format nobody has touched."""

    def test_they_stand_at_the_end_of_the_first_line(self, log: logging.Logger, serving: Serving) -> None:
        install_logging(log_ids="append")
        said = writing(log, "%(levelname)s %(message)s")
        with serving(traceparent=f"00-{TRACE}-{SPAN}-01") as exchange:
            log.info("served")
            try:
                fail("no such order")
            except LookupError:
                log.exception("failed")
            context = exchange.context
        log.info("outside")
        ids = (
            f"request_id={context.request_id} trace_id={TRACE} span_id={context.span_id} "
            f"parent_request_id={SPAN} token_id={context.token_id}"
        )
        lines = str(said).splitlines()
        assert lines[:3] == [f"INFO served {ids}", f"ERROR failed {ids}", "Traceback (most recent call last):"]
        assert lines[-2:] == ["LookupError: no such order", "INFO outside"]

    def test_a_line_that_names_the_request_or_is_json_is_left_alone(
        self, log: logging.Logger, serving: Serving
    ) -> None:
        install_logging(log_ids="append")
        named, as_json = writing(log, "%(request_id)s %(message)s"), writing(log, '{"said": "%(message)s"}')
        with serving() as exchange:
            log.info("served")
        assert str(named) == f"{exchange.request_id} served\n"
        assert str(as_json) == '{"said": "served"}\n'

    def test_a_handler_with_a_format_of_its_own_has_them_too(self, log: logging.Logger, serving: Serving) -> None:
        said = writing(log, "%(message)s", Overriding)
        install_logging(log_ids="append")
        with serving() as exchange:
            log.info("served")
        assert str(said).count(f"request_id={exchange.request_id}") == 1

    def test_a_token_beside_them_is_redacted_and_they_are_not(self, log: logging.Logger, serving: Serving) -> None:
        install_logging(log_ids="append")
        said = writing(log, "%(message)s")
        token = opaque()
        with serving(authorization=f"Bearer {token}") as exchange:
            log.info(f"got {token}", extra={"task_id": f"{token}\nforged"})
        assert not leaked(token, str(said))
        assert f"token_id={exchange.context.token_id}" in str(said)
        assert len(str(said).splitlines()) == 1

    def test_a_queue_is_handed_the_message_as_it_is(self, log: logging.Logger, serving: Serving) -> None:
        install_logging(log_ids="append")
        waiting: queue.Queue[Any] = queue.Queue()
        log.addHandler(logging.handlers.QueueHandler(waiting))
        said = Said()
        with serving() as exchange:
            log.info("served")
        record = waiting.get()
        assert record.getMessage() == "served"
        logging.StreamHandler(said).handle(record)
        assert str(said).startswith(f"served request_id={exchange.request_id} ")

    def test_a_token_called_an_id_is_redacted_also_where_a_handler_is_not_asked_to_handle(
        self, log: logging.Logger, serving: Serving
    ) -> None:
        install_logging(log_ids="append")
        said = writing(log, "%(message)s")
        token = opaque()
        with serving(authorization=f"Bearer {token}"):
            log.handlers[-1].emit(logging.makeLogRecord({"msg": "served", "request_id": token, "task_id": token}))
        assert "served request_id=[token " in str(said)
        assert not leaked(token, str(said))


def shown(log: logging.Logger, said: Said) -> list[dict[str, Any]]:
    return [json.loads(line) for line in str(said).splitlines()]


class TestJson:
    """One JSON object a line."""

    def test_what_a_line_holds(self, log: logging.Logger, serving: Serving) -> None:
        install_logging()
        said = writing(log, JsonFormatter(fields={"service": "shop"}))
        with serving() as exchange:
            log.info("order %d placed", 7, extra={"order": 7, "tags": ["a"], "when": datetime(2026, 1, 1, tzinfo=UTC)})
        log.info("outside")
        amid, outside = shown(log, said)
        context = exchange.context
        assert datetime.fromisoformat(amid.pop("timestamp")).tzinfo == UTC
        assert amid == {
            "level": "INFO",
            "logger": "tests.correlate",
            "message": "order 7 placed",
            "request_id": context.request_id,
            "trace_id": context.trace_id,
            "span_id": context.span_id,
            "token_id": context.token_id,
            "service": "shop",
            "order": 7,
            "tags": ["a"],
            "when": "2026-01-01T00:00:00Z",
        }
        assert {*outside} == {"timestamp", "level", "logger", "message", "service"}

    def test_it_needs_nothing_installed(self, log: logging.Logger, serving: Serving) -> None:
        said = writing(log, JsonFormatter())
        with serving() as exchange:
            log.info("served")
        assert shown(log, said)[0]["request_id"] == exchange.request_id

    def test_exceptions_stacks_and_tokens(self, log: logging.Logger, serving: Serving) -> None:
        install_logging()
        said = writing(log, JsonFormatter())
        token = jwt()
        with serving(authorization=f"Bearer {token}"):
            try:
                fail("plain")
            except LookupError:
                log.exception("failed", stack_info=True)
            try:
                fail(token)
            except LookupError:
                log.exception("failed", extra={"headers": {"Authorization": f"Bearer {token}"}})
        plain, quoting = shown(log, said)
        assert plain["exception"].endswith("LookupError: plain")
        assert "test_exceptions_stacks_and_tokens" in plain["stack"]
        assert quoting["exception"].startswith("Traceback")
        assert not leaked(token, str(said))

    def test_an_extra_by_a_name_that_is_taken_is_not_lost(self, log: logging.Logger) -> None:
        install_logging()
        said = writing(log, JsonFormatter())
        log.info("served", extra={"level": "mine", "logger": "mine", "timestamp": 0, "request_id": "of-the-caller"})
        line = shown(log, said)[0]
        assert (line["level"], line["extra_level"], line["extra_logger"]) == ("INFO", "mine", "mine")
        assert (line["extra_timestamp"], line["request_id"]) == (0, "of-the-caller")

    @settings(max_examples=50)
    @given(
        st.dictionaries(
            st.text(min_size=1, max_size=8).filter(lambda name: name not in logging.makeLogRecord({}).__dict__),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(object),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=4) | st.integers() | st.none(), inner, max_size=3)
                    | st.builds(set)
                ),
                max_leaves=6,
            ),
            max_size=4,
        ),
        st.text(),
    )
    def test_whatever_is_extra_there_is_a_line(self, extra: dict[str, Any], message: str) -> None:
        record = logging.makeLogRecord({"msg": message, **extra})
        line = JsonFormatter().format(record)
        assert "\n" not in line
        assert json.loads(line)["message"] == message

    def test_a_ring_and_half_a_surrogate(self, log: logging.Logger) -> None:
        ring: dict[str, Any] = {}
        ring["itself"] = ring
        lone = "\ud83d"

        class Unshowable:
            def __str__(self) -> str:
                raise RuntimeError

        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonFormatter())
        log.addHandler(handler)
        log.info(f"odd {lone}", extra={"ring": ring, "text": lone, "bad": Unshowable(), "key": {(1, 2): 3}})
        line = json.loads(stream.getvalue())
        assert line["message"] == "odd \\ud83d"
        assert line["bad"] == "<Unshowable>"

    def test_a_large_number_loses_no_line(self) -> None:
        extra = {"large": 1 << 40, "larger": 1 << 70, "odd": {(1, 2): 3}, "vast": 10**5000}
        line = json.loads(JsonFormatter().format(logging.makeLogRecord({"msg": "served", **extra})))
        assert (line["large"], line["larger"], line["vast"]) == (1 << 40, str(1 << 70), "<int>")

    def test_what_cannot_be_shown_alone_loses_no_line(self) -> None:
        class Unshowable:
            def __str__(self) -> str:
                raise RuntimeError

        line = JsonFormatter().format(logging.makeLogRecord({"msg": "served", "odd": Unshowable()}))
        assert json.loads(line)["odd"] == "<Unshowable>"
