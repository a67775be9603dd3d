"""Plays every case with one library, in a process of its own: ``python play.py simplejwt``.

So each application is configured as its own users would, and what is watched is only what that one imports.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

from bearerwatch import _guard  # noqa: E402
from bearerwatch.event import AuthEvent  # noqa: E402
from bearerwatch.testing.events import capture_events  # noqa: E402
from libraries.cases import CASES, Ask, NotThere  # noqa: E402
from watched.drive import Request, serve_asgi, serve_wsgi  # noqa: E402

SERVE = {"wsgi": serve_wsgi, "asgi": serve_asgi}


def main(name: str) -> None:
    _guard.reraise(True)
    logging.disable(logging.CRITICAL)
    with capture_events() as events:
        site = import_module(f"libraries.sites.{name}")
        stacks: dict[str, tuple[str, Any]] = site.stacks()
        asks: dict[str, Ask | NotThere] = site.asks()
        assert set(asks) >= set(CASES), set(CASES) - set(asks)  # a site may try more
        played = {
            stack: {case: played_once(app, gateway, ask, events) for case, ask in asks.items()}
            for stack, (gateway, app) in stacks.items()
        }
    sys.stdout.write(f"{json.dumps(played)}\n")


def played_once(app: Any, gateway: str, ask: Ask | NotThere, events: list[AuthEvent]) -> Any:
    if isinstance(ask, NotThere):
        return ask.why
    before = len(events)
    seen = SERVE[gateway](app, Request(ask.path, query=ask.query, headers=ask.headers), events)
    for _ in range(100):  # an ASGI server does not wait for what a client left behind
        if len(events) > before:
            break
        time.sleep(0.01)
    fields = ("outcome", "reason", "status", "verified", "subject_id", "client_id", "scopes", "required_scopes")
    return {
        "status": seen.status,
        "events": [{field: getattr(event, field) for field in fields} for event in events[before:]],
    }


if __name__ == "__main__":
    main(sys.argv[1])
