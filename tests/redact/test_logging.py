"""Redaction at the sink: whatever way out a log record takes, a token does not get out with it."""
# ruff: noqa: G004, PLE1205, PLE1206, TRY301 - log calls as people write them, right and wrong

from __future__ import annotations

import copy
import io
import json
import logging
import logging.config
import logging.handlers
import pickle
import queue
import socket
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import gunicorn.config
import gunicorn.glogging
import pytest
import uvicorn.config
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch import _guard, install_logging, uninstall_logging
from bearerwatch.context import live
from bearerwatch.fingerprint import ring, use
from bearerwatch.redact.logging import PLACEHOLDER, culprits
from fakes import jwt, leaked, opaque

FORMAT = "%(levelname)s %(name)s %(message)s"


class Said(io.StringIO):
    """What a handler wrote."""

    def __str__(self) -> str:
        return self.getvalue()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger that pytest's handlers, which raise for a bad call, do not find."""
    made = logging.Logger("redaction.under.test", logging.DEBUG)  # noqa: LOG001
    yield made
    for handler in made.handlers:
        handler.close()


@pytest.fixture
def said(logger: logging.Logger) -> Said:
    stream = Said()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(handler)
    install_logging()
    return stream


@pytest.fixture
def token() -> Iterator[str]:
    """An opaque token that no pattern tells, in flight."""
    value = opaque(30)
    ticket = live.add(value)
    yield value
    live.discard(ticket)


