"""Damaged files: queries go on without them, they are set aside, and somebody is told."""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.store import manifest
from bearerwatch.store.catalog import Catalog
from bearerwatch.store.engine import connect
from bearerwatch.store.integrity import Inspector
from bearerwatch.store.lake import Lake
from bearerwatch.store.manifest import Segment
from bearerwatch.store.state import StateBusy
from store.kept import Kept
from store.made import HOUR, line, lines, traffic


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def lengthen(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"PAR1")


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def garbage(path: Path) -> None:
    path.write_bytes(b"PAR1" + random.Random(1).randbytes(path.stat().st_size - 8) + b"PAR1")


def garbled_footer(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-60:-20] = random.Random(2).randbytes(40)
    path.write_bytes(content)


def garbled_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    path.write_bytes(content)


def link(path: Path) -> None:
    copy = path.with_name("copy")
    path.rename(copy)
    path.symlink_to(copy)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE = [truncate, empty, lengthen, zero, garbage, garbled_footer, garbled_pages, link, folder_instead]


@pytest.fixture
def three(kept: Kept) -> list[Path]:
    """Three segments, of events 0-99, 100-199 and 200-299."""
    found: list[Path] = []
    for start in (0, 100, 200):
        before = set(kept.files)
        kept.keep([line(n, path=f"/orders/{random.Random(n).randbytes(20).hex()}") for n in range(start, start + 100)])
        found += set(kept.files) - before
    return found


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside(kept: Kept, three: list[Path], damage: Callable[[Path], None]) -> None:
    damage(three[1])

    def everything(events: str) -> list[tuple[str]]:
        return kept.con.execute(f"SELECT event_id FROM (SELECT * FROM {events} ORDER BY random())").fetchall()

    found = kept.lake.reading(None, None, everything)

    assert sorted(int(identifier.replace("-", ""), 16) for (identifier,) in found) == [*range(100), *range(200, 300)]
    assert not three[1].exists()
    [aside] = (kept.folder / "quarantine" / "files").iterdir()
    assert aside.name.endswith(three[1].name)
    [said] = kept.said
    for part in (str(three[1]), str(aside), "100 events", "2026-01-02 03:00:00", "backup", "disk"):
        assert part in said
    with kept.state.read() as conn:
        [dropped] = manifest.dropped(conn)
    assert (dropped.path, dropped.reason) == (str(three[1].relative_to(kept.lake.folder)), "damaged")


def test_a_garbled_footer_is_found_before_duckdb_reads_it(kept: Kept, three: list[Path]) -> None:
    """DuckDB believes what it says: such a file has cost gigabytes of memory, or the whole in-memory database."""
    garbled_footer(three[1])

    kept.lake.scan()

    assert not three[1].exists()


def test_a_deleted_file_is_left_out(kept: Kept, three: list[Path]) -> None:
    three[0].unlink()

    assert kept.ids() == list(range(100, 300))
    assert kept.ids() == list(range(100, 300))
    [said] = kept.said
    assert "is missing" in said


def test_all_of_them(kept: Kept, three: list[Path]) -> None:
    truncate(three[0])
    three[1].unlink()
    garbled_pages(three[2])

    assert kept.ids() == []
    assert len(kept.said) == 3
    kept.keep(lines(300, 1))
    assert kept.ids() == [300]


def test_the_collector_goes_on_with_the_same_connection(kept: Kept, three: list[Path]) -> None:
    kept.lake.append(lines(300, 5))
    for damage, path in zip((garbage, zero, garbled_pages), three, strict=True):
        damage(path)
    kept.ids()

    assert kept.con.execute(f"SELECT count(*) FROM {kept.lake.pending()}").fetchall() == [(5,)]
    kept.keep()
    assert kept.ids() == list(range(300, 305))


