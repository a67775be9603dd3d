"""A new file in the old one's place: all of it or nothing, and nothing else changed."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import fakes
from bearerwatch.fingerprint import fingerprint
from bearerwatch.leaks import beside

CLEAN = b"GET /orders/7 200\r\n\xff\xfe latin \xe9\n\n\x00" * 10


def inside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def state(path: Path) -> tuple[int, ...]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size


@pytest.mark.parametrize("option", ["redact", "in_place"])
def test_a_clean_file_is_not_touched(option: str, tmp_path: Path, sweep: Any) -> None:
    path = tmp_path / "clean.log"
    path.write_bytes(CLEAN)
    before = state(path)
    assert sweep(path, **{option: True}, binary=True) == ([], [], [])
    assert state(path) == before
    assert path.read_bytes() == CLEAN


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_all_but_the_token_stays_byte_for_byte(end: bytes, tmp_path: Path, sweep: Any) -> None:
    token = fakes.opaque()
    before = (
        b"\xef\xbb\xbffirst\r\n\xff caf\xe9 Bearer "
        + token.encode()
        + b" \x80\r\n\rmid\n\nlast token="
        + token.encode()
        + end
    )
    path = tmp_path / "app.log"
    path.write_bytes(before)
    os.chmod(path, 0o4640)
    os.utime(path, ns=(10**18, 10**18 + 7))
    inode = path.stat().st_ino
    swept = sweep(path, redact=True)
    assert len(swept.leaks) == 2
    assert swept.problems == []
    assert path.read_bytes() == before.replace(token.encode(), f"[token {fingerprint(token)}]".encode())
    stat = path.stat()
    assert (stat.st_mode & 0o7777, stat.st_mtime_ns) == (0o4640, 10**18 + 7)
    assert stat.st_ino != inode
    assert inside(tmp_path) == ["app.log"]
    again = state(path)
    assert sweep(path, redact=True) == ([], [], [])
    assert state(path) == again


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_is_kept(tmp_path: Path, sweep: Any) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(f"Bearer {fakes.opaque()}\n".encode())
    os.chown(path, 12345, 54321)
    assert sweep(path, redact=True).problems == []
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_extended_attributes_are_kept(tmp_path: Path, sweep: Any) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(f"Bearer {fakes.opaque()}\n".encode())
    try:
        os.setxattr(path, "user.origin", b"shop")
    except OSError:
        pytest.skip("the file system has no extended attributes")
    sweep(path, redact=True)
    assert os.getxattr(path, "user.origin") == b"shop"


def test_of_a_symbolic_link_the_target_is_rewritten(tmp_path: Path, sweep: Any) -> None:
    token = fakes.opaque()
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "app.log"
    target.write_bytes(f"Bearer {token}\n".encode())
    link = tmp_path / "link.log"
    link.symlink_to("real/app.log")
    sweep(link, redact=True)
    assert link.is_symlink()
    assert fakes.leaked(token, target.read_bytes()) == []


def test_hard_links_are_refused_unless_in_place(tmp_path: Path, sweep: Any) -> None:
    token = fakes.opaque()
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(f"Bearer {token}\n".encode())
    os.link(path, other)
    swept = sweep(path, redact=True)
    assert len(swept.leaks) == 1
    assert "2 hard links" in swept.problems[0][1]
    assert "--in-place" in swept.problems[0][1]
    assert sweep(path, in_place=True).problems == []
    assert fakes.leaked(token, other.read_bytes()) == []


def test_what_is_no_text_is_looked_at_but_not_rewritten(tmp_path: Path, sweep: Any) -> None:
    token = fakes.opaque()
    path = tmp_path / "core"
    before = b"\x7fELF\x00\xff\xad Bearer " + token.encode() + b"\x00\xe9 rest"
    path.write_bytes(before)
    for option in ("redact", "in_place"):
        swept = sweep(path, **{option: True})
        assert len(swept.leaks) == 1
        assert "--binary" in swept.problems[0][1]
        assert path.read_bytes() == before
    assert sweep(path, redact=True, binary=True).problems == []
    after = path.read_bytes()
    assert len(after) == len(before)
    assert after[:10] == before[:10]
    assert after.endswith(b" rest")
    assert fakes.leaked(token, after) == []


def test_utf_16_is_not_passed_over_in_silence(tmp_path: Path, sweep: Any) -> None:
    path = tmp_path / "windows.log"
    path.write_text(f"Bearer {fakes.opaque()}\n", encoding="utf-16")
    assert "iconv" in sweep(path).problems[0][1]


def test_a_journald_export_states_the_right_lengths_afterwards(tmp_path: Path, sweep: Any) -> None:
    """Fields that are no text come with their length in front, which has to stay true."""
    text, inner = fakes.opaque(), fakes.jwt()
    message = f"GET /\nAuthorization: Bearer {inner}\n\x1b[0mdone".encode()
    entry = (
        b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1700000000000000\n_COMM=shop\n"
        + f"MESSAGE=Bearer {text}\n".encode()
        + b"TRACE\n" + struct.pack("<Q", len(message)) + message + b"\n_PID=7\n\n"
    )  # fmt: skip
    path = tmp_path / "export"
    path.write_bytes(entry * 3)
    swept = sweep(path, redact=True)
    assert swept.problems == []
    assert len(swept.leaks) == 6
    after = path.read_bytes()
    assert fakes.leaked(text, after) == fakes.leaked(inner, after) == []
    for _ in range(3):
        head, _, after = after.partition(b"TRACE\n")
        assert head.startswith(b"__CURSOR=")
        (length,) = struct.unpack("<Q", after[:8])
        assert after[8 : 8 + length].endswith(b"\x1b[0mdone")
        assert after[8 + length :].startswith(b"\n_PID=7\n\n")
        after = after[8 + length + len(b"\n_PID=7\n\n") :]
    assert after == b""


def test_a_file_that_somebody_writes_into_is_left_to_in_place(tmp_path: Path, sweep: Any) -> None:
    """A writer would go on writing into the file that was replaced, and its lines would be lost."""
    path = tmp_path / "app.log"
    before = f"Bearer {fakes.opaque()}\n".encode()
    path.write_bytes(before)
    with path.open("ab"):
        swept = sweep(path, redact=True)
        assert "--in-place" in swept.problems[0][1]
        assert path.read_bytes() == before
    assert sweep(path, redact=True).problems == []


def test_a_file_that_grew_meanwhile_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep: Any
) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(f"Bearer {fakes.opaque()}\n".encode())
    real = os.fsync

    def grown(handle: int) -> None:
        with path.open("ab") as file:
            file.write(b"one more\n")
        real(handle)

    monkeypatch.setattr(os, "fsync", grown)
    swept = sweep(path, redact=True)
    assert "changed while it was read" in swept.problems[0][1]
    assert path.read_bytes().endswith(b"one more\n")
    assert inside(tmp_path) == ["app.log"]


def test_two_runs_do_not_rewrite_one_file_at_once(tmp_path: Path, sweep: Any) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(f"Bearer {fakes.opaque()}\n".encode())
    with beside.Claim(beside.journal(str(path))):
        for option in ("redact", "in_place"):
            assert "another process" in sweep(path, **{option: True}).problems[0][1]
    assert sweep(path, redact=True).problems == []


def test_nothing_is_written_through_a_link_that_somebody_has_put_where_ours_go(tmp_path: Path, sweep: Any) -> None:
    path, victim = tmp_path / "app.log", tmp_path / "victim"
    path.write_bytes(f"Bearer {fakes.opaque()}\n".encode())
    victim.write_bytes(b"mine")
    Path(beside.draft(str(path))).symlink_to(victim)
    assert sweep(path, redact=True).problems == []
    path.write_bytes(f"Bearer {fakes.opaque()}\n".encode())
    Path(beside.journal(str(path))).symlink_to(victim)
    assert len(sweep(path, redact=True).problems) == 1
    assert victim.read_bytes() == b"mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
@pytest.mark.parametrize("option", ["redact", "in_place"])
def test_a_folder_that_is_read_only_is_said(option: str, tmp_path: Path, sweep: Any) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "app.log").write_bytes(f"Bearer {fakes.opaque()}\n".encode())
    folder.chmod(0o500)
    swept = sweep(folder, **{option: True})
    assert len(swept.leaks) == 1
    assert "cannot be rewritten: Permission denied" in swept.problems[0][1]


def killed(path: Path, option: str, after: float) -> None:
    """Rewrite *path* in another process, and kill that after so many seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bearerwatch.cli", "leaks", "--quiet", option, str(path)],
        env=os.environ | {"BEARERWATCH_KEYS": "k" * 32},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()


