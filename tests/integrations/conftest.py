"""Every framework, served in this process by the drivers of :mod:`watched`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from bearerwatch.event import AuthEvent
from bearerwatch.testing.events import capture_events
from watched import asgi_stack, django_stack, flask_stack
from watched.drive import Request, Seen, serve_asgi, serve_wsgi

TEMPLATES = {
    "flask": {"orders": "/orders/<order_id>", "items": "/inner/items/<int:item_id>"},
    "django": {"orders": "/orders/<order_id>", "items": "/inner/items/<int:item_id>"},
    "starlette": {"orders": "/orders/{order_id}", "items": "/inner/items/{item_id:int}"},
    "fastapi": {"orders": "/orders/{order_id}", "items": "/inner/items/{item_id}"},
}
STACKS: dict[str, tuple[Callable[..., Any], Callable[..., Seen], dict[str, str]]] = {
    "flask": (flask_stack.build, serve_wsgi, TEMPLATES["flask"]),
    "django-sync": (django_stack.wsgi, serve_wsgi, TEMPLATES["django"]),
    "django-async": (django_stack.asgi, serve_asgi, TEMPLATES["django"]),
    "starlette": (asgi_stack.starlette, serve_asgi, TEMPLATES["starlette"]),
    "fastapi": (asgi_stack.fastapi, serve_asgi, TEMPLATES["fastapi"]),
}


@dataclass
class Stack:
    """The API on one framework, watched."""

    name: str
    app: Any
    events: list[AuthEvent]
    templates: dict[str, str]

    def send(self, path: str = "/public", **parts: Any) -> Seen:
        """Send one request."""
        return STACKS[self.name][1](self.app, Request(path, **parts), self.events)

    def one(self, path: str = "/public", **parts: Any) -> tuple[Seen, AuthEvent]:
        """Send one request, which leaves one event."""
        before = len(self.events)
        seen = self.send(path, **parts)
        for _ in range(100):  # an ASGI server does not wait for what a client left behind
            if len(self.events) > before:
                break
            time.sleep(0.01)
        assert len(self.events) == before + 1
        return seen, self.events[-1]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stack]]:
    """Builds the API on the framework of that name, with those settings."""
    monkeypatch.setenv("BEARERWATCH_KEYS", "a fingerprint key for tests alone".replace(" ", "-"))
    with capture_events() as events:

        def make(name: str, **settings: Any) -> Stack:
            builder, _, templates = STACKS[name]
            return Stack(name, builder(**settings), events, templates)

        yield make


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest, build: Callable[..., Stack]) -> Stack:
    """The API on each framework in turn."""
    return build(request.param)
