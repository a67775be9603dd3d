"""Redaction at the sink: whatever way out a log record takes, a token does not get out with it."""
# ruff: noqa: G004, TRY301 - log calls as people write them, right and wrong

from __future__ import annotations

import copy
import io
import json
import logging
import logging.config
import logging.handlers
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch import _guard, install_logging, uninstall_logging
from bearerwatch.context import live
from bearerwatch.fingerprint import ring, use
from bearerwatch.redact.logging import PLACEHOLDER, culprits
from fakes import jwt, leaked, opaque
from logged import Keeper, Said, Shown, Stderr

# -- messages and arguments ----------------------------------------------------------------------------

CALLS: dict[str, Callable[[logging.Logger, str], None]] = {
    "message": lambda log, t: log.info(f"got {t}"),
    "one": lambda log, t: log.info("got %s", t),
    "repr": lambda log, t: log.info("got %r", t),
    "bytes": lambda log, t: log.info("got %s", t.encode()),
    "several": lambda log, t: log.info("%s %d %5.2f %s %x", "a", 3, 1.5, t, 255),
    "number-first": lambda log, t: log.info("%d of %s", 7, t),
    "dict": lambda log, t: log.info("got %s", {"token": t}),
    "dict-args": lambda log, t: log.info("%(who)s got %(what)s, %(n)d", {"who": "she", "what": t, "n": 3}),
    "list": lambda log, t: log.info("got %s", [1, (2, {"x": t})]),
    "object": lambda log, t: log.info("got %s", Shown(t)),
    "object-message": lambda log, t: log.info(Shown(t)),
    "dict-message": lambda log, t: log.info({"event": "login", "token": t, "n": 3}),
    "exception-message": lambda log, t: log.info(ValueError(f"bad {t}")),
    "percent": lambda log, t: log.info("100%% of %s", t),
    "template": lambda log, t: log.info(f"{t} %s", "x"),
    "width": lambda log, t: log.info("%-60s|", t),
    "precision": lambda log, t: log.info("%.29s", t),
    "star": lambda log, t: log.info("%*s", 60, t),
    "split": lambda log, t: log.info("%s%s", t[:15], t[15:]),
    "warning": lambda log, t: log.warning("got %s", t),
    "log": lambda log, t: log.log(35, "got %s", t),
    "name": lambda log, t: log.handle(log.makeRecord(f"of.{t}", 20, "f.py", 1, "child", (), None)),
    "stack": lambda log, t: log.info("here", stack_info=True, extra={"about": t}),
    "adapter": lambda log, t: logging.LoggerAdapter(log, {"token": t}).info("got %s", t),
}


@pytest.mark.parametrize("call", CALLS)
def test_no_call_leaks(logger: logging.Logger, said: Said, token: str, call: str) -> None:
    keeper = Keeper()
    logger.addHandler(keeper)
    CALLS[call](logger, token)
    if call != "precision":
        (record,) = keeper.records
        assert not leaked(token, str(said), record.getMessage())
        if call not in ("object", "object-message"):
            assert not leaked(token, repr(record.msg), repr(record.args))
    assert str(said).count("\n") >= 1
    assert PLACEHOLDER not in str(said)
    if call not in ("stack", "precision"):
        assert f"[token {ring().token_id(token)}]" in str(said)


def test_what_is_not_a_token_stays_as_it_was(logger: logging.Logger, said: Said, token: str) -> None:
    logger.info("%s %d %5.2f %s %x %r", "a", 3, 1.5, token, 255, None)
    logger.info("%(who)s got %(what)s, %(n)03d", {"who": "she", "what": token, "n": 3})
    mark = f"[token {ring().token_id(token)}]"
    assert str(said).splitlines() == [
        f"INFO redaction.under.test a 3  1.50 {mark} ff None",
        f"INFO redaction.under.test she got {mark}, 003",
    ]


def test_a_clean_record_is_passed_on_as_it_is(logger: logging.Logger, said: Said) -> None:
    keeper = Keeper()
    logger.addHandler(keeper)
    made = logger.makeRecord("x", 20, "f.py", 1, "a %s", ("b",), None)
    logger.handle(made)
    assert keeper.records == [made]
    assert culprits() == {}


def test_what_the_caller_handed_in_is_never_changed(logger: logging.Logger, said: Said, token: str) -> None:
    inner = [token, {"token": token}]
    extra = {"details": {"list": inner}, "plain": token}
    args = {"who": inner}
    error = ValueError(token, inner)
    before = copy.deepcopy((inner, extra, args))
    logger.info("%(who)s", args, extra=extra)
    try:
        raise error
    except ValueError:
        logger.exception("failed with %s", inner, extra=extra)
    assert (inner, extra, args) == before
    assert error.args == (token, inner)
    assert not leaked(token, str(said))


