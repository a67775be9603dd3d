"""Serves one library's application with its adapter and without it: ``-m bench._adapters_worker simplejwt 2000``."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bearerwatch.integrations import libraries
from libraries.cases import Ask

_TURN = 100
_USED = 100

Turn = Callable[[int], tuple[list[int], int]]
"""Serves so many requests; nanoseconds each, and the last one's status."""


def main(site: str, rounds: int) -> None:
    logging.disable(logging.CRITICAL)
    module = import_module(f"libraries.sites.{site}")
    gateway, app = next(iter(module.stacks().values()))
    turn = {"wsgi": _wsgi_turn, "asgi": _asgi_turn}[gateway]
    asks = module.asks()
    found = {}
    for case in ("success", "expired"):
        ask = asks[case]
        found[case] = (
            _added(partial(turn, app, ask), rounds, good=case == "success")
            if isinstance(ask, Ask)
            else {"added": 0.0, "without": 0.0, "noise": 0.0}
        )
    print(json.dumps(found))


def _added(turn: Turn, rounds: int, *, good: bool) -> dict[str, float]:
    """Turns of requests each way, those after a change of way untimed: the interpreter has to get used to it."""
    known = dict(libraries._told)
    nothing: dict[str, Any] = dict.fromkeys(known, ())
    ways = [("with", known), ("without", nothing), ("again", nothing)]
    patched = list(_patched())
    spent: dict[str, list[float]] = {name: [] for name, _ in ways}
    gc.disable()
    for number in range(rounds // _TURN):
        for name, told in ways[number % 3 :] + ways[: number % 3]:  # none is always the first
            libraries._told.update(told)
            for owner, attribute, ours, theirs in patched:
                setattr(owner, attribute, ours if told is known else theirs)
            gc.collect()
            turn(_USED)
            took, status = turn(_TURN)
            if (status == 200) is not good:
                raise SystemExit(f"answered {status}: nothing is measured that was not asked for")
            spent[name].append(median(took))
    libraries._told.update(known)
    for owner, attribute, ours, _ in patched:
        setattr(owner, attribute, ours)
    with_it, without, again = (min(spent[name]) / 1000 for name in ("with", "without", "again"))
    return {"added": with_it - without, "without": without, "noise": again - without}


def _patched() -> Iterator[tuple[Any, str, Any, Any]]:
    """Whose attribute was replaced in a library, its name, what it is now and what it was."""
    for module in libraries._loaded:
        for path in getattr(module, "PATCHES", ()):
            owner, _, attribute = path.rpartition(".")
            ours = getattr(found := resolve_name(owner), attribute)
            yield found, attribute, ours, ours.__wrapped__


def _wsgi_turn(app: Any, ask: Ask, count: int) -> tuple[list[int], int]:
    spent, status = [], 0
    for _ in range(count):
        began = time.perf_counter_ns()
        status = _wsgi(app, ask)
        spent.append(time.perf_counter_ns() - began)
    return spent, status


def _asgi_turn(app: Any, ask: Ask, count: int) -> tuple[list[int], int]:
    async def serve() -> tuple[list[int], int]:
        spent, status = [], 0
        for _ in range(count):
            began = time.perf_counter_ns()
            status = await _asgi(app, ask)
            spent.append(time.perf_counter_ns() - began)
        return spent, status

    return asyncio.run(serve())


def _wsgi(app: Any, ask: Ask) -> int:
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": ask.path,
        "QUERY_STRING": ask.query,
        "SERVER_NAME": "bench",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.9",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in ask.headers:
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    said: list[str] = []
    body = app(environ, lambda status, _headers, _info=None: said.append(status))
    b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return int(said[0][:3])


async def _asgi(app: Any, ask: Ask) -> int:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        said.append(message.get("status", 0))

    said: list[int] = []

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": ask.path,
        "raw_path": ask.path.encode(),
        "query_string": ask.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in ask.headers],
        "client": ("192.0.2.9", 4711),
        "server": ("bench", 80),
    }
    await app(scope, receive, send)
    return said[0]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