def test_a_flipped_bit_is_found_by_verify(kept: Kept, three: list[Path]) -> None:
    content = bytearray(three[2].read_bytes())
    content[len(content) // 3] ^= 1
    three[2].write_bytes(content)

    assert kept.lake.verify() == [str(three[2].relative_to(kept.lake.folder))]
    assert kept.lake.verify() == []
    assert kept.ids() == list(range(200))


def test_a_flipped_bit_is_not_carried_into_a_merged_file(kept: Kept, three: list[Path]) -> None:
    content = bytearray(three[2].read_bytes())
    content[len(content) // 3] ^= 1
    three[2].write_bytes(content)

    kept.lake.compact(HOUR + timedelta(days=1))

    assert kept.ids() == list(range(200))
    assert "damaged" in kept.said[0]


def test_a_file_put_back_from_a_backup_is_used_again(kept: Kept, three: list[Path]) -> None:
    backup = three[1].read_bytes()
    truncate(three[1])
    kept.ids()
    three[1].write_bytes(backup)
    assert kept.ids() == [*range(100), *range(200, 300)]

    kept.lake.sweep_orphans()

    assert kept.ids() == list(range(300))


def test_a_bad_backup_is_set_aside_again(kept: Kept, three: list[Path]) -> None:
    backup = three[1].read_bytes()
    truncate(three[1])
    kept.ids()
    three[1].write_bytes(backup[:-10] + b"0" * 10)

    kept.lake.sweep_orphans()

    assert kept.ids() == [*range(100), *range(200, 300)]
    assert len(kept.said) == 2


def test_a_mistake_in_the_query_is_no_damage(kept: Kept, three: list[Path]) -> None:
    for sql, error in [
        ("SELECT nothing FROM {}", duckdb.BinderException),
        ("SELEC", duckdb.ParserException),
        ("SELECT * FROM {}, nowhere", duckdb.CatalogException),
        ("SELECT service::INT FROM {}", duckdb.ConversionException),
    ]:
        with pytest.raises(error):
            kept.lake.reading(None, None, lambda events, sql=sql: kept.con.execute(sql.format(events)).fetchall())

    assert kept.said == []
    assert kept.ids() == list(range(300))


def test_a_locked_database_does_not_keep_the_query_from_going_on(kept: Kept, three: list[Path]) -> None:
    truncate(three[1])
    with closing(sqlite3.connect(kept.folder / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert kept.ids() == [*range(100), *range(200, 300)]
        other.execute("ROLLBACK")
    assert three[1].exists()

    kept.ids()

    assert not three[1].exists()
    assert len(kept.said) == 1


def test_a_quarantine_that_cannot_be_used_does_not_keep_the_query_from_going_on(kept: Kept, three: list[Path]) -> None:
    (kept.folder / "quarantine").write_bytes(b"")
    truncate(three[1])

    assert kept.ids() == [*range(100), *range(200, 300)]
    assert "moved to nowhere" in kept.said[0]


def test_a_lake_that_is_not_mounted_is_not_given_up(kept: Kept, three: list[Path]) -> None:
    lake = kept.folder / "lake"
    lake.rename(kept.folder / "elsewhere")
    for use in (kept.ids, kept.lake.verify, lambda: kept.lake.compact(HOUR + timedelta(days=1))):
        with pytest.raises(StateBusy, match="mounted"):
            use()
    lake.mkdir()
    with pytest.raises(ConfigurationError, match="mounted"):
        kept.lake.sweep_orphans()
    lake.rmdir()
    (kept.folder / "elsewhere").rename(lake)

    assert kept.ids() == list(range(300))
    assert kept.said == []


def test_too_many_open_files_are_no_damage(kept: Kept, three: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: object, *args: int, **kwargs: int) -> int:
        if str(path).endswith(".parquet"):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *args, **kwargs)  # type: ignore[call-overload, no-any-return]

    fresh = Catalog(kept.lake.folder, kept.state, kept.folder / "quarantine", kept.said.append)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StateBusy, match="Too many open files"):
        fresh.scan()
    monkeypatch.undo()

    assert kept.said == []
    assert kept.ids() == list(range(300))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become somebody else")
def test_another_users_lake_is_not_taken_for_a_damaged_one(kept: Kept, three: list[Path]) -> None:
    fresh = Catalog(kept.lake.folder, kept.state, kept.folder / "quarantine", kept.said.append)
    os.seteuid(65534)
    try:
        with pytest.raises((ConfigurationError, StateBusy)):
            fresh.scan()
    finally:
        os.seteuid(0)

    assert kept.said == []
    assert kept.ids() == list(range(300))


def test_a_file_compacted_away_during_a_query_is_no_damage(kept: Kept, three: list[Path]) -> None:
    """A reader that was asleep for longer than the grace period finds its files gone, and starts over."""
    tries: list[int] = []

    def slow(events: str) -> list[tuple[int]]:
        if not tries:
            other = Lake(kept.lake.folder, kept.state, con, grace=timedelta(0))
            assert other.compact(HOUR + timedelta(days=1)) == 1
        tries.append(1)
        return kept.con.execute(f"SELECT count(*) FROM {events}").fetchall()

    with closing(connect(kept.folder / "tmp")) as con:
        assert kept.lake.reading(None, None, slow) == [(300,)]

    assert len(tries) == 2
    assert kept.said == []


def test_a_file_compacted_away_before_it_is_looked_at_is_no_damage(kept: Kept, three: list[Path]) -> None:
    with kept.state.read() as conn:
        before = manifest.live(conn)
    with closing(connect(kept.folder / "tmp")) as con:
        other = Lake(kept.lake.folder, kept.state, con, grace=timedelta(0))
        other.compact(HOUR + timedelta(days=1))
    catalog = Catalog(kept.lake.folder, kept.state, kept.folder / "quarantine", kept.said.append)

    assert catalog.check(before) == []
    assert kept.said == []
    assert kept.ids() == list(range(300))


def test_files_compacted_away_between_manifest_and_glance(
    kept: Kept, three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What such a look finds is of no one moment: it starts over, so that no row is missing."""
    real = Inspector.glance

    def late(self: Inspector, segment: Segment) -> str | None:
        monkeypatch.undo()
        with closing(connect(kept.folder / "tmp")) as con:
            other = Lake(kept.lake.folder, kept.state, con, grace=timedelta(0))
            assert other.compact(HOUR + timedelta(days=1)) == 1
        return real(self, segment)

    monkeypatch.setattr(Inspector, "glance", late)

    assert kept.ids() == list(range(300))
    assert kept.said == []


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_no_damage_brings_duckdb_down(kept: Kept, seed: int) -> None:
    """Random damage of every kind: what is read is right or left out, and the connection goes on working."""
    rng = random.Random(seed)
    good = traffic(500, seed=seed)
    for number in range(150):
        kept.keep(good)
        [path] = kept.files
        content = bytearray(path.read_bytes())
        at = rng.randrange(len(content))
        match rng.randrange(4):
            case 0:
                content[at : at + rng.randrange(1, 3000)] = bytes(rng.randrange(1, 3000))
            case 1:
                content[at : at + 200] = rng.randbytes(len(content[at : at + 200]))
            case 2:
                content[-rng.randrange(1, 6000)] = rng.randrange(256)
            case 3:
                content = content[:at]
        whole = path.read_bytes() == content
        path.write_bytes(content)

        def everything(events: str) -> list[tuple[object, ...]]:
            return kept.con.execute(f"SELECT * FROM {events}").fetchall()

        found = kept.lake.reading(None, None, everything)
        assert len(found) in {0, 500}
        assert not whole or len(found) == 500
        assert kept.con.execute("SELECT 1").fetchall() == [(1,)]
        kept.lake.retain(HOUR + timedelta(days=400 + number), timedelta(0))
        for left in kept.files:
            left.unlink()
        shutil.rmtree(kept.folder / "quarantine", ignore_errors=True)