def test_a_record_that_another_keeps_is_not_changed(logger: logging.Logger, said: Said, token: str) -> None:
    kept: list[logging.LogRecord] = []
    logger.addFilter(lambda record: kept.append(record) or True)
    logger.info("got %s", token, extra={"x": token})
    logger.filters.clear()
    assert kept[0].args == (token,)
    assert kept[0].x == token
    assert not leaked(token, str(said))


# -- extra, exceptions and stacks ----------------------------------------------------------------------


class Json(logging.Formatter):
    """A formatter that writes everything a record has."""

    def format(self, record: logging.LogRecord) -> str:
        values = {key: value for key, value in record.__dict__.items() if key not in ("exc_info", "args", "msg")}
        return json.dumps(values | {"message": record.getMessage()}, default=str)


@pytest.mark.parametrize(
    "extra",
    [
        lambda t: {"auth": t},
        lambda t: {"auth": {"header": f"Bearer {t}"}},
        lambda t: {"auth": [t, (t,)]},
        lambda t: {"auth": t.encode()},
        lambda t: {"auth": Shown(t)},
        lambda t: {"auth": {t: t}},
        lambda t: {"auth": {t}},
    ],
)
def test_extra_fields_do_not_leak(logger: logging.Logger, said: Said, token: str, extra: Any) -> None:
    logger.handlers[0].setFormatter(Json())
    keeper = Keeper()
    logger.addHandler(keeper)
    logger.info("x", extra={**extra(token), "n": 5})
    assert not leaked(token, str(said))
    assert json.loads(str(said))["n"] == 5
    if not isinstance(extra(token)["auth"], Shown):  # a handler that looks for itself
        assert not leaked(token, repr(keeper.records[0].auth))


def test_an_extra_field_is_read_together_with_its_name(logger: logging.Logger, said: Said) -> None:
    logger.handlers[0].setFormatter(logging.Formatter("%(password)s %(note)s"))
    logger.info("x", extra={"password": "hunter2hunter2", "note": "hunter2hunter2"})
    assert str(said) == "[password] hunter2hunter2\n"


def chained(token: str) -> None:
    try:
        try:
            raise KeyError(token)
        except KeyError as error:
            raise ValueError(f"bad {token}") from error
    except ValueError as error:
        error.add_note(f"note {token}")
        raise RuntimeError("outer") from error


def test_a_traceback_does_not_leak(logger: logging.Logger, said: Said, token: str) -> None:
    try:
        chained(token)
    except RuntimeError:
        logger.exception("failed")
        logger.info("again", exc_info=True, stack_info=True)
    assert not leaked(token, str(said))
    assert str(said).count("[token ") == 6
    assert str(said).count("RuntimeError: outer") == 2
    assert str(said).count("Traceback (most recent call last)") == 6


def test_a_traceback_that_quotes_a_token_reaches_no_handler_raw(logger: logging.Logger, said: Said, token: str) -> None:
    """Some render ``exc_info`` by themselves."""
    keeper = Keeper()
    logger.addHandler(keeper)
    try:
        raise ValueError(token)
    except ValueError:
        logger.exception("failed")
    try:
        raise ValueError("nothing to hide")
    except ValueError:
        logger.exception("failed")
    assert keeper.records[0].exc_info is None
    assert not leaked(token, keeper.records[0].exc_text or "")
    assert keeper.records[1].exc_info is not None


def test_a_traceback_cached_by_an_earlier_handler_does_not_leak(logger: logging.Logger, token: str) -> None:
    """``Formatter.format`` keeps ``exc_text`` on the record."""
    early, late = Said(), Said()
    for stream in (early, late):
        logger.addHandler(logging.StreamHandler(stream))
    try:
        raise ValueError(token)
    except ValueError:
        record = logger.makeRecord("x", 40, "f.py", 1, "failed", (), sys.exc_info())
    logging.Formatter().format(record)
    assert token in (record.exc_text or "")
    install_logging()
    logger.handle(record)
    assert not leaked(token, str(early), str(late))


def test_a_stack_does_not_leak(logger: logging.Logger, said: Said, token: str) -> None:
    record = logger.makeRecord("x", 20, "f.py", 1, "here", (), None, sinfo=f"Stack:\n  login({token!r})")
    logger.handle(record)
    assert "Stack:\n  login('[token " in str(said)
    assert not leaked(token, str(said))


