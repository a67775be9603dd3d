"""Revoking on the command line: by fingerprint, never by token; where it is kept; what it says; how it is undone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import fakes
from bearerwatch.fingerprint import KeyRing, use
from bearerwatch.store import revocations
from bearerwatch.store.state import State, default_url
from bearerwatch.verify.revocations import Revocation, Revocations, open_ledger

Run = Callable[..., Any]
KEYS = ["k" * 32, "o" * 32]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    monkeypatch.setenv("BEARERWATCH_KEYS", ",".join(KEYS))
    return KeyRing([key.encode() for key in KEYS])


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'revoked.jsonl'}"


def entries(url: str) -> list[Revocation]:
    return open_ledger(url).entries()


def test_a_fingerprint_is_all_it_takes(run: Run, ring: KeyRing, url: str) -> None:
    token = fakes.jwt()
    token_id = ring.token_id(token)
    began = int(time.time())
    ran = run("revoke", token_id, "--reason", "laptop stolen", "--until", "30d", "--to", url)
    assert (ran.code, ran.out) == (0, f"{token_id}\n")
    assert "1 revoked in file:/" in ran.err
    [entry] = entries(url)
    assert (entry.token_id, entry.reason) == (token_id, "laptop stolen")
    assert began <= entry.at <= time.time()
    assert entry.until is not None
    assert entry.until - entry.at in range(30 * 86_400, 30 * 86_400 + 3)
    assert entry.by
    use(ring)
    held = Revocations(url)
    assert held.holds(token)
    held.close()


def test_doing_it_twice_is_doing_it_once_and_it_can_be_undone(run: Run, ring: KeyRing, url: str) -> None:
    ids = [ring.token_id(fakes.opaque()) for _ in range(2)]
    run("revoke", ids[0], "--to", url)
    ran = run("revoke", *ids, ids[0], "--to", url, "--json")
    assert ran.json == {"changed": 1, "token_ids": ids, "list": url}
    ran = run("revoke", "--undo", *ids, "--to", url)
    assert (ran.code, entries(url)) == (0, [])
    assert "2 taken back" in ran.err
    ran = run("revoke", "--undo", ids[0], "--to", url)
    assert (ran.code, "0 taken back" in ran.err, "1 not revoked" in ran.err) == (0, True, True)


@pytest.mark.parametrize("shape", ["[token {}]", "{}…", "[token {}…]", "{}..."])
def test_a_fingerprint_is_taken_as_it_is_printed(run: Run, story: Any, shape: str) -> None:
    """Logs print its beginning: the collector's events have the rest."""
    ran = run("revoke", shape.format(story.token_id[:18]))
    assert (ran.code, ran.out) == (0, f"{story.token_id}\n")


def test_a_beginning_that_fits_nothing_or_several_is_refused(run: Run, ring: KeyRing, story: Any, url: str) -> None:
    beginning = ring.token_id(fakes.opaque())[:18]
    assert "no event has" in run("revoke", beginning, "--to", url).err
    token_id = "k00000000:9f86d081"
    story.add(*(story.event(story.now - story.now, "invalid", token_id=token_id + f"{n:024x}") for n in range(2)))
    assert "fits several" in run("revoke", token_id).err
    assert entries(url) == []


@pytest.mark.parametrize("make", [fakes.opaque, fakes.jwt])
def test_a_token_as_an_argument_is_refused_and_not_repeated(run: Run, ring: KeyRing, url: str, make: Any) -> None:
    token = make()
    ran = run("revoke", token, "--to", url)
    assert ran.code == 2
    assert "--token-from-stdin" in ran.err
    assert fakes.leaked(token, ran.out, ran.err) == []


@pytest.mark.parametrize("make", [fakes.opaque, fakes.jwt])
def test_a_token_from_standard_input_is_fingerprinted_at_once(
    run: Run, ring: KeyRing, url: str, tmp_path: Path, make: Any
) -> None:
    token = make()
    ran = run("revoke", "--token-from-stdin", "--to", url, "--reason", f"found: {token}", stdin=f"Bearer {token}\n")
    assert (ran.code, ran.out) == (0, f"{ring.token_id(token)}\n")
    written = (tmp_path / "revoked.jsonl").read_text()
    assert fakes.leaked(token, ran.out, ran.err, written) == []
    old = ring.all_ids(token)[1]  # revoked when the other key was the active one
    run("revoke", old, "--to", url)
    run("revoke", "--undo", "--token-from-stdin", "--to", url, stdin=token)
    assert entries(url) == []
    assert "shorter than 16" in run("revoke", "--token-from-stdin", "--to", url, stdin="tiny").err


def test_the_collectors_list_is_the_default(run: Run, story: Any) -> None:
    ran = run("revoke", story.token_id, "--reason", "reset\x1b[2J")
    assert (ran.code, "the collector's list" in ran.err) == (0, True)
    with closing(State(default_url(story.folder))) as state, state.read() as conn:
        assert [one.token_id for one in revocations.load(conn)] == [story.token_id]
    listed = run("revoke", "--list", "--state", story.folder)
    assert story.token_id in listed.out
    assert "for good" in listed.out
    assert "\x1b" not in listed.out
    [row] = run("revoke", "--list", "--json").rows
    assert (row["token_id"], row["until"], row["at"][-1]) == (story.token_id, None, "Z")
    run("revoke", "--undo", story.token_id)
    assert run("revoke", "--list").err == "nothing is revoked in the collector's list\n"


def test_what_services_are_told_is_where_it_goes(
    run: Run, ring: KeyRing, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEARERWATCH_REVOCATIONS", url)
    assert run("revoke", ring.token_id(fakes.opaque())).code == 0
    assert len(entries(url)) == 1
    monkeypatch.setenv("BEARERWATCH_REVOCATIONS", "collector+http://127.0.0.1:9")
    assert "no collector state" in run("revoke", ring.token_id(fakes.opaque())).err


def test_a_key_nobody_knows_here_is_warned_of(run: Run, ring: KeyRing, url: str) -> None:
    ran = run("revoke", f"k00000000:{'0' * 32}", "--to", url)
    assert (ran.code, len(entries(url))) == (0, 1)
    assert "no key k00000000 is known here" in ran.err
    assert "warning" not in run("revoke", ring.all_ids(fakes.opaque())[1], "--to", url).err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "say which tokens"),
        (["--list", "--undo"], "by itself"),
        (["[token short:12]"], "shorter than 16"),
        (["k1a2b3c4d:9f86d081", "--to", "file:/nowhere/revoked"], "give all 32 digits"),
        (["ID", "--undo", "--until", "3d"], "neither"),
        (["ID", "--until", "0s"], "past"),
        (["ID", "--until", "2001-01-01"], "past"),
        (["ID", "--until", "soon"], "length of time"),
        (["ID", "--until", "99999999d"], "time"),
        (["ID", "--to", "redis://:open-sesame@host"], "BEARERWATCH_REVOCATIONS"),
        (["ID", "--to", "redis://host?password=open-sesame"], "BEARERWATCH_REVOCATIONS"),
        (["ID", "--to", "gopher://host"], "file:/path"),
        (["ID", "--to", "file:/tmp/x", "--state", "/tmp"], "leave one out"),
        (["ID", "--state", "/nowhere"], "no collector state"),
        (["ID", "--to", "collector+https://host"], "--state"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(run: Run, ring: KeyRing, argv: list[str], says: str) -> None:
    ran = run("revoke", *(ring.token_id(fakes.opaque()) if part == "ID" else part for part in argv))
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert "open-sesame" not in ran.err
