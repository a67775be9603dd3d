"""A file that goes on being written: inode, size and offsets stay, and what is appended meanwhile is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fakes
from bearerwatch.fingerprint import fingerprint
from bearerwatch.leaks import beside, journal
from bearerwatch.leaks.pieces import SIZE
from bearerwatch.leaks.sources import Source
from bearerwatch.leaks.sweep import Sweep


def test_nothing_but_the_tokens_bytes_changes(tmp_path: Path, sweep: Any) -> None:
    token, short = fakes.jwt(), fakes.opaque(12) + "7"
    before = f"a\r\nBearer {token} é\n\npassword={short}\n".encode() + b"\xff\n"
    path = tmp_path / "app.log"
    path.write_bytes(before)
    os.chmod(path, 0o640)
    inode = path.stat().st_ino
    with path.open("ab"):  # somebody has it open for writing, which is what this is for
        swept = sweep(path, in_place=True)
    assert (len(swept.leaks), swept.problems, swept.remarks) == (2, [], [])
    after = path.read_bytes()
    assert len(after) == len(before)
    assert (path.stat().st_ino, path.stat().st_mode & 0o777) == (inode, 0o640)
    for start, length in [(before.index(token.encode()), len(token)), (before.index(short.encode()), len(short))]:
        before = before[:start] + after[start : start + length] + before[start + length :]
    assert after == before
    assert f"[token {fingerprint(token)}]".encode() in after
    assert fakes.leaked(token, after) == fakes.leaked(short, after) == []
    mtime = path.stat().st_mtime_ns
    assert sweep(path, in_place=True) == ([], [], [])
    assert path.stat().st_mtime_ns == mtime
    assert [one.name for one in tmp_path.iterdir()] == ["app.log"]


def test_a_last_line_that_has_not_ended_is_left_alone_and_said(tmp_path: Path, sweep: Any) -> None:
    token = fakes.opaque()
    path = tmp_path / "app.log"
    tail = f"Bearer {token}".encode()
    path.write_bytes(f"Bearer {token}\n".encode() + tail)
    swept = sweep(path, in_place=True)
    assert [leak.line for _, leak in swept.leaks] == [1, 2]
    assert "not ended yet" in swept.remarks[0][1]
    assert path.read_bytes().endswith(b"*\n" + tail) or path.read_bytes().endswith(b"]\n" + tail)
    with path.open("ab") as file:
        file.write(b"\n")
    assert len(sweep(path, in_place=True).leaks) == 1
    assert fakes.leaked(token, path.read_bytes()) == []


def test_what_is_appended_while_it_is_read_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    line = f"Bearer {fakes.opaque()}\n".encode()
    path.write_bytes((line + b"clean\n" * 20_000) * 4)
    before = path.stat().st_size
    assert before > SIZE
    appended: list[int] = []

    def advance(read: int) -> None:
        if not appended:
            with path.open("ab") as file:
                file.write(line)
        appended.append(read)

    found = list(Sweep(in_place=True)(Source(str(path), before, regular=True), advance))
    assert len(found) == 4
    assert len(appended) > 1
    assert path.read_bytes()[before:] == line


def test_long_lines_in_place(tmp_path: Path, sweep: Any) -> None:
    tokens = [fakes.jwt() for _ in range(30)]
    line = "".join(f"{'x y z ' * (SIZE // 60)} Bearer {token}" for token in tokens)
    path = tmp_path / "app.log"
    path.write_bytes(f"{line}\nend\n".encode())
    size = path.stat().st_size
    assert size > 2.5 * SIZE
    swept = sweep(path, in_place=True)
    assert (len(swept.leaks), swept.problems) == (30, [])
    after = path.read_bytes()
    assert len(after) == size
    assert [token for token in tokens if fakes.leaked(token, after)] == []
    assert sweep(path, in_place=True).leaks == []


APPEND = """
import os, sys
path, token, number = sys.argv[1], sys.argv[2], 0
handle = os.open(path, os.O_WRONLY | os.O_APPEND)
while number < 40_000:
    os.write(handle, f"{number} GET /x Bearer {token} some words\\n".encode())
    number += 1
