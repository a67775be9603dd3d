"""Revocations in a file: taken within a second, whole or half written, and never forgotten because a writer is at work."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import fakes
from bearerwatch.errors import BearerwatchError
from bearerwatch.verify.revocations import Found, Revocation, Revocations, SourceLost, open_ledger, open_source
from bearerwatch.verify.revocations import file as file_module
from bearerwatch.verify.revocations._entry import dump
from verify.revocations.conftest import AT, entry, eventually


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "revoked.jsonl"


@pytest.fixture
def held(file_url: str) -> Iterator[Revocations]:
    made = Revocations(file_url)
    yield made
    made.close()


def test_what_is_revoked_is_refused_within_two_seconds_and_what_is_undone_is_let_in(
    file_url: str, held: Revocations
) -> None:
    ledger = open_ledger(file_url)
    first, second = entry(), entry()
    assert ledger.add([first]) == 1
    assert first.token_id in held
    ledger.add([second])
    took = eventually(lambda: second.token_id in held)
    assert took < 2
    assert ledger.remove([first.token_id]) == 1
    assert eventually(lambda: first.token_id not in held) < 4
    assert second.token_id in held


def test_revoking_twice_is_revoking_once(file_url: str, path: Path) -> None:
    ledger = open_ledger(file_url)
    one = entry(until=int(time.time()) + 60)
    assert ledger.add([one, one]) == 1
    written = path.read_bytes()
    assert ledger.add([one]) == 0
    assert path.read_bytes() == written
    assert ledger.remove([one.token_id, one.token_id]) == 1
    assert ledger.remove([one.token_id]) == 0
    assert ledger.entries() == []


def test_two_who_write_at_once_lose_nothing(file_url: str) -> None:
    def write() -> None:
        ledger = open_ledger(file_url)
        for _ in range(10):
            ledger.add([entry()])

    fakes.at_once(write)
    assert len(open_ledger(file_url).entries()) == 40


def test_a_missing_file_leaves_the_list_in_force_and_says_so_once(
    held: Revocations, path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_module.File, "every", 0.02)
    one = entry()
    path.write_bytes(dump(one) + b"\n")
    assert one.token_id in held
    path.unlink()
    eventually(lambda: held.held().lost)
    time.sleep(0.1)  # some more looks
    assert one.token_id in held
    assert capfd.readouterr().err.count("no such file") == 1


def test_a_line_that_is_half_written_takes_nothing_else_along(file_url: str, path: Path) -> None:
    source = open_source(file_url)
    one, two = entry(), entry()
    path.write_bytes(dump(one) + b"\n" + dump(two)[:40])
    assert source.poll() == Found({one.token_id: float("inf")}, 1)
    with path.open("ab") as file:
        file.write(dump(two)[40:])
    found = source.poll()
    assert found is not None
    assert set(found.entries) == {one.token_id, two.token_id}
    assert source.poll() is None


def test_while_somebody_writes_it_anew_nothing_is_let_go(file_url: str, path: Path) -> None:
    """A writer that truncates and writes again is seen in between."""
    source = open_source(file_url)
    one, two = entry(), entry()
    path.write_bytes(dump(one) + b"\n")
    source.poll()
    path.write_bytes(b"")
    found = source.poll()
    assert found is not None
    assert set(found.entries) == {one.token_id}
    path.write_bytes(dump(two) + b"\n")
    found = source.poll()
    assert found is not None
    assert set(found.entries) == {one.token_id, two.token_id}
    os.utime(path, ns=(0, time.time_ns() - 1_500_000_000))
    source.poll()
    found = source.poll()  # it has stood still
    assert found is not None
    assert set(found.entries) == {two.token_id}
    assert source.poll() is None


def test_lines_that_are_none_of_ours_stay_in_the_file(file_url: str, path: Path) -> None:
    path.write_bytes(b"# revoked by hand\n{'no': 'json'}\n" + dump(entry(until=AT - 400_000_000)) + b"\n")
    path.chmod(0o640)
    one = entry()
    open_ledger(file_url).add([one])
    assert path.read_bytes() == b"# revoked by hand\n{'no': 'json'}\n" + dump(one) + b"\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert {item.name for item in path.parent.glob("*.jsonl*")} == {path.name, f".{path.name}.lock"}


def test_a_link_stays_one(file_url: str, path: Path) -> None:
    target = path.with_name("data") / "list"
    target.parent.mkdir()
    path.symlink_to(target)
    one = entry()
    open_ledger(file_url).add([one])
    assert path.is_symlink()
    assert dump(one) in target.read_bytes()
    assert one.token_id in open_source(file_url).poll().entries  # type: ignore[union-attr]


@pytest.mark.parametrize("what", ["pipe", "folder", "large", "anybody"])
def test_what_is_no_list_is_refused_at_once(
    what: str, file_url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.write_bytes(dump(entry()) + b"\n")
    if what == "large":
        monkeypatch.setattr(file_module, "MAX_BYTES", 10)
    if what == "anybody":
        path.chmod(0o666)
    with pytest.raises(SourceLost):
        open_source(file_url).poll()


def test_a_lock_that_somebody_keeps_is_waited_for_and_then_said(
    file_url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_module, "_LOCK_SECONDS", 0.1)
    ledger = open_source(file_url)
    with ledger._locked(), pytest.raises(BearerwatchError, match="somebody else"):  # type: ignore[attr-defined]
        open_ledger(file_url).add([entry()])
    assert not path.exists()


def test_a_list_of_many_is_read_in_a_moment_beside_its_readers(file_url: str, path: Path) -> None:
    ids = [f"k00000000:{number:032x}" for number in range(100_000)]
    path.write_bytes(b"".join(dump(Revocation(token_id=one, at=AT)) + b"\n" for one in ids))
    held = Revocations(file_url, first_seconds=5)
    assert ids[-1] in held
    assert len(held) == 100_000
    held.close()
    assert threading.active_count() < 20
