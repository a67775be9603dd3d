"""Revocations in a Django cache: files and a real Valkey, in pieces, and through a cache that forgets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis
from django.core.cache import caches
from django.test import override_settings

import fakes
from bearerwatch.errors import BearerwatchError, ConfigurationError
from bearerwatch.verify.revocations import Revocations, SourceLost, django_cache, open_ledger, open_source
from verify.revocations.conftest import entry, eventually
from watched.django_stack import configure

URL = "django-cache:shared"
KEY = "bearerwatch-revocations"


class _Pool(redis.ConnectionPool):
    """Django closes the connections of no thread that has ended: so the tests do."""

    made: ClassVar[list[redis.ConnectionPool]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made.append(self)


@pytest.fixture(params=["files", "redis"])
def _shared(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Iterator[None]:
    backends = {
        "files": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(tmp_path / "c")},
        "redis": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis_url, "KEY_PREFIX": "x", "OPTIONS": {"pool_class": _Pool}},
    }  # fmt: skip
    others = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        "lost": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"redis://:open-sesame@127.0.0.1:{fakes.free_port()}"},
    }  # fmt: skip
    configure()
    with override_settings(CACHES={"shared": backends[request.param], **others}):
        yield
    while _Pool.made:
        _Pool.made.pop().disconnect()


pytestmark = pytest.mark.usefixtures("_shared")


@pytest.fixture
def held() -> Iterator[Revocations]:
    made = Revocations(URL)
    yield made
    made.close()


def test_what_is_revoked_is_refused_within_two_seconds_and_what_is_undone_is_let_in(held: Revocations) -> None:
    ledger = open_ledger(URL)
    first, second = entry(), entry()
    assert first.token_id not in held
    assert ledger.add([first, first]) == 1
    assert eventually(lambda: first.token_id in held) < 2
    assert ledger.add([first]) == 0
    assert ledger.add([second]) == 1
    assert [one.token_id for one in ledger.entries()] == [first.token_id, second.token_id]
    assert ledger.remove([first.token_id]) == 1
    assert eventually(lambda: first.token_id not in held) < 2
    assert second.token_id in held


def test_a_long_list_is_kept_in_pieces_and_the_former_ones_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django_cache, "_PIECE", 500)
    source, ledger = open_source(URL), open_ledger(URL)
    entries = [entry() for _ in range(50)]
    ledger.add(entries[:20])
    before = caches["shared"].get(KEY)
    ledger.add(entries[20:])
    found = source.poll()
    assert found is not None
    assert set(found.entries) == {one.token_id for one in entries}
    assert source.poll() is None
    assert caches["shared"].get(f"{KEY}-{django_cache._index(before).id}-0") is None


def test_two_who_write_at_once_lose_nothing() -> None:
    def write() -> None:
        ledger = open_ledger(URL)
        for _ in range(5):
            ledger.add([entry()])

    fakes.at_once(write, 3)
    assert len(open_ledger(URL).entries()) == 15


@pytest.mark.parametrize("forgotten", ["index", "piece"])
def test_a_cache_that_forgets_leaves_the_list_in_force(
    forgotten: str, held: Revocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django_cache.DjangoCache, "every", 0.02)
    one = entry()
    ledger = open_ledger(URL)
    ledger.add([one])
    assert one.token_id in held
    if forgotten == "index":
        caches["shared"].delete(KEY)
    else:
        caches["shared"].set(KEY, '{"id":"0123456789abcdef","pieces":1}')
    eventually(lambda: held.held().lost)
    assert one.token_id in held


@pytest.mark.parametrize("poison", [7, "{", '{"id":"../..","pieces":1}', '{"id":"a","pieces":1000000000}', "[" * 9999])
def test_what_is_not_ours_is_refused(poison: object) -> None:
    caches["shared"].set(KEY, poison)
    with pytest.raises(SourceLost, match="something else"):
        open_source(URL).poll()
    with pytest.raises(BearerwatchError, match="something else"):
        open_ledger(URL).add([entry()])


def test_a_cache_that_nobody_else_sees_or_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="keeps nothing"):
        open_source("django-cache:dummy")
    with pytest.raises(ConfigurationError, match="no cache 'none'"):
        open_source("django-cache:none")
    with pytest.raises(ConfigurationError, match="one process"):
        open_ledger("django-cache:default")


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(SourceLost) as caught:
        open_source("django-cache:lost").poll()
    assert "open-sesame" not in f"{caught.value} {caught.value.__cause__!r}"


def test_without_settings_it_says_so() -> None:
    code = "from bearerwatch.verify.revocations import Revocations; Revocations('django-cache:default')"
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False, env=env
    )
    assert "set DJANGO_SETTINGS_MODULE" in done.stderr
