"""Serves one library's application with its adapter and without it: ``-m bench._adapters_worker simplejwt 200``."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bearerwatch.integrations import libraries
from libraries.cases import Ask

_TURN = 50
_WARM_UP = 3


def main(site: str, rounds: int) -> None:
    logging.disable(logging.CRITICAL)
    module = import_module(f"libraries.sites.{site}")
    gateway, app = next(iter(module.stacks().values()))
    turn = {"wsgi": _wsgi, "asgi": _asgi}[gateway]
    asks = module.asks()
    found = {}
    for case in ("success", "expired"):
        ask = asks[case]
        found[case] = (
            _added(partial(turn, app, ask), rounds)
            if isinstance(ask, Ask)
            else {"added": 0.0, "without": 0.0, "noise": 0.0}
        )
    print(json.dumps(found))


def _added(turn: Callable[[], None], rounds: int) -> dict[str, float]:
    turn()
    known = dict(libraries._told)
    nothing: dict[str, Any] = dict.fromkeys(known, ())
    spent: dict[str, list[float]] = {"with": [], "without": [], "again": []}
    gc.disable()
    for number in range(rounds + _WARM_UP):
        for name, told in (("with", known), ("without", nothing), ("again", nothing)):
            libraries._told.update(told)
            gc.collect()
            began = time.process_time_ns()
            turn()
            if number >= _WARM_UP:
                spent[name].append((time.process_time_ns() - began) / _TURN / 1000)
    libraries._told.update(known)
    with_it, without, again = (median(spent[name]) for name in ("with", "without", "again"))
    return {"added": with_it - without, "without": without, "noise": again - without}


def _wsgi(app: Any, ask: Ask) -> None:
    for _ in range(_TURN):
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
        body = app(environ, lambda _status, _headers, _info=None: lambda _: None)
        b"".join(body)
        if hasattr(body, "close"):
            body.close()


def _asgi(app: Any, ask: Ask) -> None:
    asyncio.run(_asgi_turn(app, ask))


async def _asgi_turn(app: Any, ask: Ask) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        pass

    for _ in range(_TURN):
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


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
