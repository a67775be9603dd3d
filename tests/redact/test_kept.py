"""What was compiled is kept for the processes that come after, if nobody else can have touched it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hyperscan
import pytest

from bearerwatch._version import __version__
from bearerwatch.redact._accel import Prefilter
from bearerwatch.redact._kept import Kept
from bearerwatch.redact.coarse import expressions

_NAME = "forms.test"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it is kept."""
    return tmp_path / "state" / "compiled" / _NAME


def unasked() -> list[tuple[int, str]]:
    raise AssertionError("compiled again")


def test_the_second_process_compiles_nothing_and_finds_the_same(path: Path) -> None:
    first = Prefilter(expressions, kept=_NAME)
    assert first.ready()
    second = Prefilter(unasked, kept=_NAME)
    assert second.ready()
    for text in ("access_token=a1B2c3D4e5F6g7H8", "nothing", "sshpass -p aB3xK9kQ ssh x", "a" * 40):
        assert second(text) == first(text)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [_NAME]


def test_nothing_is_kept_without_a_name(path: Path) -> None:
    assert Prefilter(lambda: [(0, "a")]).ready()
    assert not path.parent.exists()


def _for_all(path: Path) -> None:
    path.chmod(0o666)


def _folder_for_all(path: Path) -> None:
    path.parent.chmod(0o777)


def _linked(path: Path) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to("other")


def _damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize("spoil", [_for_all, _folder_for_all, _linked, _damaged, _cut])
def test_what_others_may_have_written_is_not_read(path: Path, spoil: Callable[[Path], None]) -> None:
    kept = Kept(_NAME, "1")
    kept.save(b"what was compiled")
    assert kept.load() == b"what was compiled"
    spoil(path)
    assert kept.load() is None


def test_what_was_made_with_something_else_is_not_read() -> None:
    Kept(_NAME, "1").save(b"what was compiled")
    assert Kept(_NAME, "2").load() is None


def test_what_the_library_cannot_read_is_made_anew(path: Path) -> None:
    kept = Kept(_NAME, f"{hyperscan.__version__} {__version__}")
    kept.save(b"no database")
    made = Prefilter(lambda: [(7, "b")], kept=_NAME)
    assert made.ready()
    assert made("ab") == [7]
    assert kept.load() not in (None, b"no database")


@pytest.mark.parametrize("state", ["", "/dev/null"])
def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(monkeypatch, state: str) -> None:
    monkeypatch.setenv("BEARERWATCH_STATE", state)
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    made = Prefilter(lambda: [(7, "b")], kept=_NAME)
    assert made.ready()
    assert made("ab") == [7]