# -- when redaction itself fails -----------------------------------------------------------------------


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redaction that raises."""
    _guard.reraise(False)

    def fail(text: str) -> str:
        raise RuntimeError("the engine is broken")

    monkeypatch.setattr("bearerwatch.redact.logging.redact_text", fail)


@pytest.mark.usefixtures("broken")
def test_it_fails_closed_and_never_raises(logger: logging.Logger, said: Said, stderr: Stderr, token: str) -> None:
    logger.info("got %s", token, extra={"auth": token})
    try:
        raise ValueError(token)
    except ValueError:
        logger.exception("failed")
    shown = warnings.formatwarning(token, UserWarning, "f.py", 1)
    sys.excepthook(ValueError, ValueError(token), None)
    whole = str(said) + stderr.getvalue() + shown
    assert str(said) == f"{PLACEHOLDER}\n" * 2
    assert whole.count(PLACEHOLDER) == 4
    assert not leaked(token, whole)
    assert sum(_guard.counts().values()) >= 4


@pytest.mark.usefixtures("swallowing")
def test_without_a_usable_key_nothing_leaks(
    logger: logging.Logger, said: Said, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARERWATCH_KEYS", "short")
    use(None)
    logger.info("got %s", token)
    logger.info("nothing")
    assert str(said).splitlines() == [
        f"INFO redaction.under.test {PLACEHOLDER}",
        "INFO redaction.under.test nothing",
    ]


# -- coming and going ----------------------------------------------------------------------------------


def hooks() -> list[Any]:
    return [
        logging.Handler.handle,
        logging.Handler.format,
        logging.Handler.handleError,
        warnings.formatwarning,
        sys.excepthook,
        sys.unraisablehook,
        threading.excepthook,
        logging.Handler.__init__,
        traceback.TracebackException.print,
    ]


def test_installed_twice_is_installed_once_and_leaves_no_trace(logger: logging.Logger, token: str) -> None:
    before = hooks()
    install_logging()
    once = hooks()
    install_logging()
    assert hooks() == once
    assert all(a is not b for a, b in zip(before, once, strict=True))
    uninstall_logging()
    uninstall_logging()
    assert hooks() == before


def test_what_others_put_around_it_goes_on_working(logger: logging.Logger, token: str) -> None:
    """As sentry-sdk and others wrap ``Handler.handle``: no recursion, whoever comes and goes in which order."""
    said = Said()
    logger.addHandler(logging.StreamHandler(said))
    original = logging.Handler.handle
    install_logging()
    inner = logging.Handler.handle
    calls: list[int] = []

    def wrapped(self: logging.Handler, record: logging.LogRecord) -> Any:
        calls.append(1)
        return inner(self, record)

    logging.Handler.handle = wrapped  # type: ignore[method-assign]
    try:
        logger.warning("one %s", token)
        uninstall_logging()
        logger.warning("two %s", token)
        install_logging()
        logger.warning("three %s", token)
    finally:
        logging.Handler.handle = inner  # type: ignore[method-assign]
        uninstall_logging()
    mark = f"[token {ring().token_id(token)}]"
    assert str(said).splitlines() == [f"one {mark}", f"two {token}", f"three {mark}"]
    assert len(calls) == 3
    assert logging.Handler.handle is original


def test_who_tried_to_log_a_token_is_counted(logger: logging.Logger, said: Said, token: str) -> None:
    """Once a record, however many handlers there are."""
    for _ in range(2):
        logger.addHandler(logging.StreamHandler(Said()))
    for _ in range(3):
        logger.info("got %s", token)
    logger.info("nothing")
    ((name, file, line), times) = next(iter(culprits().items()))
    assert (name, times) == ("redaction.under.test", 3)
    assert file == __file__
    assert line > 0
    assert len(culprits()) == 1


# -- properties ----------------------------------------------------------------------------------------

SURROUNDINGS = st.text(st.characters(codec="utf-8"), max_size=30)
TEMPLATES = st.sampled_from(["%s", "%r", "%(k)s", "message", "extra", "exception", "nested", "bad-format"])


@given(SURROUNDINGS, SURROUNDINGS, TEMPLATES, st.sampled_from(["jwt", "live", "keyed"]))
def test_no_inserted_token_survives(before: str, after: str, template: str, kind: str) -> None:
    token = jwt() if kind == "jwt" else opaque(29) + "1"
    text = f"{before} access_token={token} {after}" if kind == "keyed" else f"{before}{token}{after}"
    ticket = live.add(token) if kind == "live" else None
    logger = logging.Logger("redaction.property")  # noqa: LOG001
    said = Said()
    handler = logging.StreamHandler(said)
    handler.setFormatter(Json())
    logger.addHandler(handler)
    install_logging()
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        if template == "%(k)s":
            logger.warning("got %(k)s", {"k": text})
        elif template == "message":
            logger.warning(text)
        elif template == "extra":
            logger.warning("x", extra={"field": {"a": [text]}})
        elif template == "exception":
            logger.warning("x", exc_info=ValueError(text))
        elif template == "nested":
            logger.warning("got %s", [{"a": (text,)}])
        elif template == "bad-format":
            logger.warning("%d", text)
        else:
            logger.warning(f"got {template}", text)
        said.write(sys.stderr.getvalue())
    finally:
        sys.stderr = stderr
        logger.removeHandler(handler)
        live.discard(ticket)
    assert not leaked(token, str(said))
    assert PLACEHOLDER not in str(said)