def fully_run(path: Path, option: str) -> float:
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "bearerwatch.cli", "leaks", "--quiet", option, str(path)],
        env=os.environ | {"BEARERWATCH_KEYS": "k" * 32},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return time.monotonic() - began


def rounds(path: Path, option: str, number: int) -> None:
    token = fakes.jwt()
    lines = b"".join(f"{n} GET /orders Bearer {token} é\n".encode() if n % 3 else b"clean\n" for n in range(6_000))
    path.write_bytes(lines)
    took = fully_run(path, option)
    done = path.read_bytes()
    assert done.count(b"[token ") == 4_000
    midway = 0
    for at in range(number):
        path.write_bytes(lines)
        killed(path, option, took * (0.3 + 0.7 * (at + 0.5) / number))
        left = set(inside(path.parent)) - {path.name}
        for name in left:
            draft = path.parent / name
            assert fakes.leaked(token, draft.read_bytes()) == []
            # it is nobody else's to read until it is whole, and the next thing is that it takes the log's place
            assert draft.stat().st_mode & 0o777 == 0o600 or draft.read_bytes() == done
        now = path.read_bytes()
        if option == "--redact":
            assert now in (lines, done)
        midway += now not in (lines, done) or bool(left)
        fully_run(path, option)
        assert path.read_bytes() == done
        assert inside(path.parent) == [path.name]
    assert midway or number < 100


@pytest.mark.parametrize("option", ["--redact", "--in-place"])
def test_a_run_that_is_killed_leaves_nothing_that_the_next_does_not_mend(option: str, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    rounds(tmp_path / "logs" / "app.log", option, 10)


@pytest.mark.soak
@pytest.mark.parametrize("option", ["--redact", "--in-place"])
def test_a_hundred_runs_that_are_killed(option: str, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    rounds(tmp_path / "logs" / "app.log", option, 100)
