"""One request, followed: through the gateway, a service, the service that one asks, and a worker behind them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bearerwatch.demo.backstage import GATEWAY, WORKER
from bearerwatch.demo.client import Api, Origin
from bearerwatch.demo.layout import Layout
from bearerwatch.demo.world import World
from bearerwatch.store.reader import Reader

__all__ = ["FOLLOWED", "Followed", "Thread", "followed", "worker_entries"]

FOLLOWED = "followed"
"""Label of the requests that went through the gateway."""

_PATIENCE = 15.0
"""Seconds for events to reach the lake, and for the worker to have done its task."""
_WIDE = 60
_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) [A-Z]+ +[\w.]+: (.*)\Z")
_ID = re.compile(r" (request_id|trace_id|span_id|parent_request_id|token_id|task_id)=(\S+)")


@dataclass(slots=True)
class Followed:
    """What was found of one request."""

    request_id: str | None
    token_id: str
    """Of the token that it was sent with."""
    entries: list[dict[str, Any]] = field(default_factory=list)
    """In order: events of the lake, and lines of the worker's log in the form of events, whose ``kind`` is ``log``."""
    missing: list[str] = field(default_factory=list)
    """Who has nothing to tell of it."""
    differing: list[str] = field(default_factory=list)
    """Who tells of another token, or of another trace."""

    @property
    def holds(self) -> bool:
        """Whether it is one thread, from end to end."""
        return bool(self.entries) and not (self.missing or self.differing)

    @property
    def places(self) -> list[str]:
        """Where it has been, in order."""
        return list(dict.fromkeys(str(entry["service"]) for entry in self.entries))

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``."""
        return {
            "holds": self.holds,
            "request_id": self.request_id,
            "token_id": self.token_id,
            "places": self.places,
            "missing": self.missing,
            "differing": self.differing,
        }


class Thread:
    """Sends one request through the gateway, and looks for it everywhere.

    Args:
        world: the stage.
        gateway: the Django service behind nginx.
        layout: where the logs and the lake are.
    """

    def __init__(self, world: World, gateway: Api, layout: Layout) -> None:
        self._world = world
        self._gateway = gateway
        self._layout = layout

    async def __call__(self) -> Followed:
        """Send it, and wait for all that there should be of it.

        Raises:
            BearerwatchError: bela could not log in, or has no orders.
        """
        world, office = self._world, Origin("192.0.2.40", "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Firefox/139.0")
        held = await world.login(self._gateway, "bela", office, label=FOLLOWED)
        number = (await world.orders(self._gateway, held, office, label=FOLLOWED))[0]
        path = f"/orders/{number}/dispatch"
        answer = await world.client(self._gateway, "POST", path, origin=office, label=FOLLOWED, held=held, named=False)
        request_id, token_id = answer.headers.get("x-request-id"), world.wallet.token_id(held)
        if answer.status != 202 or request_id is None:
            return Followed(request_id, token_id, missing=[f"POST {path} was answered with {answer.status}, not 202"])
        deadline = time.monotonic() + _PATIENCE
        while True:
            found = followed(request_id, token_id, await asyncio.to_thread(self._entries, request_id), self._expected)
            if found.holds or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.1)

    @property
    def _expected(self) -> tuple[str, ...]:
        return GATEWAY, self._world.django.service, self._world.flask.service, WORKER

    def _entries(self, request_id: str) -> list[dict[str, Any]]:
        with Reader(self._layout.state) as reader:
            events = reader.query("SELECT * FROM {events} WHERE kind = 'auth' AND request_id = $id", {"id": request_id})
        return [
            *(dict(event) for event in events),
            *worker_entries(self._layout.logs / f"{WORKER}.log", request_id),
        ]


def followed(request_id: str, token_id: str, entries: Iterable[Mapping[str, Any]], expected: Iterable[str]) -> Followed:
    """Put *entries* in order, and see whether they are one thread through all who are *expected*, with one fingerprint.

    A gateway knows neither tokens nor traces: its entry is of the request by its id alone.
    """
    ordered = sorted((dict(entry) for entry in entries), key=lambda entry: entry["ts"])
    found = Followed(request_id, token_id, ordered)
    found.missing = [f"{name} tells nothing of it" for name in expected if name not in found.places]
    told = [entry for entry in ordered if entry["service"] != GATEWAY]
    traces = {entry.get("trace_id") for entry in told}
    spans = {entry.get("span_id") for entry in told}
    for entry in told:
        name, token = entry["service"], entry.get("token_id")
        if token != token_id:
            found.differing.append(f"{name} tells of {token or 'no token'}, not of {token_id}")
        if len(traces) != 1 or None in traces:
            found.differing.append(f"{name} is of the trace {entry.get('trace_id')}, and not all are")
        elif (parent := entry.get("parent_request_id")) is not None and parent not in spans:
            found.differing.append(f"{name} was caused by {parent}, which is none of these")
    return found


def worker_entries(log: Path, request_id: str) -> list[dict[str, Any]]:
    """Lines of the worker's log about the request, by the ids they end with."""
    found = []
    for text in _lines(log):
        ids = dict(_ID.findall(text))
        match = _LINE.match(text)
        if match is not None and ids.get("request_id") == request_id:
            said = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=UTC)
            detail = _ID.sub("", match[2])
            detail = detail if len(detail) <= _WIDE else f"{detail[: _WIDE - 1]}…"
            found.append({"ts": said, "kind": "log", "service": WORKER, "detail": detail, **ids})
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
