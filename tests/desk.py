"""Requests told to a watch, and the events it made of them."""

from __future__ import annotations

from typing import Any

from bearerwatch.context import current, live
from bearerwatch.event import AuthEvent
from bearerwatch.observe import Facts, Watch
from bearerwatch.settings import Settings

__all__ = ["Desk", "Kept", "facts"]


class Kept:
    """A sink that keeps what it is sent."""

    def __init__(self) -> None:
        self.events: list[AuthEvent] = []

    def send(self, event: AuthEvent) -> None:
        self.events.append(event)


def facts(**given: Any) -> Facts:
    blank: dict[str, Any] = dict.fromkeys(Facts.__struct_fields__)
    return Facts(**(blank | {"method": "GET", "path": "/orders/7", "query": "", "peer_ip": "192.0.2.9"} | given))


class Desk:
    """A watch and what it emitted."""

    def __init__(self, **settings: Any) -> None:
        self.kept = Kept()
        self.watch = Watch(Settings.from_env(**settings), [self.kept])

    def serve(
        self, status: int = 200, route: str | None = None, challenge: str | None = None, **given: Any
    ) -> AuthEvent:
        """One request from its arrival to its end."""
        exchange = self.watch.open(facts(**given))
        exchange.finish(status, route, challenge)
        exchange.end()
        assert current.get() is None
        assert live.values() == ()
        return self.kept.events[-1]
