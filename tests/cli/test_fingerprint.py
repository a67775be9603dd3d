from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fakes
from bearerwatch.fingerprint import KeyRing

Run = Callable[..., Any]
KEYS = ["k" * 32, "o" * 32]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    monkeypatch.setenv("BEARERWATCH_KEYS", ",".join(KEYS))
    return KeyRing([key.encode() for key in KEYS])


@pytest.mark.parametrize("make", [fakes.opaque, fakes.jwt])
@pytest.mark.parametrize("lead", ["", "Bearer ", "Authorization: Bearer ", "  "])
def test_it_is_what_events_carry(run: Run, ring: KeyRing, make: Any, lead: str) -> None:
    token = make()
    ran = run("fingerprint", stdin=f"{lead}{token}\n")
    assert (ran.code, ran.out) == (0, ring.token_id(token) + "\n")
    assert fakes.leaked(token, ran.out, ran.err) == []


def test_json_has_the_older_keys_and_the_whole_credential_too(run: Run, ring: KeyRing) -> None:
    token = fakes.jwt()
    assert run("fingerprint", "--json", stdin=token).json == {
        "token_id": ring.token_id(token),
        "presented_id": ring.presented_id(token),
        "older": ring.all_ids(token)[1:],
    }


@pytest.mark.parametrize("stdin", ["", "\n", "two tokens", b"\xff\xfe" * 20])
def test_what_is_no_single_token_is_refused(run: Run, ring: KeyRing, stdin: Any) -> None:
    ran = run("fingerprint", stdin=stdin)
    assert ran.code == 2
    assert "standard input" in ran.err


def test_asking_makes_no_key(run: Run, tmp_path: Path) -> None:
    ran = run("fingerprint", "--state", tmp_path, stdin=fakes.opaque())
    assert ran.code == 2
    assert "BEARERWATCH_KEYS" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_generated_key_serves(run: Run, tmp_path: Path) -> None:
    key = "g" * 32
    (tmp_path / "fingerprint.key").write_text(key)
    token = fakes.opaque()
    assert run("fingerprint", "--state", tmp_path, stdin=token).out.strip() == KeyRing([key.encode()]).token_id(token)