"""


def test_while_another_process_appends(tmp_path: Path, sweep: Any) -> None:
    token = fakes.jwt()
    path = tmp_path / "app.log"
    path.touch()
    inode = path.stat().st_ino
    writer = subprocess.Popen([sys.executable, "-c", APPEND, path, token])
    try:
        runs = grown = 0
        while writer.poll() is None:
            before = path.stat().st_size
            assert sweep(path, in_place=True).problems == []
            grown += path.stat().st_size > before
            runs += 1
        assert runs
        assert grown
    finally:
        writer.wait()
    assert sweep(path, in_place=True).problems == []
    assert path.stat().st_ino == inode
    lines = path.read_bytes().split(b"\n")
    mark = f"[token {fingerprint(token)}]".ljust(len(token), "*")
    assert lines == [*(f"{n} GET /x Bearer {mark} some words".encode() for n in range(40_000)), b""]


def stopped_midway(path: Path, monkeypatch: pytest.MonkeyPatch, sweep: Any, *, torn: bool) -> None:
    """As a crash would: after the journal, and half of the first patch."""

    class Crash(BaseException):
        pass

    real = os.pwrite
    written = []

    def pwrite(handle: int, data: bytes, offset: int) -> int:
        if os.fstat(handle).st_ino != path.stat().st_ino:
            return real(handle, data, offset)
        if torn:
            real(handle, data[: len(data) // 2], offset)
        written.append(offset)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        with pytest.raises(Crash):
            sweep(path, in_place=True)
    assert written


@pytest.fixture
def log(tmp_path: Path) -> tuple[Path, str]:
    token = fakes.jwt()
    path = tmp_path / "app.log"
    path.write_bytes(f"one\nBearer {token} and Bearer {token}\ntwo Bearer {token}\n".encode())
    return path, token


@pytest.mark.parametrize("torn", [False, True])
def test_what_a_crash_left_is_finished_by_the_next_run(
    log: tuple[Path, str], torn: bool, monkeypatch: pytest.MonkeyPatch, sweep: Any
) -> None:
    path, token = log
    whole = len(path.read_bytes())
    stopped_midway(path, monkeypatch, sweep, torn=torn)
    left = Path(beside.journal(str(path)))
    assert left.stat().st_mode & 0o777 == 0o600
    assert fakes.leaked(token, left.read_bytes()) == []
    assert token.encode() in path.read_bytes()
    swept = sweep(path, in_place=True)
    assert (swept.leaks, swept.problems) == ([], [])
    assert "done now" in swept.remarks[0][1]
    after = path.read_bytes()
    assert len(after) == whole
    assert fakes.leaked(token, after) == []
    assert after.count(f"[token {fingerprint(token)}]".encode()) == 3
    assert not left.exists()


def test_a_log_that_was_rotated_since_is_mended_under_its_new_name(
    log: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, sweep: Any
) -> None:
    path, token = log
    stopped_midway(path, monkeypatch, sweep, torn=True)
    rotated = path.with_name("app.log.1")
    path.rename(rotated)
    path.write_bytes(b"fresh\n" * 100)
    swept = sweep(path, in_place=True)
    assert [Path(name).name for name, _ in swept.remarks] == ["app.log.1"]
    assert path.read_bytes() == b"fresh\n" * 100
    assert fakes.leaked(token, rotated.read_bytes()) == []


def test_a_log_that_was_truncated_since_is_left_as_it_is(
    log: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, sweep: Any
) -> None:
    path, _ = log
    stopped_midway(path, monkeypatch, sweep, torn=False)
    fresh = b"quite another line, and long enough\n" * 40
    path.write_bytes(fresh)
    sweep(path, in_place=True)
    assert path.read_bytes() == fresh
    assert not Path(beside.journal(str(path))).exists()


def test_a_journal_that_was_not_written_to_its_end_says_that_nothing_was_done(
    log: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, sweep: Any
) -> None:
    path, _ = log
    before = path.read_bytes()
    stopped_midway(path, monkeypatch, sweep, torn=False)
    left = Path(beside.journal(str(path)))
    noted = left.read_bytes()
    for length in range(1, len(noted), 37):
        left.write_bytes(noted[:length])
        left.chmod(0o600)
        assert list(journal.finish(str(path.parent))) == []
        assert not left.exists()
        assert path.read_bytes() == before
    changed = bytearray(noted)
    changed[noted.index(b"\n") + 20] ^= 1  # of what was to be written
    left.write_bytes(changed)
    left.chmod(0o600)
    assert list(journal.finish(str(path.parent))) == []
    assert path.read_bytes() == before


def test_a_draft_that_a_killed_run_left_behind_goes(tmp_path: Path, sweep: Any) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"clean\n")
    left = Path(beside.draft(str(tmp_path / "rotated-away.log")))
    left.write_bytes(b"half of it")
    assert sweep(path, redact=True) == ([], [], [])
    assert [one.name for one in tmp_path.iterdir()] == ["app.log"]


def test_a_journal_of_somebody_else_is_not_followed(
    log: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, sweep: Any
) -> None:
    path, _ = log
    before = path.read_bytes()
    stopped_midway(path, monkeypatch, sweep, torn=False)
    Path(beside.journal(str(path))).chmod(0o666)
    swept = sweep(path, in_place=True)
    assert "was not made by this user" in swept.problems[0][1]
    assert path.read_bytes() == before


def test_what_changed_between_looking_and_writing_is_not_written_over(
    log: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, sweep: Any
) -> None:
    path, _ = log
    fresh = b"all is new here, by copytruncate\n" * 20
    real = journal.note

    def note(*args: Any) -> None:
        path.write_bytes(fresh)
        real(*args)

    monkeypatch.setattr(journal, "note", note)
    swept = sweep(path, in_place=True)
    assert "run again" in swept.problems[0][1]
    assert path.read_bytes() == fresh


INTERRUPTED = """
import signal, sys
from bearerwatch.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # this run's own may be ignored
sys.exit(main(["leaks", "--quiet", "--in-place", sys.argv[1]]))
"""


def test_an_interrupt_leaves_nothing_half_done(log: tuple[Path, str]) -> None:
    path, _ = log
    path.write_bytes(path.read_bytes() * 3000)
    size = path.stat().st_size
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, path],
        env=os.environ | {"BEARERWATCH_KEYS": "k" * 32},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []
    after = path.read_bytes()
    assert len(after) == size
    assert after.count(b"\n") == 9000
