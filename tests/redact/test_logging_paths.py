"""Ways past a handler's usual doors: classes with doors of their own, names, event loops, child processes, prints."""
# ruff: noqa: TRY301 - log calls as people write them, right and wrong

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import http.server
import io
import logging
import logging.handlers
import socketserver
import subprocess
import sys
import threading
import traceback
import warnings
import wsgiref.handlers
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import uvloop

from bearerwatch import _guard, install_logging, uninstall_logging
from bearerwatch.redact.logging import PLACEHOLDER
from fakes import leaked, opaque
from logged import Keeper, Said, Stderr

# -- handlers and records of other people's making -----------------------------------------------------


def own_doors() -> tuple[type[logging.Handler], list[str]]:
    """A class of handlers that does without ``Handler.handle`` and ``Handler.format``."""
    lines: list[str] = []

    class Own(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            lines.append(record.getMessage())
            lines.append(self.format(record))
            return True

        def format(self, record: logging.LogRecord) -> str:
            return f"{record.__dict__}"

    return Own, lines


@pytest.mark.parametrize("first", [True, False])
def test_a_class_of_handlers_with_doors_of_its_own(logger: logging.Logger, token: str, first: bool) -> None:
    kind, lines = own_doors()
    theirs = (kind.handle, kind.format)
    if first:
        handler = kind()
        install_logging()
    else:
        install_logging()
        handler = kind()
    install_logging()
    logger.addHandler(handler)
    logger.warning("got %s", token, extra={"auth": token})
    assert lines[0].startswith("got [token ")
    assert len(lines) == 2
    assert not leaked(token, *lines)
    uninstall_logging()
    assert (kind.handle, kind.format) == theirs


def test_a_handler_derived_from_such_a_class(logger: logging.Logger, token: str) -> None:
    kind, lines = own_doors()
    install_logging()

    class Derived(kind):  # type: ignore[misc, valid-type]
        def handle(self, record: logging.LogRecord) -> bool:
            return bool(super().handle(record))

    logger.addHandler(Derived())
    logger.addHandler(kind())
    logger.warning("got %s", token)
    assert len(lines) == 4
    assert not leaked(token, *lines)


def test_a_handlers_own_door_that_raises_raises_as_before(logger: logging.Logger) -> None:
    class Raising(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise LookupError("theirs")

    install_logging()
    logger.addHandler(Raising())
    with pytest.raises(LookupError, match="theirs"):
        logger.warning("x")


def test_an_agent_that_forwards_what_loggers_dispatch(
    logger: logging.Logger, said: Said, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Sentry's and New Relic's do, which put themselves in place before."""
    uninstall_logging()
    forwarded: list[logging.LogRecord] = []
    dispatch = logging.Logger.callHandlers

    def forward(self: logging.Logger, record: logging.LogRecord) -> None:
        forwarded.append(record)
        dispatch(self, record)

    monkeypatch.setattr(logging.Logger, "callHandlers", forward)
    install_logging()
    install_logging()
    logger.warning("got %s, %d", token, 7, extra={"auth": token})
    uninstall_logging()
    assert logging.Logger.callHandlers is forward
    assert forwarded[0].getMessage().endswith("], 7")
    assert not leaked(token, repr(forwarded[0].__dict__), str(said))
    assert len(forwarded) == str(said).count("\n") == 1


class Braces(logging.LogRecord):
    """Records of an application that formats with braces."""

    def getMessage(self) -> str:  # noqa: N802
        return str(self.msg).format(*self.args) if isinstance(self.args, tuple) else str(self.msg)


def test_records_of_an_application_that_formats_with_braces(
    logger: logging.Logger, said: Said, stderr: Stderr, token: str
) -> None:
    for message, args in (("got {}", (token,)), ("{{}} {}", (token,)), ("got {} {}", (7, token))):
        logger.handle(Braces("x", 20, "f.py", 1, message, args, None))
    assert not leaked(token, str(said))
    assert [line.partition("[")[0] for line in str(said).splitlines()] == ["INFO x got ", "INFO x {} ", "INFO x got 7 "]
    assert stderr.getvalue() == ""


def test_an_exception_stays_hidden_although_its_cached_text_is_clean(logger: logging.Logger, token: str) -> None:
    """A formatter of somebody's own has left out what it thought should not be seen; another handler looks itself."""
    keeper = Keeper()
    logger.addHandler(keeper)
    install_logging()
    try:
        raise ValueError(token)
    except ValueError:
        record = logger.makeRecord("x", 40, "f.py", 1, "failed", (), sys.exc_info())
    record.exc_text = "an exception"
    logger.handle(record)
    assert record.exc_info is not None
    assert keeper.records[0].exc_info is None
    assert keeper.records[0].exc_text == "an exception"


def test_names_hold_no_token_for_those_who_look_for_themselves(logger: logging.Logger, token: str) -> None:
    keeper = Keeper()
    logger.addHandler(keeper)
    install_logging()
    logger.warning("before")
    thread = threading.Thread(target=logger.warning, args=("x",), name=f"fetching {token}")
    thread.start()
    thread.join()
    logging.Logger.manager.loggerDict.pop("x", None)
    logger.handle(logger.makeRecord(f"of.{token}", 20, "f.py", 1, "x", (), None))
    assert not leaked(token, *(repr(record.__dict__) for record in keeper.records))
    assert keeper.records[1].threadName.startswith("fetching [token ")  # type: ignore[union-attr]


def test_a_filter_may_add_what_it_likes(logger: logging.Logger, said: Said, token: str) -> None:
    """One of the logger's, and one of the handler's, which runs after the record has been looked at."""
    install_logging()

    def add(record: logging.LogRecord) -> bool:
        record.auth = token
        return True

    logger.handlers[0].setFormatter(logging.Formatter("{message} {auth}", style="{"))
    logger.addFilter(add)
    logger.warning("one")
    logger.removeFilter(add)
    logger.handlers[0].addFilter(add)
    logger.warning("two")
    assert [line.split("[")[0] for line in str(said).splitlines()] == ["one ", "two "]
    assert not leaked(token, str(said))


def test_what_a_handler_posts_holds_no_token(logger: logging.Logger, token: str) -> None:
    got: list[str] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        install_logging()
        logger.addHandler(logging.handlers.HTTPHandler(f"127.0.0.1:{server.server_port}", "/", method="POST"))
        logger.warning("got %s", [token], extra={"auth": {"x": token}})
        thread.join()
    assert "[token" in unquote(got[0]).replace("+", " ")
    assert not leaked(token, *got)


# -- warnings ------------------------------------------------------------------------------------------


def test_warnings_that_somebody_else_shows(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    install_logging()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda *args: shown.append(warnings.formatwarning(*args[:4])))
        warnings.warn(f"deprecated {token}", stacklevel=1)
    assert "deprecated [token " in shown[0]
    assert not leaked(token, *shown)


# -- event loops ---------------------------------------------------------------------------------------

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    made = LOOPS[request.param]()
    yield made
    made.close()


@pytest.fixture
def loop_said() -> Iterator[Said]:
    """What asyncio's own logger says."""
    stream = Said()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        logging.Formatter("%(message)s %(taskName)s" if sys.version_info >= (3, 12) else "%(message)s")
    )
    log = logging.getLogger("asyncio")
    log.addHandler(handler)
    log.propagate = False
    install_logging()
    yield stream
    log.removeHandler(handler)
    log.propagate = True


def forget_a_failed_task(loop: asyncio.AbstractEventLoop, token: str) -> None:
    """A task that nobody asks for its result, which the loop reports when the task is dropped."""

    async def fail() -> None:
        raise ValueError(f"in a task: {token}")

    async def forget() -> None:
        await asyncio.wait([loop.create_task(fail(), name=f"fetching {token}")])

    loop.run_until_complete(forget())
    gc.collect()


def test_a_task_nobody_waits_for(loop: asyncio.AbstractEventLoop, loop_said: Said, token: str) -> None:
    forget_a_failed_task(loop, token)
    assert "Task exception was never retrieved" in str(loop_said)
    assert "ValueError: in a task: [token " in str(loop_said)
    assert not leaked(token, str(loop_said))


def test_what_an_event_loop_is_told_of(loop: asyncio.AbstractEventLoop, loop_said: Said, token: str) -> None:
    def callback() -> None:
        raise ValueError(f"in a callback: {token}")

    loop.call_soon(callback)
    loop.call_soon(loop.call_exception_handler, {"message": f"broken: {token}", "protocol": {"token": token}})
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert "ValueError: in a callback: [token " in str(loop_said)
    assert "broken: [token " in str(loop_said)
    assert not leaked(token, str(loop_said))


def test_a_handler_of_exceptions_of_ones_own_gets_what_it_always_got(
    loop: asyncio.AbstractEventLoop, loop_said: Said, token: str
) -> None:
    got: list[dict[str, Any]] = []

    def handle(at: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        got.append(context)
        logging.getLogger("asyncio").error("own: %s %r", context["message"], context.get("future"))
        at.default_exception_handler(context)

    loop.set_exception_handler(handle)
    forget_a_failed_task(loop, token)
    assert isinstance(got[0]["exception"], ValueError)
    assert token in str(got[0]["exception"])
    assert "own: Task exception" in str(loop_said)
    assert not leaked(token, str(loop_said))


def test_a_handler_of_exceptions_that_fails_itself(
    loop: asyncio.AbstractEventLoop, loop_said: Said, token: str
) -> None:
    def handle(_: Any, context: dict[str, Any]) -> None:
        raise KeyError(context["message"])

    loop.set_exception_handler(handle)
    loop.call_exception_handler({"message": f"broken: {token}"})
    assert "Unhandled error in exception handler" in str(loop_said)
    assert not leaked(token, str(loop_said))


def test_what_the_debug_mode_of_an_event_loop_says(loop_said: Said, token: str) -> None:
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    loop.call_soon(len, token)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert "Executing" in str(loop_said)
    assert not leaked(token, str(loop_said))


# -- threads and processes -----------------------------------------------------------------------------


def test_a_callback_of_a_future(token: str) -> None:
    keeper = Keeper()
    log = logging.getLogger("concurrent.futures")
    log.addHandler(keeper)
    install_logging()

    def callback(done: Any) -> None:
        raise ValueError(token)

    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(len, "x").add_done_callback(callback)
    finally:
        log.removeHandler(keeper)
    (record,) = keeper.records
    assert record.exc_info is None
    assert "ValueError: [token " in (record.exc_text or "")
    assert not leaked(token, record.exc_text or "")


CHILDREN = """
import concurrent.futures, logging, multiprocessing, sys
import bearerwatch

def work(token):
    logging.getLogger("child").warning("Authorization: Bearer %s", token)
    raise ValueError("access_token=" + token)

if __name__ == "__main__":
    token = sys.stdin.readline().strip()
    method = sys.argv[1]
    context = multiprocessing.get_context(method)
    bearerwatch.install_logging()
    if method == "fork":
        child = context.Process(target=work, args=(token,))
        child.start(); child.join()
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=context, initializer=bearerwatch.install_logging
    ) as pool:
        try:
            pool.submit(work, token).result()
        except ValueError:
            logging.getLogger("parent").exception("in a child")
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_child_processes(method: str, tmp_path: Path) -> None:
    """A forked one has it from its parent; one that is spawned installs it itself."""
    script = tmp_path / "children.py"
    script.write_text(CHILDREN)
    token = opaque()
    done = subprocess.run(
        [sys.executable, script, method], input=token, text=True, capture_output=True, timeout=60, check=False
    )
    times = 2 if method == "fork" else 1
    assert done.stderr.count("Authorization: Bearer [token k") == times
    assert done.stderr.count("Process ForkProcess-1:") == times - 1  # what multiprocessing prints by itself
    assert "in a child" in done.stderr
    assert not leaked(token, done.stdout, done.stderr)


FAULT = """
import faulthandler, sys, bearerwatch
def handle(token):
    faulthandler.dump_traceback()
bearerwatch.install_logging()
handle(sys.stdin.readline().strip())
"""


def test_a_dump_of_the_fault_handler_holds_no_values() -> None:
    token = opaque()
    done = subprocess.run(
        [sys.executable, "-c", FAULT], input=token, text=True, capture_output=True, timeout=20, check=True
    )
    assert "in handle" in done.stderr
    assert not leaked(token, done.stderr)


# -- printed tracebacks --------------------------------------------------------------------------------


def fail(token: str) -> None:
    raise ValueError(f"bad {token}")


def printed(show: Callable[[], None], token: str) -> None:
    try:
        fail(token)
    except ValueError:
        show()


def test_a_traceback_that_is_printed(stderr: Stderr, token: str) -> None:
    install_logging()
    printed(traceback.print_exc, token)
    printed(lambda: traceback.print_exception(*sys.exc_info()), token)
    printed(lambda: traceback.print_exc(limit=1, chain=False), token)
    text = stderr.getvalue()
    assert text.count("ValueError: bad [token ") == 3
    assert not leaked(token, text)


def test_a_traceback_that_is_printed_into_a_file(token: str) -> None:
    before, after, clean, again = (io.StringIO() for _ in range(4))
    printed(lambda: traceback.print_exc(file=clean), "nothing")
    install_logging()
    printed(lambda: traceback.print_exc(file=after), token)
    printed(lambda: traceback.print_exc(file=again), "nothing")
    uninstall_logging()
    printed(lambda: traceback.print_exc(file=before), token)
    assert leaked(token, before.getvalue())
    assert not leaked(token, after.getvalue())
    shape = [line for line in clean.getvalue().splitlines() if "line " not in line]
    assert [line for line in again.getvalue().splitlines() if "line " not in line] == shape


@pytest.mark.usefixtures("swallowing")
def test_a_traceback_is_not_printed_when_redaction_fails(
    stderr: Stderr, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(text: str) -> str:
        raise RuntimeError("the engine is broken")

    install_logging()
    monkeypatch.setattr("bearerwatch.redact.logging.redact_text", broken)
    printed(traceback.print_exc, token)
    assert PLACEHOLDER in stderr.getvalue()
    assert not leaked(token, stderr.getvalue())
    assert sum(_guard.counts().values()) == 1


def test_what_the_servers_of_the_standard_library_print(stderr: Stderr, token: str) -> None:
    install_logging()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        fail(token)

    out, err = io.BytesIO(), io.StringIO()
    environ = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.0"}
    wsgiref.handlers.SimpleHandler(io.BytesIO(), out, err, environ).run(app)
    server = socketserver.BaseServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
    printed(lambda: server.handle_error(io.BytesIO(), ("127.0.0.1", 1)), token)
    assert "ValueError: bad [token " in err.getvalue()
    assert "ValueError: bad [token " in stderr.getvalue()
    assert not leaked(token, err.getvalue(), stderr.getvalue(), out.getvalue())


def test_a_handler_behind_one_that_writes_finds_no_message_left_on_the_record(
    logger: logging.Logger, said: Said, token: str
) -> None:
    held: list[dict[str, Any]] = []

    class Dumping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            held.append(dict(record.__dict__))

    class Silent(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            super().format(record)
            return "nothing"

    silent = logging.StreamHandler(io.StringIO())
    silent.setFormatter(Silent())
    logger.addHandler(silent)
    logger.addHandler(Dumping())
    logger.warning("got %s", f"Bearer {token}")
    assert not leaked(token, str(said), repr(held))


def test_what_cannot_be_formatted_shows_no_token_of_a_mapping(
    logger: logging.Logger, said: Said, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    logger.warning("%s %s", {"data": ValueError(f"Bearer {token}"), "broken": Broken(), "n": 3})  # noqa: PLE1206 - what is wrong here is the point
    shown = capsys.readouterr().err
    assert not leaked(token, shown, str(said))
    assert "'n': 3" in shown
