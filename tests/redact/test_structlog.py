"""structlog: wherever a Redactor stands, and whatever logger is at the end, no token is written."""
# ruff: noqa: G004, LOG014, TRY400 - log calls as people write them

from __future__ import annotations

import asyncio
import copy
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from structlog.dev import ConsoleRenderer, RichTracebackFormatter
from structlog.processors import (
    ExceptionRenderer,
    JSONRenderer,
    KeyValueRenderer,
    LogfmtRenderer,
    StackInfoRenderer,
    dict_tracebacks,
    format_exc_info,
)
from structlog.stdlib import BoundLogger, ExtraAdder, PositionalArgumentsFormatter, ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer

from bearerwatch import _guard, install_logging
from bearerwatch.fingerprint import ring
from bearerwatch.redact.logging import PLACEHOLDER
from bearerwatch.redact.structlog import Redactor
from fakes import jwt, leaked, opaque
from logged import Said, Shown, Stderr


@pytest.fixture(autouse=True)
def own_configuration() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def printing(*processors: Any) -> tuple[Any, Said]:
    """A logger that prints what the last of *processors* makes."""
    said = Said()
    return structlog.wrap_logger(structlog.PrintLogger(said), processors=list(processors)), said


def fail(token: str) -> None:
    raise ValueError(f"bad {token}")


CALLS: dict[str, Callable[[Any, str], None]] = {
    "event": lambda log, t: log.info(f"got {t}"),
    "value": lambda log, t: log.info("got", auth=t),
    "header": lambda log, t: log.info("got", headers={"Authorization": f"Bearer {t}"}),
    "nested": lambda log, t: log.info("got", a=[1, {"b": ({"c": t},)}]),
    "bytes": lambda log, t: log.info("got", auth=t.encode()),
    "key": lambda log, t: log.info("got", **{t: 1}),
    "object": lambda log, t: log.info("got", auth=Shown(t)),
    "bound": lambda log, t: log.bind(auth=t).info("got"),
    "positional": lambda log, t: log.info("got %s, %d", t, 7),
    "exception": lambda log, t: log.info("got", exc_info=ValueError(t)),
    "stack": lambda log, t: log.info("got", stack_info=True, about=t),
}
RENDERERS: dict[str, Callable[[], Any]] = {
    "json": JSONRenderer,
    "key-value": lambda: KeyValueRenderer(key_order=["event"]),
    "logfmt": LogfmtRenderer,
    "console": lambda: ConsoleRenderer(colors=True),
    "plain": lambda: ConsoleRenderer(colors=False),
}


NOT_FOR_LOGFMT = ("key", "header", "nested", "bytes")


@pytest.mark.parametrize(
    ("call", "renderer"),
    [(call, name) for call in CALLS for name in RENDERERS if name != "logfmt" or call not in NOT_FOR_LOGFMT],
)
def test_no_call_leaks_from_a_renderer_in_a_redactor(token: str, call: str, renderer: str) -> None:
    log, said = printing(
        PositionalArgumentsFormatter(), StackInfoRenderer(), format_exc_info, Redactor(RENDERERS[renderer]())
    )
    CALLS[call](log, token)
    assert "[token " in str(said)
    assert "got" in str(said)
    assert PLACEHOLDER not in str(said)
    assert not leaked(token, str(said))
    if call == "positional":
        assert ", 7" in str(said)


@pytest.mark.parametrize("call", [call for call in CALLS if call != "object"])
def test_no_call_leaks_after_a_redactor_as_a_processor(token: str, call: str) -> None:
    log, said = printing(
        PositionalArgumentsFormatter(), StackInfoRenderer(), Redactor(), format_exc_info, JSONRenderer(default=str)
    )
    CALLS[call](log, token)
    assert "[token " in str(said)
    json.loads(str(said))
    assert not leaked(token, str(said))


def test_a_jwt_that_is_not_in_flight(token: str) -> None:
    other = jwt()
    log, said = printing(Redactor(JSONRenderer()))
    log.info("got", auth=other, n=3)
    assert json.loads(str(said)) == {"auth": f"[token {ring().token_id(other)}]", "n": 3, "event": "got"}


def test_a_value_is_read_together_with_its_key() -> None:
    log, said = printing(Redactor(), KeyValueRenderer())
    log.info("login", password="hunter2hunter2", note="hunter2hunter2")
    assert str(said) == "password='[password]' note='hunter2hunter2' event='login'\n"


def test_a_clean_event_is_passed_on_as_it_is() -> None:
    event = {"event": "x", "a": [1]}
    assert Redactor()(None, "info", event) is event


