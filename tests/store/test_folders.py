"""Folders and files nobody else may enter."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.store.folders import fsync, private_file, private_folder, state_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def generous_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


def test_folders_are_made_on_the_way(tmp_path: Path) -> None:
    made = private_folder(tmp_path / "a" / "b" / "c", below=tmp_path)

    assert [mode(p) for p in (made, made.parent, made.parent.parent)] == [0o700] * 3
    assert private_folder(made, below=tmp_path) == made


def test_a_loose_folder_is_tightened(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o777)
    assert mode(private_folder(tmp_path / "a")) == 0o700


def test_a_shared_folder_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o1777)
    assert mode(private_folder(tmp_path / "a")) == 0o1777


def test_somebody_elses_folder_is_not_made_a_state_folder(tmp_path: Path) -> None:
    """``--state /srv``, by root: everybody else would be locked out of it."""
    (tmp_path / "srv").mkdir(mode=0o755)
    (tmp_path / "srv" / "www").mkdir()
    with pytest.raises(ConfigurationError, match="chmod 700"):
        state_folder(tmp_path / "srv")
    assert mode(tmp_path / "srv") == 0o755

    (tmp_path / "srv").chmod(0o700)
    assert state_folder(tmp_path / "srv") == tmp_path / "srv"


@pytest.mark.parametrize("held", ["spool", "fingerprint.key", "collector.lock", "state.db", "lake", "lost+found", ""])
def test_a_state_folder_of_ours_is_tightened(tmp_path: Path, held: str) -> None:
    """An application may have begun it, or systemd, or whoever made an empty disk."""
    (tmp_path / "state" / held).mkdir(parents=True)
    (tmp_path / "state").chmod(0o755)
    assert mode(state_folder(tmp_path / "state")) == 0o700


def test_a_state_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert mode(state_folder(tmp_path / "a" / "b")) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be used"):
        state_folder(tmp_path / "file" / "b")


@pytest.mark.parametrize("kind", ["link", "file", "dangling"])
def test_what_is_no_folder_of_ours_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    if kind == "file":
        (tmp_path / "a").write_bytes(b"")
    else:
        (tmp_path / "a").symlink_to(tmp_path / ("elsewhere" if kind == "link" else "nowhere"))
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(ConfigurationError, match="move it away"):
            private_folder(path, below=tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_folder_below_which_we_work_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    private_folder(tmp_path / "link" / "a", below=tmp_path / "link")
    assert (tmp_path / "real" / "a").is_dir()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="owner"):
        private_folder(tmp_path / "file" / "a")


def test_a_private_file_is_created_once_and_kept(tmp_path: Path) -> None:
    private_file(tmp_path / "f")
    assert mode(tmp_path / "f") == 0o600
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "f").chmod(0o666)
    private_file(tmp_path / "f")
    assert mode(tmp_path / "f") == 0o600
    assert (tmp_path / "f").read_bytes() == b"x"


def test_a_private_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "f")
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(ConfigurationError, match="ordinary file"):
            private_file(tmp_path / name)
    assert not (tmp_path / "f").exists()


def test_fsync_follows_no_link_and_closes_files_to_others(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "f").chmod(0o644)
    fsync(tmp_path / "f")
    fsync(tmp_path)
    assert mode(tmp_path / "f") == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "f")
    with pytest.raises(OSError, match="symbolic"):
        fsync(tmp_path / "link")
