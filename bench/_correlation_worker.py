"""Makes calls and writes lines with and without ids: ``-m bench._correlation_worker httpx 60``."""
# ruff: noqa: PLC0415 - a worker loads what it measures and nothing else

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socketserver
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import quantiles
from typing import Any

__all__ = ["BY_HAND", "CALLS", "LINES", "OTEL", "OURS", "REDACTED"]

CALLS = ("aiohttp", "httpx", "httpx2", "requests", "urllib3")
REDACTED = "redacted, without ids"
OURS, BY_HAND, OTEL = "ours", "the same headers by hand", "OpenTelemetry SDK"
LINES = ("asgi-correlation-id", "django-guid")
_TURN, _USED, _LINES = 20, 10, 50
_ID = "0198c0de-0000-7000-8000-000000000001"
_GIVEN = {"X-Request-ID": _ID, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}

Turn = Callable[[int], list[int]]
"""So many calls; the nanoseconds of each."""


def main(what: str, rounds: int) -> None:
    from bearerwatch.context import RequestContext, current

    current.set(RequestContext(_ID, token_id=f"k1a2b3c4d:{'0' * 32}"))
    if what == "line":
        print(json.dumps(_told(_lines(), rounds)))
        return
    with _server() as url:
        print(json.dumps(_told(_calls(what, url), rounds)))


def _told(ways: dict[str, Turn], rounds: int) -> dict[str, Any]:
    """What each way adds to the first, which is there once more to say how much is noise."""
    order = [*ways.items(), ("again", ways["bare"])]
    spent: dict[str, list[int]] = {name: [] for name, _ in order}
    gc.disable()
    for number in range(rounds):
        for name, turn in order[number % len(order) :] + order[: number % len(order)]:
            turn(_USED)  # the interpreter has to get used to each way
            spent[name].extend(turn(_TURN))
        gc.collect()
    least = {name: quantiles(found, n=10)[0] / 1000 for name, found in spent.items()}
    bare = least.pop("bare")
    return {"bare": bare, "noise": least.pop("again") - bare, "added": {name: it - bare for name, it in least.items()}}


def _calls(client: str, url: str) -> dict[str, Turn]:
    """As it is, as we have it, and with a span around it."""
    from bearerwatch.integrations.libraries import watch_imports

    watch_imports()
    if client.startswith("httpx"):
        return _httpx(url, client)
    return {"aiohttp": _aiohttp, "requests": _requests, "urllib3": _urllib3}[client](url)


def _timed(call: Callable[[dict[str, str] | None], Any]) -> Turn:
    def turn(count: int) -> list[int]:
        spent = []
        for _ in range(count):
            began = time.thread_time_ns()
            call(None)
            spent.append(time.thread_time_ns() - began)
        return spent

    return turn


def _spanned(call: Callable[[dict[str, str] | None], Any]) -> Callable[[dict[str, str] | None], Any]:
    """What an instrumentation does at least."""
    tracer, propagate, kind = _tracing()

    def with_span(_headers: dict[str, str] | None) -> None:
        with tracer.start_as_current_span("GET", kind=kind):
            headers: dict[str, str] = {}
            propagate.inject(headers)
            call(headers)

    return with_span


def _tracing() -> tuple[Any, Any, Any]:
    from opentelemetry import propagate, trace
    from opentelemetry.sdk.trace import TracerProvider

    from bearerwatch import _trace

    _trace.tracer = None  # each way for itself
    return TracerProvider().get_tracer("bench"), propagate, trace.SpanKind.CLIENT


def _as_it_is(owner: Any, name: str, call: Callable[[dict[str, str] | None], Any]) -> dict[str, Turn]:
    """The ways of *call*, where ``owner.name`` is what we have replaced."""
    call(None)  # a connection is there
    ours = getattr(owner, name)

    def with_(method: Any, turn: Turn) -> Turn:
        def switched(count: int) -> list[int]:
            setattr(owner, name, method)
            return turn(count)

        return switched

    theirs = ours.__wrapped__
    return {
        "bare": with_(theirs, _timed(call)),
        OURS: with_(ours, _timed(call)),
        BY_HAND: with_(theirs, _timed(lambda _: call(_GIVEN))),
        OTEL: with_(theirs, _timed(_spanned(call))),
    }