class Stderr:
    """What was written to ``sys.stderr``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Stderr:
    return Stderr(capsys)


class Keeper(logging.Handler):
    """A handler that looks into the records for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Shown:
    """An object that shows a token only when it is shown."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __repr__(self) -> str:
        return f"<Shown {self.token}>"


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


# -- every way out -------------------------------------------------------------------------------------


def test_handlers_before_and_after_and_without_a_logger(logger: logging.Logger, token: str) -> None:
    streams = [Said(), Said(), Said()]
    logger.addHandler(logging.StreamHandler(streams[0]))
    install_logging()
    logger.addHandler(logging.StreamHandler(streams[1]))
    logger.warning("got %s", token)
    direct = logging.StreamHandler(streams[2])
    direct.handle(logging.makeLogRecord({"msg": "got %s", "args": (token,)}))
    assert all(str(stream).startswith("got [token ") for stream in streams)


def test_a_handler_class_written_later(logger: logging.Logger, token: str) -> None:
    install_logging()
    lines: list[str] = []

    class Own(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            lines.append(self.format(record))

    logger.addHandler(Own())
    logger.warning("got %s", token)
    assert not leaked(token, *lines)


def test_the_last_resort(stderr: Stderr, token: str, logger: logging.Logger) -> None:
    install_logging()
    logger.warning("got %s", token)
    assert stderr.getvalue() == f"got [token {ring().token_id(token)}]\n"


def test_a_queue_on_its_way_and_at_its_end(logger: logging.Logger, token: str) -> None:
    said = Said()
    pipe: queue.Queue[Any] = queue.Queue()
    on_the_way: list[Any] = []
    put = pipe.put_nowait
    pipe.put_nowait = lambda record: (on_the_way.append(record), put(record))  # type: ignore[method-assign]
    listener = logging.handlers.QueueListener(pipe, logging.StreamHandler(said))
    logger.addHandler(logging.handlers.QueueHandler(pipe))
    install_logging()
    listener.start()
    try:
        logger.warning("got %s", token, extra={"auth": token})
        try:
            raise ValueError(token)
        except ValueError:
            logger.exception("failed")
    finally:
        listener.stop()
    assert not leaked(token, str(said), *(repr(record.__dict__) for record in on_the_way if record))
    assert str(said).count("[token ") == 2


def test_a_socket_handler_pickles_no_token(logger: logging.Logger, token: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        handler = logging.handlers.SocketHandler("127.0.0.1", server.getsockname()[1])
        logger.addHandler(handler)
        install_logging()
        try:
            raise ValueError(token)
        except ValueError:
            logger.exception("failed with %s", token, extra={"auth": {"x": token}})
        peer, _ = server.accept()
        with peer:
            peer.settimeout(5)
            size = struct.unpack(">L", peer.recv(4))[0]
            data = b""
            while len(data) < size:
                data += peer.recv(size - len(data))
        handler.close()
    assert not leaked(token, repr(pickle.loads(data)))


@pytest.mark.parametrize("make", ["memory", "file", "rotating", "syslog"])
def test_the_handlers_of_the_standard_library(logger: logging.Logger, token: str, make: str, tmp_path: Any) -> None:
    said = Said()
    path = tmp_path / "app.log"
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(5)
    handlers: dict[str, Callable[[], logging.Handler]] = {
        "memory": lambda: logging.handlers.MemoryHandler(10, target=logging.StreamHandler(said)),
        "file": lambda: logging.FileHandler(path),
        "rotating": lambda: logging.handlers.RotatingFileHandler(path, maxBytes=10_000, backupCount=1),
        "syslog": lambda: logging.handlers.SysLogHandler(receiver.getsockname()),
    }
    handler = handlers[make]()
    logger.addHandler(handler)
    install_logging()
    logger.warning("got %s", token)
    got = receiver.recv(4096).decode() if make == "syslog" else ""
    handler.close()
    receiver.close()
    whole = got + str(said) + (path.read_text() if path.exists() else "")
    assert f"got [token {ring().token_id(token)}]" in whole
    assert not leaked(token, whole)


BAD_CALLS: dict[str, Callable[[logging.Logger, str], None]] = {
    "too-many": lambda log, t: log.info("got", t),
    "too-few": lambda log, t: log.info("%s %s %s", t, "x"),
    "number": lambda log, t: log.info("%d", t),
    "number-nested": lambda log, t: log.info("%d", {"a": [t]}, 5),
    "key": lambda log, t: log.info("%(b)s", {"a": t}),
    "in-template": lambda log, t: log.info(f"{t} %d", "x"),
    "object": lambda log, t: log.info("%d", Shown(t)),
    "bytes": lambda log, t: log.info("%d", t.encode()),
}


@pytest.mark.parametrize("call", BAD_CALLS)
def test_a_call_that_cannot_be_formatted_is_reported_without_the_token(
    logger: logging.Logger, said: Said, stderr: Stderr, token: str, call: str
) -> None:
    """``Handler.handleError`` prints message and arguments."""
    BAD_CALLS[call](logger, token)
    assert "Logging error" in stderr.getvalue()
    assert not leaked(token, stderr.getvalue(), str(said))


@pytest.mark.usefixtures("swallowing")
def test_an_object_that_cannot_be_shown_is_reported_without_the_token(
    logger: logging.Logger, said: Said, stderr: Stderr, token: str
) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError(f"cannot show {token}")

        __repr__ = __str__

    logger.info("got %s", Broken())
    logger.info(Broken())
    logger.info("x", extra={"auth": Broken()})
    assert not leaked(token, stderr.getvalue(), str(said))


def test_a_handler_that_fails_quotes_no_token(logger: logging.Logger, stderr: Stderr, token: str) -> None:
    install_logging()

    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                raise OSError(f"cannot send {token}")
            except OSError:
                self.handleError(record)

    logger.addHandler(Failing())
    logger.warning("fine")
    assert "Logging error" in stderr.getvalue()
    assert "OSError: cannot send [token " in stderr.getvalue()
    assert not leaked(token, stderr.getvalue())


def test_warnings_that_are_logged_do_not_leak(token: str, caplog: pytest.LogCaptureFixture) -> None:
    install_logging()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        try:
            warnings.warn(f"captured {token}", stacklevel=1)
        finally:
            logging.captureWarnings(False)
    assert "captured [token " in caplog.text
    assert not leaked(token, caplog.text)


HOOKS = """
import sys, threading, warnings, bearerwatch
from bearerwatch.context import live
token = sys.stdin.readline().strip()
live.add(token)
bearerwatch.install_logging()
warnings.warn("deprecated " + token)
def f(): raise ValueError("in a thread: " + token)
thread = threading.Thread(target=f); thread.start(); thread.join()
class Dropped:
    def __del__(self): raise KeyError("while dropped: " + token)