def test_what_the_caller_handed_in_is_never_changed(token: str) -> None:
    inner = {"list": [token], "token": token}
    error = ValueError(token, inner)
    before = copy.deepcopy(inner)
    log, said = printing(Redactor(ConsoleRenderer()))
    bound = log.bind(inner=inner)
    bound.info("got", again=inner, exc_info=error)
    assert inner == before
    assert error.args == (token, before)
    assert structlog.get_context(bound) == {"inner": before}
    assert not leaked(token, str(said))


# -- exceptions ----------------------------------------------------------------------------------------

WITH_LOCALS: dict[str, list[Any]] = {
    "rich": [
        Redactor(
            ConsoleRenderer(exception_formatter=RichTracebackFormatter(show_locals=True, width=60, color_system=None))
        )
    ],
    "rich-coloured": [
        Redactor(ConsoleRenderer(exception_formatter=RichTracebackFormatter(show_locals=True, width=44)))
    ],
    "dict": [ExceptionRenderer(ExceptionDictTransformer(show_locals=True)), Redactor(JSONRenderer(default=repr))],
}


def quiet(text: str) -> None:
    """Raises with nothing to hide in the message, and something in a variable."""
    held = {"header": text}
    raise LookupError(f"no such thing among {len(held)}")


@pytest.mark.parametrize("how", WITH_LOCALS)
@pytest.mark.parametrize("kind", ["live", "jwt"])
def test_variables_that_a_traceback_shows(token: str, how: str, kind: str) -> None:
    """Rich draws them in boxes, in colours, and cuts off what is too long."""
    text = token if kind == "live" else jwt()
    log, said = printing(*WITH_LOCALS[how])
    try:
        quiet(text)
    except LookupError:
        log.exception("failed")
    assert "LookupError" in str(said)
    assert "no such thing among" in str(said)
    assert not leaked(text, str(said), str(said).replace("\n", ""))


def test_an_exception_with_nothing_to_hide_stays_one(token: str) -> None:
    log, said = printing(Redactor(), dict_tracebacks, JSONRenderer())
    try:
        fail("luck")
    except ValueError as error:
        log.exception("failed", auth=token)
        log.error("failed", exc_info=error)
        log.error("failed", exc_info=(type(error), error, error.__traceback__))
    for line in str(said).splitlines():
        assert json.loads(line)["exception"][0]["exc_value"] == "bad luck"


@pytest.mark.parametrize("given", [True, "error", "tuple"])
def test_an_exception_that_quotes_a_token(token: str, given: Any) -> None:
    log, said = printing(Redactor(), dict_tracebacks, JSONRenderer())
    try:
        fail(token)
    except ValueError as error:
        shapes = {"error": error, "tuple": (type(error), error, error.__traceback__)}
        log.error("failed", exc_info=shapes.get(given, given))
    got = json.loads(str(said))
    assert got["exception"].endswith(f"ValueError: bad [token {ring().token_id(token)}]")
    assert "exc_info" not in got


def test_exc_info_without_an_exception() -> None:
    log, said = printing(Redactor(), format_exc_info, JSONRenderer())
    log.info("fine", exc_info=True)
    log.info("fine", exc_info=False)
    assert [json.loads(line)["event"] for line in str(said).splitlines()] == ["fine", "fine"]


# -- the loggers at the end ----------------------------------------------------------------------------


def test_a_logger_of_bytes(token: str) -> None:
    out = io.BytesIO()

    def dumps(event: Any, **_: Any) -> bytes:
        return json.dumps(event, ensure_ascii=False).encode()

    def renderer(logger: Any, name: str, event: Any) -> bytes:
        return dumps(event)

    log = structlog.wrap_logger(structlog.BytesLogger(out), processors=[Redactor(renderer)])
    log.info(f"grüße {token}", auth=token)
    assert "grüße [token " in out.getvalue().decode()
    assert not leaked(token, out.getvalue())
    assert (
        Redactor(lambda *_: bytearray(token, "ascii"))(None, "info", {}) == f"[token {ring().token_id(token)}]".encode()
    )


@pytest.fixture
def stdlib() -> Iterator[tuple[logging.Logger, Said]]:
    """A logger of the standard library, through which structlog writes, whose lines are kept."""
    log = logging.getLogger("redaction.structlog")
    said = Said()
    handler = logging.StreamHandler(said)
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.DEBUG)
    yield log, said
    log.removeHandler(handler)
    log.propagate = True


def bound(log: logging.Logger, *processors: Any, wrapper: Any = BoundLogger) -> Any:
    return structlog.wrap_logger(log, processors=list(processors), wrapper_class=wrapper)


