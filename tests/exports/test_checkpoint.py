"""How far an export has come: kept whole, for one export, and for one run at a time."""

from __future__ import annotations

import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.exports import ExportError
from bearerwatch.exports.checkpoint import Checkpoint
from bearerwatch.store.stream import Mark

MARK = Mark(datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC), "id-1", "spool:orders")


def test_a_mark_is_read_back_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    with closing(Checkpoint(path, "ocsf")) as first:
        assert first.mark is None
        first.reached(MARK)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(Checkpoint(path, "ocsf")) as second:
        assert second.mark == MARK
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mark", "mark.lock"]


def test_two_runs_at_once_are_kept_apart(tmp_path: Path) -> None:
    with closing(Checkpoint(tmp_path / "mark", "ocsf")), pytest.raises(ExportError, match="is running"):
        Checkpoint(tmp_path / "mark", "ocsf")
    Checkpoint(tmp_path / "mark", "ocsf").close()


def test_another_exports_mark_is_not_taken(tmp_path: Path) -> None:
    with closing(Checkpoint(tmp_path / "mark", "ocsf")) as first:
        first.reached(MARK)
    with pytest.raises(ConfigurationError, match="a file of its own"):
        Checkpoint(tmp_path / "mark", "ecs")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"version":2}', b'{"version":1,"of":"ocsf"}'])
def test_a_damaged_file_does_not_start_everything_anew(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "mark").write_bytes(damage)
    with pytest.raises(ConfigurationError, match="damaged: restore it, or remove it"):
        Checkpoint(tmp_path / "mark", "ocsf")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Checkpoint(tmp_path / "none" / "mark", "ocsf")


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".mark.tmp").symlink_to(victim)
    with closing(Checkpoint(tmp_path / "mark", "ocsf")) as kept, pytest.raises(ExportError, match="cannot be written"):
        kept.reached(MARK)
    assert victim.read_text() == "precious"