Dropped()
thread = threading.Thread(target=lambda: 1 / 0, name="harmless"); thread.start(); thread.join()
raise RuntimeError("at the end: " + token)
"""


def test_exceptions_nobody_catches_do_not_leak() -> None:
    token = opaque()
    done = subprocess.run(
        [sys.executable, "-c", HOOKS], input=token, text=True, capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert not leaked(token, done.stdout, done.stderr)
    for words in (
        "UserWarning: deprecated [token k",
        "ValueError: in a thread: [token k",
        "KeyError: 'while dropped: [token k",
        "RuntimeError: at the end: [token k",
        "Exception in thread harmless:",
        "ZeroDivisionError",
    ):
        assert words in done.stderr


def test_a_thread_that_is_told_to_exit_is_silent(stderr: Stderr, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)  # pytest has its own
    install_logging()
    thread = threading.Thread(target=sys.exit, args=(f"no more {token}",))
    thread.start()
    thread.join()
    uninstall_logging()
    assert stderr.getvalue() == ""


# -- servers' own loggers ------------------------------------------------------------------------------


@pytest.fixture
def uvicorn_logging() -> Iterator[None]:
    """Uvicorn's configuration: handlers of its own, which do not propagate."""
    names = ("uvicorn", "uvicorn.access", "uvicorn.error")
    yield
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("uvicorn_logging")
@pytest.mark.parametrize("first", [True, False])
def test_the_access_log_of_uvicorn(capsys: pytest.CaptureFixture[str], token: str, first: bool) -> None:
    """Its formatter takes the arguments apart, so they have to stay five."""
    if first:
        install_logging()
    logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
    install_logging()
    access = logging.getLogger("uvicorn.access")
    other = opaque() + "1"
    for path in ("/orders/7", f"/reset/{token}", f"/orders?access_token={other}&page=2"):
        access.info('%s - "%s %s HTTP/%s" %d', "192.0.2.1:5", "GET", path, "1.1", 200)
    logging.getLogger("uvicorn.error").warning("Exception for %s", token)
    out, err = capsys.readouterr()
    assert [line.partition("- ")[2] for line in out.splitlines()] == [
        '"GET /orders/7 HTTP/1.1" 200 OK',
        f'"GET /reset/[token {ring().token_id(token)}] HTTP/1.1" 200 OK',
        f'"GET /orders?access_token=[token {ring().token_id(other)}]&page=2 HTTP/1.1" 200 OK',
    ]
    assert "Logging error" not in err
    assert not leaked(token, out, err)


def test_the_access_log_of_gunicorn(capsys: pytest.CaptureFixture[str], token: str) -> None:
    config = gunicorn.config.Config()
    config.set("accesslog", "-")
    install_logging()
    log = gunicorn.glogging.Logger(config)
    environ = {
        "REMOTE_ADDR": "192.0.2.1",
        "REQUEST_METHOD": "GET",
        "RAW_URI": f"/orders?access_token={token}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_REFERER": f"https://app.test/#{token}",
        "HTTP_USER_AGENT": f"agent {token}",
    }
    answer = SimpleNamespace(status="200 OK", status_code=200, sent=5, headers=[])
    log.access(answer, SimpleNamespace(headers=[("AUTHORIZATION", f"Bearer {token}")]), environ, timedelta(0))
    log.error("failed with %s", token)
    out, err = capsys.readouterr()
    assert f'"GET /orders?access_token=[token {ring().token_id(token)}] HTTP/1.1" 200 5' in out
    assert "failed with [token " in err
    assert not leaked(token, out, err)
    for logger in (log.error_log, log.access_log):
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.propagate = True


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