def _requests(url: str) -> dict[str, Turn]:
    import requests
    from urllib3.connectionpool import HTTPConnectionPool

    session = requests.Session()
    session.trust_env = False
    return _as_it_is(HTTPConnectionPool, "urlopen", lambda headers: session.get(url, headers=headers, timeout=10))


def _urllib3(url: str) -> dict[str, Turn]:
    import urllib3
    from urllib3.connectionpool import HTTPConnectionPool

    pool = urllib3.PoolManager()
    return _as_it_is(HTTPConnectionPool, "urlopen", lambda headers: pool.request("GET", url, headers=headers))


def _httpx(url: str, name: str) -> dict[str, Turn]:
    from importlib import import_module

    module = import_module(name)
    client = module.Client(trust_env=False)
    return _as_it_is(module.Client, "send", lambda headers: client.get(url, headers=headers))


def _aiohttp(url: str) -> dict[str, Turn]:
    import aiohttp

    loop = asyncio.new_event_loop()
    tracer, propagate, kind = _tracing()
    ours = aiohttp.ClientSession._request
    theirs = ours.__wrapped__  # type: ignore[attr-defined]

    async def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    client = loop.run_until_complete(session())

    async def ask(headers: dict[str, str] | None = None) -> None:
        async with client.get(url, headers=headers) as response:
            await response.read()

    async def spanned() -> None:
        with tracer.start_as_current_span("GET", kind=kind):
            headers: dict[str, str] = {}
            propagate.inject(headers)
            await ask(headers)

    def timed(method: Any, call: Callable[[], Awaitable[None]]) -> Turn:
        async def turn(count: int) -> list[int]:
            spent = []
            for _ in range(count):
                began = time.thread_time_ns()
                await call()
                spent.append(time.thread_time_ns() - began)
            return spent

        def switched(count: int) -> list[int]:
            aiohttp.ClientSession._request = method  # type: ignore[method-assign]
            return loop.run_until_complete(turn(count))

        return switched

    return {
        "bare": timed(theirs, ask),
        OURS: timed(ours, ask),
        BY_HAND: timed(theirs, lambda: ask(_GIVEN)),
        OTEL: timed(theirs, spanned),
    }


def _lines() -> dict[str, Turn]:
    """A line as redaction has it, as it is with ids, and the peers' filters on a line of their own."""
    import asgi_correlation_id
    import django.conf
    import django_guid.log_filters

    from bearerwatch import install_logging, uninstall_logging

    django.conf.settings.configure()
    asgi_correlation_id.correlation_id.set(_ID)
    filters = {
        "asgi-correlation-id": asgi_correlation_id.CorrelationIdFilter(),
        "django-guid": django_guid.log_filters.CorrelationId(),
    }
    log = logging.getLogger("bench")
    log.propagate = False
    log.setLevel(logging.INFO)
    handler = logging.FileHandler("/dev/null")
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    log.addHandler(handler)

    def turn(**how: Any) -> Turn:
        def lines(count: int) -> list[int]:
            uninstall_logging()
            handler.filters.clear()
            if "ids" in how:
                install_logging(log_ids=how["ids"])
            if "filter" in how:
                handler.addFilter(how["filter"])
            spent = []
            for _ in range(count):
                began = time.thread_time_ns()
                for number in range(_LINES):
                    log.info("order %s placed", number)
                spent.append((time.thread_time_ns() - began) // _LINES)
            return spent

        return lines

    return {
        "bare": turn(),
        REDACTED: turn(ids=False),
        OURS: turn(ids=True),
        **{name: turn(filter=it) for name, it in filters.items()},
    }


class _Handler(socketserver.StreamRequestHandler):
    """Answers each request without a body with one, over a connection that stays open."""

    def handle(self) -> None:
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        while True:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            line = self.rfile.readline()
            if not line:
                return
            while line not in (b"\r\n", b""):
                line = self.rfile.readline()


@contextmanager
def _server() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench._correlation_worker", "serve", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def serve() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        main(sys.argv[1], int(sys.argv[2]))
