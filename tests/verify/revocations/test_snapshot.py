"""The last list on disk: had by a process that starts while its source is lost, and no trouble where it cannot be kept."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

import fakes
from bearerwatch.fingerprint import fingerprint
from bearerwatch.verify.revocations import Found, Revocations, SourceLost
from bearerwatch.verify.revocations._snapshot import Snapshot


class _Source:
    every = 0.01

    def __init__(self, answer: Found | SourceLost) -> None:
        self._answer = answer

    def poll(self) -> Found | None:
        if isinstance(self._answer, SourceLost):
            raise self._answer
        return self._answer


LOST = SourceLost("it does not answer")


def test_a_process_that_starts_while_its_source_is_lost_has_the_last_list(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state" / "revoked.jsonl"
    stays, ends, past = (fingerprint(fakes.opaque()) for _ in range(3))
    entries = {stays: math.inf, ends: time.time() + 60, past: time.time() - 1}
    first = Revocations(lambda: _Source(Found(entries)), snapshot=path)
    assert stays in first
    first.close()
    assert path.stat().st_mode & 0o777 == 0o600
    second = Revocations(lambda: _Source(LOST), snapshot=path)
    assert stays in second
    assert ends in second
    assert past not in second
    assert "the last one, with 2 tokens, stays in force" in capfd.readouterr().err
    second.close()


def test_a_new_list_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "revoked.jsonl"
    old, new = fingerprint(fakes.opaque()), fingerprint(fakes.opaque())
    Snapshot(path).save({old: math.inf})
    held = Revocations(lambda: _Source(Found({new: math.inf})), snapshot=path)
    assert new in held
    assert old not in held
    held.close()
    assert Snapshot(path).load() == {new: math.inf}
    before = path.stat().st_ino
    Snapshot(path).save({new: math.inf})
    assert path.stat().st_ino == before  # what is there need not be written
    Snapshot(path).save({})
    assert Snapshot(path).load() == {}


@pytest.mark.parametrize("what", ["nothing", "garbage", "folder", "anybody's"])
def test_one_that_cannot_be_read_is_none(what: str, tmp_path: Path) -> None:
    path = tmp_path / "revoked.jsonl"
    if what == "garbage":
        path.write_bytes(b"\xff{[")
    elif what == "folder":
        path.mkdir()
    elif what == "anybody's":
        Snapshot(path).save({fingerprint(fakes.opaque()): math.inf})
        path.chmod(0o666)
    held = Revocations(lambda: _Source(LOST), snapshot=path)
    held.start()
    assert len(held) == 0
    held.close()


def test_one_that_cannot_be_written_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    snapshot = Snapshot(blocked / "revoked.jsonl")
    snapshot.save({fingerprint(fakes.opaque()): math.inf})
    snapshot.save({})
    assert capfd.readouterr().err.count("cannot be written") == 1
