"""Logs are followed through every kind of rotation and end of the collector: each line once, and no file touched."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.ingest import log_tail
from bearerwatch.ingest.lines import MAX_LINE
from bearerwatch.ingest.log_tail import LogTail
from bearerwatch.store.state import State

_CLOCK = 0.006
"""Seconds between what is told apart by its age: clocks of file systems are coarse."""


class Followed:
    """A log, whoever writes it, and a collector reduced to its tail."""

    def __init__(self, folder: Path, state: State, said: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / "access.log"
        self._state = state
        self._said = said
        self._number = 0
        self._writer: Any = None
        self.tail = self._opened()

    def _opened(self) -> LogTail:
        return LogTail(self.path, "access:edge", self._state, complain=self._said)

    def write(self, count: int = 1, *, ended: bool = True) -> list[bytes]:
        """Append lines, each with its number, as a server does: with the file it has open."""
        if self._writer is None:
            self._writer = self.path.open("ab", buffering=0)
        lines = [b"line %d " % (self._number + n) + b"x" * 40 for n in range(count)]
        self._number += count
        self._writer.write(b"\n".join(lines) + (b"\n" if ended else b""))
        return lines

    def reopen(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def rename(self, to: str = "access.log.1", *, reopened: bool = True) -> Path:
        """As logrotate does without copytruncate."""
        time.sleep(_CLOCK)
        target = self.path.with_name(to)
        self.path.rename(target)
        if reopened:
            self.reopen()
        return target

    def pack(self, path: Path) -> Path:
        """As gzip does: another file, of the same age."""
        packed = path.with_name(f"{path.name}.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        status = path.stat()
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.unlink()
        return packed

    def copytruncate(self, to: str = "access.log.1") -> None:
        time.sleep(_CLOCK)
        shutil.copyfile(self.path, self.path.with_name(to))
        time.sleep(_CLOCK)
        os.truncate(self.path, 0)

    def commit(self) -> None:
        with self._state.begin() as tx:
            self.tail.save(tx)
        self.tail.committed()

    def lines(self, **limits: int) -> list[bytes]:
        found = [raw.line for raw in self.tail.poll(**limits)]
        self.commit()
        return found

    def rest(self) -> list[bytes]:
        """What comes in a few rounds."""
        return [line for _ in range(6) for line in self.lines()]

    def die(self) -> None:
        """As by kill -9: whatever was not committed is forgotten."""
        self.tail.close()
        self.tail = self._opened()

    def close(self) -> None:
        self.tail.close()
        self.reopen()


@pytest.fixture
def log(tmp_path: Path, state: State, said: object) -> Iterator[Followed]:
    made = Followed(tmp_path / "log", state, said)
    yield made
    made.close()


def test_what_is_appended_comes_once_and_says_where_it_stands(log: Followed) -> None:
    first = log.write(2)

    raws = log.tail.poll()
    assert [raw.line for raw in raws] == first
    assert [(raw.source, raw.segment, raw.offset) for raw in raws] == [
        ("access:edge", str(log.path), 0),
        ("access:edge", str(log.path), len(first[0]) + 1),
    ]
    assert log.tail.moved
    log.commit()
    assert not log.tail.moved
    assert log.lines() == []
    second = log.write()
    assert log.lines() == second


def test_half_a_line_waits_for_its_other_half(log: Followed) -> None:
    log.write(2, ended=False)

    assert len(log.lines()) == 1
    log.write(1)
    assert len(log.lines()) == 1, "the two halves are one line"


def test_nothing_is_lost_or_doubled_by_kill(log: Followed) -> None:
    """What was read and not committed is read again; what was committed is not."""
    first = log.write(3)
    assert log.lines() == first
    second = log.write(3)
    assert [raw.line for raw in log.tail.poll()] == second
    log.die()

    assert log.rest() == second
    log.die()
    assert log.rest() == []


def test_a_log_shorter_than_a_mark_is_known_again(log: Followed) -> None:
    """What a log is known by grows with what was read of it."""
    for _ in range(200):
        line = log.write()
        assert log.lines() == line
        if log._number % 20 == 0:
            log.die()
            assert log.rest() == []


def test_renamed_and_written_anew(log: Followed) -> None:
    """The server goes on writing to the old file until it is told: that is read, too."""
    expected = log.write(3)
    got = log.lines()
    log.rename(reopened=False)
    expected += log.write(2)
    got += log.lines()
    log.reopen()
    expected += log.write(2)
    got += log.rest()

    assert got == expected


def test_the_last_line_of_what_was_renamed_needs_no_newline(log: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "_QUIET", 0.0)
    expected = log.write(2, ended=False)
    log.lines()
    log.rename()
    expected += log.write(1)

    assert expected[1] in log.rest()


def test_copied_and_cut(log: Followed) -> None:
    """Lines that were not read before the cut stand in the copy."""
    expected = log.write(3)
    got = log.lines()
    expected += log.write(3)
    log.copytruncate()
    expected += log.write(2)
    got += log.rest()

    assert got == expected


def test_copied_and_cut_and_grown_beyond_what_was_read(log: Followed) -> None:
    expected = log.write(3)
    got = log.lines()
    log.copytruncate()
    expected += log.write(30)
    got += log.rest()

    assert got == expected


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("by", ["rename", "copytruncate"])
def test_rotated_while_nobody_read(log: Followed, by: str, packed: bool) -> None:
    """Twice: what was left of the first file, all of the second, and what the new one has."""
    expected = log.write(150)
    got = log.lines(limit_lines=100)
    log.die()
    expected += log.write(10)
    for name in ("access.log.2", "access.log.1"):
        getattr(log, by)(name)
        if packed:
            log.pack(log.path.with_name(name))
        expected += log.write(20)
    got += log.rest()

    assert got == expected
    log.die()
    assert log.rest() == []


def test_rotated_and_packed_after_it_was_read_is_not_read_again(log: Followed) -> None:
    log.write(150)
    log.lines()
    log.pack(log.rename())
    second = log.write(3)

    assert log.rest() == second
    log.die()
    assert log.rest() == []


def test_older_files_beside_it_are_not_read(log: Followed) -> None:
    """At the first start a log is read from its beginning, and what was rotated before is not."""
    log.write(5)
    log.rename()
    new = log.write(2)

    assert log.rest() == new


def test_two_rotations_between_two_looks(log: Followed) -> None:
    expected = log.write(100)
    got = log.lines()
    log.rename("access.log.2")
    expected += log.write(100)
    log.rename("access.log.1")
    expected += log.write(100)
    got += log.rest()

    assert got == expected


def test_rewritten_in_place_it_is_the_same_log(log: Followed) -> None:
    """As an editor does: another file with the same lines."""
    log.write(150)
    log.lines()
    draft = log.path.with_name(".draft")
    shutil.copyfile(log.path, draft)
    log.reopen()
    draft.replace(log.path)
    more = log.write(2)

    assert log.rest() == more


def test_a_gap_is_told(log: Followed, said: Any) -> None:
    log.write(150)
    log.lines()
    log.die()
    log.rename("elsewhere")
    new = log.write(150)

    assert log.rest() == new
    assert "is not the log that was read last" in said.text
    assert log.tail.figures().lost == 1


def test_another_log_of_the_same_service_is_no_gap(log: Followed, state: State, said: Any, tmp_path: Path) -> None:
    log.write(150)
    log.lines()
    (tmp_path / "second.log").write_bytes(b"something else\n")
    second = LogTail(tmp_path / "second.log", "access:edge", state, complain=said)

    assert [raw.line for raw in second.poll()] == [b"something else"]
    assert said.text == ""
    second.close()


def test_a_log_that_is_not_there_is_told_of_once(log: Followed, said: Any) -> None:
    for _ in range(5):
        assert log.lines() == []

    assert said.text.count("it is not there") == 1
    line = log.write()
    assert log.lines() == line


def test_what_is_no_log_is_told_of_once(tmp_path: Path, state: State, said: Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "packed.log").write_bytes(gzip.compress(b"x\n"))
    for name in ("pipe", "packed.log"):
        tail = LogTail(tmp_path / name, "access:edge", state, complain=said)
        assert [tail.poll() for _ in range(3)] == [[], [], []]
        tail.close()

    assert said.text.count("not a regular file") == 1
    assert said.text.count("it is packed") == 1


def test_an_overlong_line_is_handed_out_by_its_head(log: Followed) -> None:
    log.write(1)
    log._writer.write(b"y" * (MAX_LINE * 3) + b"\n")
    last = log.write(1)

    found = [raw for _ in range(4) for raw in log.tail.poll()]
    assert [raw.length for raw in found] == [-1, MAX_LINE * 3, -1]
    assert found[-1].line == last[0]


def test_damaged_files_beside_it_are_passed_over(log: Followed, said: Any) -> None:
    log.write(150)
    log.lines()
    log.die()
    log.path.with_name("access.log.3.gz").write_bytes(b"\x1f\x8b" + b"\x00" * 30)
    more = log.write(1)

    assert log.rest() == more
    assert "is passed over: its gzip data is damaged" in said.text


def test_no_log_is_written_to_or_removed(log: Followed) -> None:
    log.write(100)
    log.rename()
    log.write(100)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in log.path.parent.iterdir()}
    log.rest()
    log.path.parent.chmod(0o500)
    try:
        log.die()
        log.rest()
    finally:
        log.path.parent.chmod(0o700)

    assert before == {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in log.path.parent.iterdir()}


def test_a_link_to_a_log_is_followed(tmp_path: Path, log: Followed, state: State) -> None:
    line = log.write()
    (tmp_path / "link.log").symlink_to(log.path)
    tail = LogTail(tmp_path / "link.log", "access:other", state)

    assert [raw.line for raw in tail.poll()] == line
    tail.close()


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_in_whatever_order(log: Followed, seed: int) -> None:
    """Written, rotated both ways, packed, killed, read in portions: each line comes once, at least in the end."""
    draw = random.Random(seed)
    expected, rotations = log.write(60), 0
    got = log.lines()  # a log is known once something was read of it
    for _ in range(60):
        match draw.choice(["write", "write", "read", "read", "commit", "die", "rename", "cut"]):
            case "write":
                expected += log.write(draw.randint(1, 60))
            case "read":
                got += log.lines(limit_lines=draw.choice([7, 50, 5_000]))
            case "commit":
                log.commit()
            case "die":
                log.die()
            case "rename" if log.path.stat().st_size > 5_000:
                rotations += 1
                path = log.rename(f"access.log.{99 - rotations}")
                if draw.random() < 0.5 and not log.tail._rotated:
                    log.pack(path)
                expected += log.write(60)
            case "cut" if log.path.stat().st_size > 5_000:
                rotations += 1
                log.copytruncate(f"access.log.{99 - rotations}")
                expected += log.write(60)
    for _ in range(4):
        got += log.rest()

    assert sorted(got) == sorted(expected)
