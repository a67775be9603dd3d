"""A lake and a database that do not belong together never touch each other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.store.lake import Lake
from bearerwatch.store.reader import Reader
from bearerwatch.store.state import State, default_url
from store.kept import Kept
from store.made import lines


def test_a_fresh_database_does_not_empty_a_lake(
    kept: Kept, con: duckdb.DuckDBPyConnection, tmp_path: Path, opened: Callable[[str], State]
) -> None:
    """A mistyped ``--state-url`` must not make every file an orphan."""
    kept.keep(lines(0, 10))
    other = opened(default_url(tmp_path / "other"))
    with con.cursor() as cursor:
        cursor.execute("CREATE SCHEMA other; USE other")
        lake = Lake(kept.folder / "lake", other, cursor)
        with pytest.raises(ConfigurationError, match="another state database"):
            lake.sweep_orphans()

    assert kept.ids() == list(range(10))


def test_a_lake_of_another_database_is_not_used(
    kept: Kept, con: duckdb.DuckDBPyConnection, tmp_path: Path, opened: Callable[[str], State]
) -> None:
    kept.keep(lines(0, 10))
    other = opened(default_url(tmp_path / "other"))
    with con.cursor() as cursor:
        cursor.execute("CREATE SCHEMA other; USE other")
        lake = Lake(tmp_path / "other" / "lake", other, cursor)
        lake.sweep_orphans()
        lake.append(lines(0, 5))
        with other.begin() as tx:
            lake.publish(tx)
        lake.committed()
        (tmp_path / "other" / "lake").rename(tmp_path / "gone")
        (kept.folder / "lake").rename(tmp_path / "other" / "lake")

        with pytest.raises(ConfigurationError, match="not the one"):
            lake.sweep_orphans()
        with pytest.raises(ConfigurationError, match="not the one"), Reader(tmp_path / "other"):
            pytest.fail("read another database's lake")


def test_a_lost_lake_can_be_given_up(kept: Kept, tmp_path: Path) -> None:
    """The message says what to write where, and that is enough."""
    kept.keep(lines(0, 10))
    lake = kept.folder / "lake"
    lake.rename(tmp_path / "lost")
    lake.mkdir()
    with pytest.raises(ConfigurationError, match="write the line") as caught:
        kept.lake.sweep_orphans()
    words = str(caught.value).partition("write the line ")[2].split(" to ", 1)
    Path(words[1]).write_text(words[0] + "\n")

    kept.lake.sweep_orphans()

    assert kept.ids() == []
    kept.keep(lines(10, 1))
    assert kept.ids() == [10]


def test_dying_between_the_two_writes_does_no_harm(kept: Kept, folder: Path, opened: Callable[[str], State]) -> None:
    marker = folder / "lake" / "ID"
    for left in ("", "something else\n", None):
        if left is None:
            marker.unlink()
        else:
            marker.write_text(left)
        kept.lake.sweep_orphans()
        assert len(marker.read_text().strip()) == 32
    kept.keep(lines(0, 3))
    assert kept.ids() == [0, 1, 2]


def test_a_marker_that_is_a_link_is_not_followed(kept: Kept, tmp_path: Path) -> None:
    marker = kept.folder / "lake" / "ID"
    (tmp_path / "elsewhere").write_text(marker.read_text())
    marker.unlink()
    marker.symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere").read_text()

    with pytest.raises((ConfigurationError, OSError)):
        kept.lake.sweep_orphans()
    assert (tmp_path / "elsewhere").read_text() == before


def test_the_reader_says_that_there_is_no_collector(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="bearerwatch serve"), Reader(tmp_path):
        pytest.fail("read what is not there")
    assert list(tmp_path.iterdir()) == []


def test_the_reader_says_that_the_tables_are_old(tmp_path: Path) -> None:
    with closing(State(default_url(tmp_path))), pytest.raises(ConfigurationError, match="up to date"), Reader(tmp_path):
        pytest.fail("read what is not there")
