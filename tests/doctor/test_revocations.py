"""The check of the list of withdrawn tokens."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import fakes
from bearerwatch.doctor import Site, examine
from bearerwatch.fingerprint import KeyRing
from bearerwatch.verify.revocations import open_ledger
from bearerwatch.verify.revocations._entry import revoke

KEY = "k" * 32


def look(tmp_path: Path, url: str) -> tuple[str, dict[str, str]]:
    """What the check says it looked at, and what it found."""
    site = Site(state=tmp_path / "state", env={"BEARERWATCH_KEYS": KEY, "BEARERWATCH_REVOCATIONS": url})
    [check] = [check for check in examine(site) if check.name == "revocations"]
    return check.said, {one.id.removeprefix("bearerwatch."): f"{one.message} {one.hint}" for one in check.findings}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file:{tmp_path / 'revoked.jsonl'}"


def test_without_a_list_there_is_nothing_to_find(tmp_path: Path) -> None:
    assert look(tmp_path, "") == ("no list of withdrawn tokens is named", {})


def test_a_sound_list(tmp_path: Path, url: str) -> None:
    token_id = KeyRing([KEY.encode()]).token_id(fakes.opaque())
    open_ledger(url).add([revoke(token_id, at=time.time())])
    assert look(tmp_path, url) == ("1 token withdrawn", {})


def test_what_is_wrong_is_said_with_what_to_do(tmp_path: Path, url: str) -> None:
    said, found = look(tmp_path, "gopher://host")
    assert set(found) == {"E045"}
    _, found = look(tmp_path, url)
    assert "bearerwatch revoke" in found["E046"]
    open_ledger(url).add([revoke(f"k00000000:{'0' * 32}", at=time.time())])
    with Path(url.removeprefix("file:")).open("ab") as file:
        file.write(b"{\n{\n")
    said, found = look(tmp_path, url)
    assert said == "1 token withdrawn"
    assert "2 lines" in found["W045"]
    assert "k00000000" in found["W046"]
