"""Compaction, retention and sweeping."""

from __future__ import annotations

import errno
import resource
import secrets
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bearerwatch.store import manifest, upkeep
from bearerwatch.store.engine import connect
from bearerwatch.store.lake import Lake
from bearerwatch.store.manifest import Segment
from bearerwatch.store.state import StateBusy
from bearerwatch.store.upkeep import FULL, SORTABLE, plan
from store.kept import Kept
from store.made import HOUR, line, lines

MINUTE = timedelta(minutes=1)
OPEN = HOUR + timedelta(minutes=59)
CLOSED = HOUR + timedelta(hours=1, minutes=2)


def made(rows: int, name: int = 0, created: datetime = HOUR) -> Segment:
    return Segment(
        path=f"events/date=2026-01-02/hour=03/{name:016x}.parquet",
        date="2026-01-02",
        hour=3,
        rows=rows,
        bytes=rows * 80,
        sha256="0" * 64,
        footer="0" * 64,
        min_ts=HOUR,
        max_ts=HOUR,
        created_at=created,
    )


class TestPlan:
    def test_an_open_hour_is_left_alone_until_it_has_many_files(self) -> None:
        assert plan([made(100, n) for n in range(23)], OPEN) == []
        assert len(plan([made(100, n) for n in range(24)], OPEN)) == 24

    def test_a_closed_hour_is_merged(self) -> None:
        assert len(plan([made(100, n) for n in range(2)], CLOSED)) == 2
        assert plan([made(100, n) for n in range(2)], CLOSED - timedelta(seconds=1)) == []

    def test_one_file_is_fine(self) -> None:
        assert plan([made(100)], CLOSED) == []

    def test_full_ones_are_left_alone(self) -> None:
        assert plan([made(FULL, n) for n in range(50)], CLOSED) == []
        assert plan([*(made(FULL, n) for n in range(50)), made(1, 60)], CLOSED) == []

    def test_the_small_ones_come_first_and_no_more_than_can_be_sorted(self) -> None:
        hour = [made(30_000, 100), *(made(7_000, n) for n in range(32))]
        chosen = plan(hour, CLOSED)
        assert {s.rows for s in chosen} == {7_000}
        assert sum(s.rows for s in chosen) <= SORTABLE

    def test_a_trickle_of_late_events_does_not_rewrite_the_hour_each_time(self) -> None:
        now = CLOSED + timedelta(hours=3)
        hour = [made(500_000, 0), *(made(1, n + 1, now) for n in range(20))]
        assert plan(hour, now) == []
        assert len(plan(hour, now + timedelta(hours=1))) == 20

    @settings(max_examples=200, deadline=None)
    @given(
        sizes=st.lists(
            st.sampled_from([1, 50, 1000, 7_999, 8_000, 60_000, 127_999, 128_000, 999_999, FULL]), max_size=80
        ),
        closed=st.booleans(),
    )
    def test_it_comes_to_an_end_with_few_files_and_little_rewriting(self, sizes: list[int], closed: bool) -> None:
        now = CLOSED + timedelta(hours=2) if closed else OPEN
        hour = [made(rows, n) for n, rows in enumerate(sizes)]
        written, merges = 0, 0
        while chosen := plan(hour, now):
            assert len(chosen) >= 2
            assert len({s.path for s in chosen}) == len(chosen)
            total = sum(s.rows for s in chosen)
            assert total <= FULL or len(chosen) == 2
            hour = [s for s in hour if s not in chosen] + [made(total, 1000 + merges)]
            written += total
            merges += 1
        small = [s for s in hour if s.rows < FULL]
        if closed:
            assert len(small) <= 1
        else:
            for low, high in [(0, 8_000), (8_000, 128_000), (128_000, FULL)]:
                assert len([s for s in small if low <= s.rows < high]) < 24
        assert merges <= max(len(sizes) - 1, 0)

    def test_an_hour_of_heavy_traffic_is_rewritten_some_three_times(self) -> None:
        """3,600 publications of 1,000 events, compacted as they come, then once the hour is over."""
        hour: list[Segment] = []
        written = 0

        def compact(now: datetime) -> None:
            nonlocal hour, written
            while chosen := plan(hour, now):
                total = sum(s.rows for s in chosen)
                written += total
                hour = [s for s in hour if s not in chosen] + [made(total, 10**6 + written, now)]

        for second in range(3600):
            hour.append(made(1000, second))
            compact(HOUR)
            assert len(hour) < 100
        compact(CLOSED + timedelta(hours=2))
        assert len(hour) <= 5
        assert sum(s.rows for s in hour) == 3_600_000
        assert written <= 3.2 * 3_600_000


