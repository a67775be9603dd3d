"""Every way out a log record can take, and the servers' own loggers."""
# ruff: noqa: G004, PLE1205, PLE1206, TRY301 - log calls as people write them, right and wrong

from __future__ import annotations

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

from bearerwatch import install_logging, uninstall_logging
from bearerwatch.fingerprint import ring
from fakes import leaked, opaque
from logged import Said, Shown, Stderr

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
