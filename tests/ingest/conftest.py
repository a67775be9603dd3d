"""Events as applications write them, and a real state database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import fakes
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.ingest import segment as segment_module
from bearerwatch.ingest.complaints import Complaints
from bearerwatch.observe import new_id
from bearerwatch.store.state import State, default_url
from ingest.followed import Spool

NOW = datetime(2026, 11, 21, 10, 11, 12, 123456, tzinfo=UTC)


def make_event(number: int = 0, **changes: Any) -> AuthEvent:
    values: dict[str, Any] = {
        "kind": Kind.AUTH,
        "event_id": new_id(1_700_000_000_000 + number),
        "ts": NOW - timedelta(seconds=1) + timedelta(microseconds=number),
        "outcome": Outcome.INVALID,
        "reason": "bad_signature",
        "status": 401,
        "service": "shop",
        "route": "/orders/{id}",
        "path": f"/orders/{number}",
        "client_ip": "203.0.113.7",
    }
    return AuthEvent(**(values | changes))


def make_line(number: int = 0, **changes: Any) -> bytes:
    """One event on the wire, without its newline; *changes* may also hold what no event has."""
    known = {name: value for name, value in changes.items() if name in AuthEvent.__struct_fields__}
    built = msgspec.to_builtins(make_event(number))
    built.update(msgspec.to_builtins(known))
    built.update({name: value for name, value in changes.items() if name not in known})
    return msgspec.json.encode(built)


@pytest.fixture
def line() -> Callable[..., bytes]:
    return make_line


@pytest.fixture
def event() -> Callable[..., AuthEvent]:
    return make_event


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = State(default_url(tmp_path / "state"))
    made.migrate()
    yield made
    made.close()


class Said(Complaints):
    """Complaints that can be read."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        super().__init__(self.messages.append)

    @property
    def text(self) -> str:
        return "\n".join(self.messages)


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def jwt() -> str:
    """Looks like a JWT and was never issued by anybody."""
    return fakes.jwt()


@pytest.fixture
def spool(tmp_path: Path, state: State, said: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    monkeypatch.setattr(segment_module, "_PROBE_EVERY", 0.0)  # ask for the lock at every poll: tests do not wait
    made = Spool(tmp_path / "spool", state, said)
    yield made
    made.close()