class TestCompact:
    def test_the_events_stay_the_same(self, kept_anywhere: Kept) -> None:
        kept = kept_anywhere
        for n in range(5):
            kept.keep(lines(n * 10, 10), [line(100 + n, HOUR + timedelta(hours=1))])
        before = kept.con.execute(f"SELECT * FROM {kept.lake.scan()} ORDER BY event_id").fetchall()

        assert kept.lake.compact(CLOSED) == 1

        assert kept.con.execute(f"SELECT * FROM {kept.lake.scan()} ORDER BY event_id").fetchall() == before
        with kept.state.read() as conn:
            assert [(s.hour, s.rows) for s in manifest.live(conn)] == [(3, 50), *[(4, 1)] * 5]
            assert {s.reason for s in manifest.dropped(conn)} == {"compacted"}
        assert kept.lake.compact(CLOSED) == 0

    def test_inputs_stay_for_the_grace_period(self, kept: Kept) -> None:
        kept.keep(lines(0, 3))
        kept.keep(lines(3, 3))
        inputs = kept.files
        old = kept.lake.scan()
        kept.lake.compact(CLOSED)
        assert set(inputs) < set(kept.files)
        assert kept.con.execute(f"SELECT count(*) FROM {old}").fetchall() == [(6,)]

        kept.lake.compact(CLOSED + timedelta(seconds=59))
        assert set(inputs) < set(kept.files)
        kept.lake.compact(CLOSED + timedelta(seconds=60))

        assert len(kept.files) == 1
        with kept.state.read() as conn:
            assert manifest.dropped(conn) == []
        assert kept.ids() == list(range(6))

    def test_a_limit_is_kept(self, kept: Kept) -> None:
        for hour in range(3):
            for _ in range(2):
                kept.keep([line(hour, HOUR + timedelta(hours=hour))])

        assert [kept.lake.compact(CLOSED + timedelta(days=1), limit=1) for _ in range(4)] == [1, 1, 1, 0]

    def test_the_merged_file_is_sorted_by_token(self, kept: Kept) -> None:
        for n in range(4):
            kept.keep(lines(n * 50, 50))
        kept.lake.compact(CLOSED)
        tokens = [t for (t,) in kept.con.execute(f"SELECT token_id FROM {kept.lake.scan()}").fetchall()]
        assert tokens == sorted(tokens)

    def test_a_locked_database_changes_nothing(self, kept: Kept) -> None:
        kept.keep(lines(0, 3))
        kept.keep(lines(3, 3))
        with closing(sqlite3.connect(kept.folder / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StateBusy):
                kept.lake.compact(CLOSED)
            other.execute("ROLLBACK")
        assert kept.ids() == list(range(6))
        assert len(kept.files) == 3

        assert kept.lake.compact(CLOSED) == 1
        assert kept.ids() == list(range(6))
        assert len(kept.files) == 3  # the one that was not published is gone
        assert kept.lake.sweep_orphans() == []

    def test_a_merge_whose_commit_is_still_under_way(self, kept_anywhere: Kept) -> None:
        """The connection broke at the commit: until the database has settled it, the file is nobody's to delete."""
        kept = kept_anywhere
        kept.lake.append([line(1)])
        with kept.state.begin() as tx:
            kept.lake.publish(tx)
            kept.lake._upkeep._doubtful.extend(kept.lake._written)
            with pytest.raises(StateBusy):
                kept.lake.compact(CLOSED)
        kept.lake.committed()
        kept.lake.compact(CLOSED)
        assert kept.ids() == [1]
        assert len(kept.files) == 1

    def test_a_folder_that_does_not_reach_the_disk(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        """The merged file is removed at the next go, not at the next start."""
        kept.keep(lines(0, 3))
        kept.keep(lines(3, 3))

        def failing(_path: Path) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(upkeep, "fsync", failing)
            with pytest.raises(StateBusy, match="Input/output error"):
                kept.lake.compact(CLOSED)
        assert len(kept.files) == 3
        kept.lake.compact(CLOSED, limit=0)
        assert len(kept.files) == 2
        assert kept.ids() == list(range(6))

    def test_a_full_disk_changes_nothing(self, kept: Kept) -> None:
        for n in range(2):
            kept.keep([line(n * 500 + k, detail=secrets.token_hex(500)) for k in range(500)])
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
        try:
            with pytest.raises(StateBusy, match="disk has space"):
                kept.lake.compact(CLOSED)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert len(kept.files) == 2
        assert kept.said == []

        assert kept.lake.compact(CLOSED) == 1
        assert kept.ids() == list(range(1000))

    def test_inputs_that_are_taken_away_meanwhile(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        """A reader finds one of them damaged between merging and publishing."""
        kept.keep(lines(0, 3))
        kept.keep(lines(3, 3))
        real = upkeep.Upkeep._merged

        def slow(self: upkeep.Upkeep, inputs: list[Segment]) -> Segment | None:
            merged = real(self, inputs)
            with kept.state.begin() as tx:
                manifest.drop(tx, [inputs[0].path], HOUR, "damaged")
            monkeypatch.undo()
            return merged

        monkeypatch.setattr(upkeep.Upkeep, "_merged", slow)
        kept.lake.compact(CLOSED)

        assert len(kept.ids()) == 3
        with kept.state.read() as conn:
            assert len(manifest.live(conn)) == 1
        assert len(kept.files) == 2

    def test_rows_too_wide_to_sort_are_merged_unsorted(self, kept: Kept) -> None:
        wide = "".join(chr(0x4E00 + n % 5000) for n in range(3000))
        for n in range(8):
            kept.keep([line(n * 500 + k, detail=f"{k}{wide}", user_agent=f"{wide}{k}") for k in range(500)])

        assert kept.lake.compact(CLOSED) >= 1

        assert kept.ids() == list(range(4000))
        tokens = [t for (t,) in kept.con.execute(f"SELECT token_id FROM {kept.lake.scan()}").fetchall()]
        assert tokens != sorted(tokens)
        with kept.state.read() as conn:
            assert len(manifest.live(conn)) == 1


class TestRetain:
    def test_hours_that_are_over_are_dropped(self, kept_anywhere: Kept) -> None:
        kept = kept_anywhere
        kept.keep([line(n, HOUR + timedelta(hours=n)) for n in range(4)])
        now = HOUR + timedelta(days=30, hours=2)

        assert kept.lake.retain(now, timedelta(days=30)) == 2

        assert kept.ids() == [2, 3]
        assert len(kept.files) == 4
        kept.lake.retain(now + MINUTE, timedelta(days=30))
        assert len(kept.files) == 2
        assert sorted(p.name for p in (kept.folder / "lake" / "events" / "date=2026-01-02").iterdir()) == [
            "hour=05",
            "hour=06",
        ]

    def test_a_whole_day_leaves_no_folder(self, kept: Kept) -> None:
        kept.keep(lines(0, 3))
        kept.lake.retain(HOUR + timedelta(days=2), timedelta(days=1))
        kept.lake.compact(HOUR + timedelta(days=2, minutes=1))

        assert list((kept.folder / "lake" / "events").iterdir()) == []
        kept.keep(lines(3, 1))
        assert kept.ids() == [3]

    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        minutes=st.lists(st.lists(st.integers(0, 60 * 24 * 4), min_size=1, max_size=8), min_size=1, max_size=4),
        now=st.integers(0, 60 * 24 * 5),
        keep=st.integers(0, 60 * 24 * 5),
        compact=st.booleans(),
    )
    def test_nothing_newer_than_the_cut_is_ever_dropped(
        self, kept: Kept, minutes: list[list[int]], now: int, keep: int, compact: bool
    ) -> None:
        """And of what is older, no more than the hour in which the cut lies is kept."""
        kept.lake.retain(datetime(2100, 1, 1, tzinfo=UTC), timedelta(0))
        numbered = list(enumerate(minute for batch in minutes for minute in batch))
        start = 0
        for batch in minutes:
            kept.keep([line(start + k, HOUR + minute * MINUTE) for k, minute in enumerate(batch)])
            start += len(batch)
        if compact:
            kept.lake.compact(HOUR + timedelta(days=30))
        cut = HOUR + (now - keep) * MINUTE

        kept.lake.retain(HOUR + now * MINUTE, timedelta(minutes=keep))

        left = set(kept.ids())
        assert left >= {n for n, minute in numbered if HOUR + minute * MINUTE >= cut}
        hour_of_the_cut = cut.replace(minute=0)
        assert left <= {n for n, minute in numbered if HOUR + minute * MINUTE >= hour_of_the_cut}

    def test_stragglers_filed_together_go_together(self, kept: Kept) -> None:
        """Of 100 hours published at once the oldest 53 share a file: it goes with the newest of them, not before."""
        kept.keep([line(n, HOUR + timedelta(hours=n)) for n in range(100)])
        assert len(kept.files) == 48

        kept.lake.retain(HOUR + timedelta(hours=52, minutes=59), timedelta(0))
        assert kept.ids() == list(range(100))
        kept.lake.retain(HOUR + timedelta(hours=53), timedelta(0))
        assert kept.ids() == list(range(53, 100))


class TestSweep:
    def test_what_is_in_no_manifest_is_removed(self, kept: Kept) -> None:
        kept.keep(lines(0, 3))
        kept.lake.append(lines(3, 3))
        with pytest.raises(ZeroDivisionError), kept.state.begin() as tx:  # noqa: PT012
            kept.lake.publish(tx)
            _ = 1 / 0
        hour = kept.files[0].parent
        (hour / ".0123456789abcdef.parquet.tmp").write_bytes(b"half")
        others = [hour / "notes.txt", hour / "mine.parquet", kept.folder / "lake" / "README"]
        for other in others:
            other.write_bytes(b"somebody's")

        removed = kept.lake.sweep_orphans()

        assert len(removed) == 2
        assert len(kept.files) == 2
        assert all(other.exists() for other in others)
        assert kept.ids() == [0, 1, 2]
        assert kept.lake.sweep_orphans() == []

    def test_what_is_being_published_is_no_orphan(self, kept_anywhere: Kept) -> None:
        """The last commit of a collector that was killed may still be under way when the next one starts."""
        kept = kept_anywhere
        kept.lake.append([line(1)])
        with closing(connect(kept.folder / "tmp")) as con:
            next_one = Lake(kept.folder / "lake", kept.state, con)
            with kept.state.begin() as tx:
                kept.lake.publish(tx)
                with pytest.raises(StateBusy):
                    next_one.sweep_orphans()
            assert next_one.sweep_orphans() == []
        kept.lake.committed()
        assert kept.ids() == [1]

    def test_files_within_the_grace_period_are_no_orphans(self, kept: Kept) -> None:
        kept.keep(lines(0, 3))
        kept.keep(lines(3, 3))
        kept.lake.compact(CLOSED)

        assert kept.lake.sweep_orphans() == []
        assert len(kept.files) == 3

    def test_links_are_not_followed(self, kept: Kept, tmp_path: Path) -> None:
        kept.keep(lines(0, 3))
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "0123456789abcdef.parquet").write_bytes(b"somebody's")
        (kept.folder / "lake" / "events" / "date=2026-01-03").symlink_to(elsewhere)

        kept.lake.sweep_orphans()

        assert (elsewhere / "0123456789abcdef.parquet").exists()

    def test_a_database_from_a_backup_does_not_cost_the_files_since(
        self, kept: Kept, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(upkeep, "_MANY", 4)
        for n in range(5):
            kept.keep(lines(n, 1))
        with kept.state.begin() as tx:
            tx.exec_driver_sql("DELETE FROM segments")

        assert len(kept.lake.sweep_orphans()) == 5

        [aside] = (kept.folder / "quarantine").iterdir()
        assert len(list(aside.iterdir())) == 5
        assert str(aside) in kept.said[0]
        assert kept.files == []

    def test_what_dead_processes_left_in_the_scratch_folder_is_removed(self, kept: Kept) -> None:
        dead = kept.folder / "tmp" / "duckdb-4194305-0123abcd"  # above any pid Linux gives out
        dead.mkdir()
        (dead / "duckdb_temp_storage-0.tmp").write_bytes(b"x")
        alive = kept.folder / "tmp" / "duckdb-1-0123abcd"
        alive.mkdir()

        kept.lake.sweep_orphans()

        assert not dead.exists()
        assert alive.exists()


def test_a_segment_knows_when_its_hour_ends() -> None:
    assert made(1).ends == datetime(2026, 1, 2, 4, tzinfo=UTC)
    assert msgspec.structs.replace(made(1), hour=23).ends == datetime(2026, 1, 3, tzinfo=UTC)
