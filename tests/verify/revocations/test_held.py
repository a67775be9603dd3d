"""The list as a process holds it: quick to ask, started when first asked, kept when its source is lost, safe to fork."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fakes
from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import KeyRing, fingerprint, use
from bearerwatch.verify.revocations import Found, Revocations, SourceLost
from verify.revocations.conftest import eventually


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "bearerwatch-revocations"]


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    eventually(lambda: not threads())


class Told:
    """A source that says what it is told to."""

    every = 0.01

    def __init__(self) -> None:
        self.found: Found | None = Found({})
        self.error: Exception | None = None
        self.opened = 0
        self.before: Callable[[], object] = bool

    def __call__(self) -> Told:
        self.opened += 1
        return self

    def poll(self) -> Found | None:
        self.before()
        if self.error is not None:
            raise self.error
        found, self.found = self.found, None
        return found


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def revocations(told: Told) -> Iterator[Revocations]:
    made = Revocations(told)
    yield made
    made.close()


def test_a_list_of_this_process_alone_needs_no_thread() -> None:
    token = fakes.jwt()
    revocations = Revocations()
    assert fingerprint(token) not in revocations
    revocations.revoke(fingerprint(token))
    assert fingerprint(token) in revocations
    revocations.restore(fingerprint(token))
    assert fingerprint(token) not in revocations
    assert None not in revocations
    assert not threads()


def test_a_token_is_not_revoked_by_itself() -> None:
    token = fakes.opaque()
    with pytest.raises(ValueError, match="fingerprint") as caught:
        Revocations().revoke(token)
    assert not fakes.leaked(token, str(caught.value))


def test_nothing_is_done_before_it_is_asked_and_then_one_thread(told: Told, revocations: Revocations) -> None:
    token_id = fingerprint(fakes.opaque())
    told.found = Found({token_id: time.time() + 60})
    assert (told.opened, threads()) == (0, [])
    assert token_id in revocations  # the first lookup has waited for the list
    fakes.at_once(lambda: None if token_id in revocations else pytest.fail("not refused"))
    assert (told.opened, len(threads())) == (1, 1)


def test_a_slow_source_holds_the_first_lookup_up_for_so_long_alone(
    told: Told, capfd: pytest.CaptureFixture[str]
) -> None:
    token_id = fingerprint(fakes.opaque())
    gate = threading.Event()
    told.before = lambda: gate.wait(5)
    told.found = Found({token_id: time.time() + 60})
    revocations = Revocations(told, first_seconds=0.05)
    began = time.monotonic()
    assert token_id not in revocations
    assert time.monotonic() - began < 1
    assert "has not answered within 0.05 s" in capfd.readouterr().err
    gate.set()
    eventually(lambda: token_id in revocations)
    revocations.close()


def test_what_may_be_forgotten_is_no_longer_refused() -> None:
    revocations = Revocations()
    token_id = fingerprint(fakes.opaque())
    revocations.revoke(token_id, until=time.time() - 1)
    assert token_id not in revocations
    revocations.revoke(token_id, until=time.time() + 60)
    assert token_id in revocations


def test_under_every_key_of_the_ring_a_token_is_known() -> None:
    token = fakes.jwt()
    keys = [
        b"the first key of three for tests",
        b"the second key of three for test",
        b"the third key of three for tests",
    ]
    for key in keys:
        revocations = Revocations()
        revocations.revoke(KeyRing([key]).token_id(token))
        use(KeyRing(keys))
        assert revocations.holds(token)
        head, _, _ = token.rpartition(".")
        assert revocations.holds(f"{head}.{fakes.b64(b'another signature')}")  # a changed signature is no way round
        assert not revocations.holds(fakes.jwt({"sub": "u-2"}))
    revocations = Revocations()
    revocations.revoke(KeyRing(keys).presented_id(token))
    assert revocations.holds(token)
    assert not revocations.holds(fakes.opaque(8))


def test_while_its_source_is_lost_the_last_list_stays_in_force(
    told: Told, revocations: Revocations, capfd: pytest.CaptureFixture[str]
) -> None:
    token_id = fingerprint(fakes.opaque())
    told.found = Found({token_id: time.time() + 60}, refused=2)
    assert token_id in revocations
    assert "2 lines" in capfd.readouterr().err
    for error in (SourceLost("it does not answer"), ValueError("a password of theirs")):
        told.error = error
        eventually(lambda: revocations.held().lost)
        time.sleep(0.05)
        assert token_id in revocations
        said = capfd.readouterr().err
        assert said.count("stays in force") == 1  # once, however often it is tried
        assert "password" not in said
        told.error, told.found = None, Found({})
        eventually(lambda: revocations.held().lost is None)
        assert token_id not in revocations
        assert "can be read again" in capfd.readouterr().err
        told.found = Found({token_id: time.time() + 60})
        eventually(lambda: token_id in revocations)


def test_what_was_never_read_is_said(told: Told, revocations: Revocations, capfd: pytest.CaptureFixture[str]) -> None:
    told.error = SourceLost("it does not answer")
    assert fingerprint(fakes.opaque()) not in revocations
    assert "no list was read yet" in capfd.readouterr().err
    assert revocations.held().read_at is None


def test_what_is_revoked_here_outlives_a_new_list(told: Told, revocations: Revocations) -> None:
    mine, theirs = fingerprint(fakes.opaque()), fingerprint(fakes.opaque())
    revocations.revoke(mine)
    told.found = Found({theirs: time.time() + 60})
    revocations.start()
    eventually(lambda: theirs in revocations)
    assert mine in revocations


def test_nobody_has_it_any_more_and_the_thread_ends(told: Told) -> None:
    revocations = Revocations(told)
    revocations.start()
    assert len(threads()) == 1
    del revocations
    gc.collect()
    eventually(lambda: not threads())


def test_a_forked_child_keeps_the_list_and_starts_its_own_thread(tmp_path: Path) -> None:
    """In a process of its own: a fork of the test runner would have its threads' locks."""
    script = """
import os, sys, time, threading
from bearerwatch.verify.revocations import Found, Revocations
A, B = (f"k00000000:{n:032x}" for n in (1, 2))
class Source:
    every = 0.01
    def __init__(self): self.seen = None
    def poll(self):
        now = os.path.exists(sys.argv[1])
        if now == self.seen: return None
        self.seen = now
        return Found({A: 9e9, B: 9e9} if now else {A: 9e9})
revocations = Revocations(Source)
assert A in revocations and B not in revocations
with revocations._lock:  # as if another thread held it at that moment
    child = os.fork()
if child == 0:
    assert revocations._entries, "what the parent knew"
    assert A in revocations
    open(sys.argv[1], "w").close()
    end = time.monotonic() + 5
    while B not in revocations and time.monotonic() < end: time.sleep(0.01)
    os._exit(0 if B in revocations and threading.active_count() == 2 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    flag = str(tmp_path / "flag")
    done = subprocess.run([sys.executable, "-c", script, flag], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr


@pytest.mark.parametrize("url", ["", "file", "ftp://host/list", "/etc/revoked", "_held:x", "file:relative", "file:"])
def test_a_source_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="file:/path"):
        Revocations(url)


def test_neither_it_nor_its_messages_show_a_password() -> None:
    revocations = Revocations("redis://maria:open-sesame@127.0.0.1:1/0?password=open-sesame")
    assert "open-sesame" not in repr(revocations)
    assert "127.0.0.1:1" in repr(revocations)


def test_it_is_light_until_a_source_is_named() -> None:
    code = (
        "import sys; import bearerwatch.verify.revocations as r; r.Revocations('file:/nowhere/revoked');"
        "print(*sorted({'redis', 'django', 'httpx2', 'joserfc', 'sqlalchemy', 'http.client'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("\n", "")
