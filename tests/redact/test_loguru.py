"""loguru: every handler, added before or after, writes no token; nor does a traceback with the values of variables."""
# ruff: noqa: PLE1205 - these calls are loguru's

from __future__ import annotations

import asyncio
import copy
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from bearerwatch import _guard, install_logging
from bearerwatch.fingerprint import ring
from bearerwatch.redact.logging import PLACEHOLDER
from bearerwatch.redact.loguru import install_loguru, uninstall_loguru
from fakes import jwt, leaked, opaque
from logged import Keeper, Said, Shown, Stderr


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    logger.remove()
    install_loguru(log_ids=False)
    yield
    uninstall_loguru()
    logger.remove()
    logger.configure(patcher=lambda record: None, extra={})


def fail(held: str) -> None:
    secret = {"header": held}
    raise LookupError("nothing to see here", len(secret), secret is held)


def quote(held: str) -> None:
    raise ValueError(f"bad {held}")


def with_exception(log: Any, call: Callable[[str], None], token: str) -> None:
    try:
        call(token)
    except (LookupError, ValueError):
        log.exception("failed")


CALLS: dict[str, Callable[[Any, str], None]] = {
    "message": lambda log, t: log.info(f"got {t}".replace("{", "{{")),
    "argument": lambda log, t: log.info("got {}", t),
    "named": lambda log, t: log.info("got {auth}", auth=t),
    "object": lambda log, t: log.info("got {}", Shown(t)),
    "bound": lambda log, t: log.bind(auth=t).info("got"),
    "nested": lambda log, t: log.bind(auth={"headers": [("Authorization", f"Bearer {t}")]}).info("got"),
    "bound-object": lambda log, t: log.bind(auth=Shown(t)).info("got"),
    "lazy": lambda log, t: log.opt(lazy=True).info("got {}", lambda: t),
    "raw": lambda log, t: log.opt(raw=True).info("got {}\n", t),
    "colours": lambda log, t: log.opt(colors=True).info("<red>got</red> {}", t),
    "record": lambda log, t: log.opt(record=True).info("got {record[line]} {}", t),
    "patched": lambda log, t: log.patch(lambda record: record["extra"].update(auth=t)).info("got"),
    "quoted": lambda log, t: with_exception(log, quote, t),
    "variables": lambda log, t: with_exception(log, fail, t),
    "given": lambda log, t: log.opt(exception=ValueError(t)).info("got"),
}
HANDLERS: dict[str, dict[str, Any]] = {
    "plain": {"format": "{message} {extra} {exception}"},
    "diagnosing": {"format": "{message} {extra}", "backtrace": True, "diagnose": True},
    "coloured": {"format": "<red>{message}</red> {extra}", "colorize": True, "diagnose": True},
    "serialized": {"serialize": True, "backtrace": True, "diagnose": True},
    "queued": {"enqueue": True, "diagnose": True, "format": "{message} {extra}"},
    "dynamic": {"format": lambda record: "{message} {extra} {exception}\n"},
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("call", CALLS)
def test_no_call_leaks(stderr: Stderr, token: str, call: str, handler: str, first: bool) -> None:
    said = Said()
    if first:
        uninstall_loguru()
    logger.add(said, catch=False, **HANDLERS[handler])
    install_loguru()
    CALLS[call](logger, token)
    logger.complete()
    assert "got" in str(said) or "failed" in str(said)
    assert not leaked(token, str(said))
    if call != "variables" or handler in ("diagnosing", "coloured", "serialized", "queued"):
        assert "[token " in str(said)
    if handler == "serialized":
        json.loads(str(said))
    if call in ("quoted", "variables"):
        assert "Traceback (most recent call last)" in str(said)
    assert stderr.getvalue() == ""


def test_a_jwt_that_is_not_in_flight() -> None:
    said, token = Said(), jwt()
    logger.add(said, format="{message} {extra[auth]}", diagnose=True)
    logger.bind(auth=token).info("got {}", 7)
    with_exception(logger.bind(auth=""), fail, token)
    assert str(said).startswith(f"got 7 [token {ring().token_id(token)}]\n")
    assert not leaked(token, str(said))


def test_an_extra_is_read_together_with_its_name() -> None:
    said = Said()
    logger.add(said, format="{extra[password]} {extra[note]}")
    logger.bind(password="hunter2hunter2", note="hunter2hunter2").info("x")
    assert str(said) == "[password] hunter2hunter2\n"


def test_what_a_sink_is_given(token: str) -> None:
    got: list[Any] = []
    logger.add(got.append, format="{message}", filter=lambda record: token not in repr(record["extra"]))
    logger.bind(auth=[token]).info("got {}", token)
    with_exception(logger, quote, token)
    with_exception(logger, quote, "luck")
    thread = threading.Thread(target=logger.info, args=("x",), name=f"fetching {token}")
    thread.start()
    thread.join()
    assert len(got) == 4
    assert not leaked(token, *(f"{message}{message.record}" for message in got))
    assert got[1].record["exception"] is None
    assert "ValueError: bad [token " in got[1]
    assert got[2].record["exception"].value.args == ("bad luck",)


def test_what_the_caller_handed_in_is_never_changed(token: str) -> None:
    said = Said()
    logger.add(said, format="{message} {extra}")
    inner = {"list": [token], "token": token}
    before = copy.deepcopy(inner)
    error = ValueError(token, inner)
    logger.bind(inner=inner).opt(exception=error).info("got {}", inner)
    assert inner == before
    assert error.args == (token, before)
    assert not leaked(token, str(said))


def test_a_clean_record_is_the_same_for_every_sink() -> None:
    got: list[Any] = []
    for _ in range(2):
        logger.add(got.append, format="{message}")
    logger.info("fine {:d}", 7)
    assert [str(message) for message in got] == ["fine 7\n"] * 2
    assert got[0].record is got[1].record


def test_files_handlers_of_the_standard_library_and_coroutines(tmp_path: Path, token: str) -> None:
    keeper = Keeper()
    path = tmp_path / "app.log"
    got: list[str] = []

    async def sink(message: str) -> None:
        got.append(message)

    async def main() -> None:
        for each in (keeper, path, sink):
            logger.add(each, format="{message} {extra}", diagnose=True)
        logger.bind(auth=token).info("got {}", token)
        with_exception(logger, quote, token)
        await logger.complete()

    asyncio.run(main())
    assert len(got) == len(keeper.records) == 2
    assert path.read_text().count("[token ") >= 3
    assert not leaked(token, path.read_text(), *got, *(record.getMessage() for record in keeper.records))


def test_what_the_standard_library_sends_to_loguru(token: str) -> None:
    """The recipe of loguru's documentation."""
    said = Said()

    class Intercepting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())

    logger.add(said, diagnose=True)
    log = logging.Logger("to.loguru")  # noqa: LOG001
    log.addHandler(Intercepting())
    install_logging()
    log.warning("got %s", token)
    with_exception(log, quote, token)
    with_exception(log, fail, token)
    assert str(said).count("[token ") >= 2
    assert not leaked(token, str(said))