@pytest.mark.parametrize(("redactor", "installed"), [(True, True), (True, False), (False, True)])
def test_through_a_formatter_of_processors(
    stdlib: tuple[logging.Logger, Said], stderr: Stderr, token: str, redactor: bool, installed: bool
) -> None:
    """With a Redactor, or log redaction, or both; and what others log is formatted by it as well."""
    log, said = stdlib
    mine = [Redactor()] if redactor else []
    renderer = JSONRenderer(default=repr)
    log.handlers[0].setFormatter(
        ProcessorFormatter(
            processors=[
                ProcessorFormatter.remove_processors_meta,
                format_exc_info,
                Redactor(renderer) if redactor else renderer,
            ],
            foreign_pre_chain=[ExtraAdder(), *mine],
        )
    )
    if installed:
        install_logging()
    own = bound(log, *mine, ProcessorFormatter.wrap_for_formatter)
    own.info("got", auth=token, a=[{"token": token}], shown=Shown(token), n=3)
    try:
        fail(token)
    except ValueError:
        own.exception("failed")
        log.exception("foreign %d %s", 7, token, extra={"auth": token})
    assert stderr.getvalue() == ""
    lines = [json.loads(line) for line in str(said).splitlines()]
    mark = f"[token {ring().token_id(token)}]"
    assert (lines[0]["auth"], lines[0]["n"]) == (mark, 3)
    assert lines[1]["event"] == "failed"
    assert lines[1]["exception"].endswith(f"ValueError: bad {mark}")
    assert lines[2]["event"] == f"foreign 7 {mark}"
    assert lines[2]["auth"] == mark
    if redactor:
        assert lines[2]["exception"].endswith(f"ValueError: bad {mark}")
    assert not leaked(token, str(said))


def test_as_arguments_of_the_standard_library(stdlib: tuple[logging.Logger, Said], token: str) -> None:
    log, said = stdlib
    log.handlers[0].setFormatter(logging.Formatter("%(message)s %(auth)s"))
    bound(log, Redactor(structlog.stdlib.render_to_log_kwargs)).info("got", auth={"x": token})
    assert str(said) == f"got {{'x': '[token {ring().token_id(token)}]'}}\n"


async def by_native(log: Any, token: str) -> None:
    await log.ainfo("got %s", token, auth=[token])
    try:
        fail(token)
    except ValueError:
        await log.aexception("failed")


@pytest.mark.parametrize("filtering", [True, False])
def test_asynchronous_loggers(stdlib: tuple[logging.Logger, Said], token: str, filtering: bool) -> None:
    log, said = stdlib
    wrapper = structlog.make_filtering_bound_logger(logging.INFO) if filtering else BoundLogger
    processors = [PositionalArgumentsFormatter(), Redactor(), format_exc_info, Redactor(JSONRenderer())]
    asyncio.run(by_native(bound(log, *processors, wrapper=wrapper), token))
    got = [json.loads(line) for line in str(said).splitlines() if line.startswith("{")]
    assert "[token " in got[0]["event"]
    assert "ValueError: bad [token " in got[1]["exception"]
    assert not leaked(token, str(said))


def test_configured_once_for_the_whole_process(capsys: pytest.CaptureFixture[str], token: str) -> None:
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, Redactor(JSONRenderer())])
    with structlog.contextvars.bound_contextvars(auth=token):
        structlog.get_logger().info("got")
    out = capsys.readouterr().out
    assert "[token " in out
    assert not leaked(token, out)


# -- the chain goes on ---------------------------------------------------------------------------------


def test_an_event_that_is_dropped_stays_dropped() -> None:
    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    log, said = printing(Redactor(drop))
    log.info("x")
    assert str(said) == ""


@pytest.mark.usefixtures("swallowing")
def test_it_fails_closed_and_never_raises(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the engine is broken")

    monkeypatch.setattr("bearerwatch.redact.structlog.redact_value", broken)
    log, said = printing(Redactor(JSONRenderer()))
    log.info("got", auth=token)
    assert json.loads(str(said)) == {"event": PLACEHOLDER}
    monkeypatch.setattr("bearerwatch.redact.structlog.redact_text", broken)
    log.info("got", auth=token)
    assert str(said).splitlines()[1] == PLACEHOLDER
    assert Redactor(lambda *_: token.encode())(None, "info", {}) == PLACEHOLDER.encode()
    assert sum(_guard.counts().values()) == 5


def test_redacting_twice_changes_nothing(token: str) -> None:
    once = Redactor()(None, "info", {"event": f"got {token}", "token": opaque() + "1"})
    assert Redactor()(None, "info", once) is once
