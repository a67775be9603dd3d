"""One variant in one process: answers each line ``<chunks> <size> <kind>`` with the times of that many requests.

The bare application and the variant take turns, chunk by chunk, in the same process, so that neither a
drifting clock speed nor the luck of a memory layout favours one of them.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import _requests
from bench._web import _between

Times = tuple[int, int]


def _wsgi(app: Callable[..., Any], count: int, first: int, kind: str = _requests.USUAL) -> Times:
    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
        nonlocal answered
        answered += status[:3] == "200"

    answered = 0
    environs = _requests.environs(count, first, kind)
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for environ in environs:
        body = app(environ, start_response)
        for _piece in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()
    times = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    assert answered == count, f"{answered} of {count} requests were answered with 200"
    return times


def _asgi(app: Callable[..., Any], count: int, first: int, kind: str = _requests.USUAL) -> Times:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal answered
        if message["type"] == "http.response.start":
            answered += message["status"] == 200

    async def run() -> Times:
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        for scope in scopes:
            await app(scope, receive, send)
        return time.perf_counter_ns() - wall, time.process_time_ns() - cpu

    answered = 0
    scopes = _requests.scopes(count, first, kind)
    times = _loop.run_until_complete(run())
    assert answered == count, f"{answered} of {count} requests were answered with 200"
    return times


_loop = asyncio.new_event_loop()


def main(framework: str, variant: str, folder: Path) -> None:
    """Serve rounds until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a peer that prints must not spoil an answer
    web = importlib.import_module(f"bench._web.{framework}")
    bare, watched = web.build(variant, folder)
    run = _asgi if framework == "starlette" else _wsgi
    for app in (bare, watched):
        run(app, 300, 0)
    gc.collect()
    gc.freeze()  # the collector stays on, as in a server, but does not walk what was there before
    print("ready", file=answers, flush=True)
    served = 0
    for line in sys.stdin:
        *numbers, kind = line.split()
        chunks, size = map(int, numbers)
        times: dict[str, list[Times]] = {"bare": [], "watched": []}
        for app in (bare, watched):
            run(app, 2 * size, served)  # the other variants' processes have had the caches meanwhile
        for _ in range(chunks):
            pair = [("bare", bare), ("watched", watched)]
            served += size
            for name, app in pair if (served // size) % 2 else reversed(pair):
                times[name].append(run(app, size, served, kind))
        for action in _between.rounds:
            action()
        gc.collect()
        print(json.dumps(times), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