@pytest.mark.parametrize("enqueue", [True, False])
def test_a_sink_that_fails_quotes_no_token(stderr: Stderr, token: str, enqueue: bool) -> None:
    def sink(message: str) -> None:
        raise OSError(f"cannot send {token}")

    logger.add(sink, enqueue=enqueue)
    logger.info("fine")
    with_exception(logger, quote, token)
    logger.complete()
    assert stderr.getvalue().count("Logging error in Loguru") == 2
    assert "cannot send [token " in stderr.getvalue()
    assert not leaked(token, stderr.getvalue())


def test_a_sink_that_fails_with_nothing_to_hide_is_reported_as_before(stderr: Stderr) -> None:
    def sink(message: str) -> None:
        raise OSError("cannot send")

    logger.add(sink)
    logger.info("fine")
    assert "--- Logging error in Loguru Handler #" in stderr.getvalue()


CHILDREN = """
import multiprocessing, sys
from loguru import logger

def work(log, token):
    log.info("Authorization: Bearer {}", token)

if __name__ == "__main__":
    from bearerwatch.redact.loguru import install_loguru
    token = sys.stdin.readline().strip()
    context = multiprocessing.get_context(sys.argv[1])
    logger.remove()
    logger.add(sys.stderr, enqueue=True, context=context)
    install_loguru()
    child = context.Process(target=work, args=(logger, token))
    child.start(); child.join()
    logger.complete()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_what_a_child_process_sends_to_its_parent(method: str, tmp_path: Path) -> None:
    script = tmp_path / "children.py"
    script.write_text(CHILDREN)
    token = opaque()
    done = subprocess.run(
        [sys.executable, script, method], input=token, text=True, capture_output=True, timeout=60, check=True
    )
    assert "Authorization: Bearer [token k" in done.stderr
    assert not leaked(token, done.stdout, done.stderr)


@pytest.mark.usefixtures("swallowing")
def test_it_fails_closed_and_never_raises(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the engine is broken")

    said = Said()
    logger.add(said, format="{message} {extra}")
    monkeypatch.setattr("bearerwatch.redact.loguru.redact_value", broken)
    logger.bind(auth=token).info("got {}", token)
    monkeypatch.setattr("bearerwatch.redact.loguru.redact_text", broken)
    logger.bind(auth=token).info("got {}", token)
    assert str(said).splitlines() == [f"{PLACEHOLDER} {{}}", PLACEHOLDER]
    assert sum(_guard.counts().values()) == 3


def test_installed_twice_is_installed_once_and_leaves_no_trace(token: str) -> None:
    said = Said()
    logger.add(said, format="{message}")
    install_loguru()
    logger.info("{}", token)
    uninstall_loguru()
    uninstall_loguru()
    logger.info("{}", token)
    assert str(said) == f"[token {ring().token_id(token)}]\n{token}\n"
