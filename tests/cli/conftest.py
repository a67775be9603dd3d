"""Runs the command line in this process, as its entry point would."""

from __future__ import annotations

import copy
import io
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

import fakes
from bearerwatch.alert.notice import Notice
from bearerwatch.cli import main
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.fingerprint import KeyRing
from bearerwatch.store import episodes, outbox
from bearerwatch.store.engine import connect
from bearerwatch.store.episodes import Episode
from bearerwatch.store.lake import Lake
from bearerwatch.store.outbox import OutboxRow
from bearerwatch.store.state import State, default_url

# Apprise imports the library of each of its plugins, one of which is dated: it does so here, once, unheard.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import apprise.utils.pgp  # noqa: F401

KEY = "k" * 32


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    def call(*argv: str, stdin: str | bytes = "") -> Ran:
        raw = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
        monkeypatch.setenv("COLUMNS", "80")
        capsys.readouterr()
        code = main([str(part) for part in argv])
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


class Story:
    """A collector's state folder with a small history in it.

    One token is used twice from one address, then, after a long pause, from another country; a second address
    guesses three tokens, which an alert says; the last request is a minute old.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        self.ring = KeyRing([KEY.encode()])
        self.token = fakes.jwt()
        self.guesses = [fakes.opaque() for _ in range(3)]
        self.now = datetime.now(UTC).replace(microsecond=250_000)
        self.token_id = self.ring.token_id(self.token)
        self.episode = "0123456789abcdef0123456789abcdef"
        (folder / "lake").mkdir(mode=0o700, parents=True)
        self.state = State(default_url(folder))
        self.state.migrate()
        self._tell()

    def event(self, ago: timedelta, outcome: Outcome, **fields: Any) -> bytes:
        at = self.now - ago
        self.number += 1
        values: dict[str, Any] = {
            "kind": Kind.AUTH,
            "event_id": f"0198c0de-0000-7000-8000-{self.number:012d}",
            "ts": at,
            "outcome": outcome,
            "service": "shop",
            "method": "GET",
            "route": "/orders/{id}",
            "path": "/orders/7",
            "status": 200 if outcome is Outcome.SUCCESS else 401,
            "client_ip": "198.51.100.1",
            "country": "DE",
            "request_id": f"req-{self.number:04d}",
        } | fields
        extra = msgspec.to_builtins(AuthEvent(**values)) | {"received_at": at, "source": "spool:shop"}
        return msgspec.json.encode(extra)

    def add(self, *lines: bytes) -> None:
        con = connect(self.folder / "tmp")
        try:
            lake = Lake(self.folder / "lake", self.state, con)
            lake.append(lines)
            with self.state.begin() as tx:
                lake.publish(tx)
            lake.committed()
        finally:
            con.close()

    def _tell(self) -> None:
        mine = {"token_id": self.token_id, "presented_id": self.ring.presented_id(self.token)}
        lines = [
            self.event(timedelta(hours=4), Outcome.SUCCESS, **mine),
            self.event(timedelta(hours=4) - timedelta(seconds=2), Outcome.SUCCESS, **mine),
            self.event(timedelta(minutes=1), Outcome.SUCCESS, **mine | {"client_ip": "192.0.2.9", "country": "BR"}),
        ]
        for place, guess in enumerate(self.guesses):
            guessed = self.ring.token_id(guess)
            lines.append(
                self.event(
                    timedelta(minutes=30) - timedelta(seconds=place),
                    Outcome.INVALID,
                    client_ip="203.0.113.7",
                    country="NL",
                    service="billing",
                    token_id=guessed,
                    presented_id=guessed,
                    reason="unknown_token",
                )
            )
        self.add(*lines)
        first = self.now - timedelta(minutes=30)
        episode = Episode(
            id=self.episode,
            rule="token_guessing",
            rule_version=1,
            title="Many distinct invalid tokens from one address",
            level="high",
            key={"client_ip": "203.0.113.7"},
            first_hit=first,
            last_hit=first + timedelta(seconds=2),
            opened_at=first + timedelta(seconds=1),
            peak=3,
            hits=3,
            evidence={"services": ["billing"], "token_ids": [self.ring.token_id(g) for g in self.guesses]},
        )
        closed = msgspec.structs.replace(
            episode,
            id="fedcba9876543210fedcba9876543210",
            rule="request_burst",
            title="A burst of requests with one token",
            level="low",
            key={"token_id": self.token_id},
            first_hit=self.now - timedelta(hours=4),
            last_hit=self.now - timedelta(hours=4) + timedelta(seconds=1),
            opened_at=self.now - timedelta(hours=4),
            closed_at=self.now - timedelta(hours=3),
            evidence={},
        )
        notice = Notice.of("opened", episode, advice="Block the address.")
        row = OutboxRow(
            key=notice.key,
            channel="pager",
            episode_id=episode.id,
            transition="opened",
            payload=notice.dump(),
            created_at=first,
            next_try_at=first,
        )
        with self.state.begin() as tx:
            episodes.save(tx, [episode, closed])
            outbox.enqueue(tx, [row, msgspec.structs.replace(row, channel="hook")])
            outbox.delivered(tx, row.key, "pager", first + timedelta(seconds=2))
            outbox.failed(tx, row.key, "hook", self.now, "the receiver answered 500")


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The history, told once; each test gets a copy."""
    story = Story(tmp_path_factory.mktemp("told"))
    story.state.close()
    return story


@pytest.fixture
def story(told: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """In ``BEARERWATCH_STATE``, with the key ring it was made with configured."""
    monkeypatch.setenv("BEARERWATCH_KEYS", KEY)
    mine = copy.copy(told)
    mine.folder = tmp_path / "state"
    shutil.copytree(told.folder, mine.folder)
    mine.state = State(default_url(mine.folder))
    yield mine
    mine.state.close()
