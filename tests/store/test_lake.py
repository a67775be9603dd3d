"""The lake: what is appended, published and scanned."""

from __future__ import annotations

import resource
import secrets
import shutil
import sqlite3
import stat
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.store import manifest
from bearerwatch.store.engine import COLUMNS
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State, StateBusy
from store.kept import Kept
from store.made import HOUR, KEY, event_id, line, lines


def rows(kept: Kept, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = kept.con.execute(sql).fetchall()
    return found


class TestAppend:
    def test_batch_is_the_latest_call_and_pending_all_of_them(self, kept: Kept) -> None:
        assert kept.lake.append(lines(0, 3)) == 3
        assert kept.lake.append(lines(3, 2)) == 2

        assert rows(kept, f"SELECT event_id FROM {kept.batch}") == [(event_id(3),), (event_id(4),)]
        assert rows(kept, f"SELECT event_id FROM {kept.lake.pending()}") == [(event_id(n),) for n in range(5)]
        assert kept.lake.pending_rows == 5

    def test_nothing_is_an_empty_batch(self, kept: Kept) -> None:
        kept.lake.append(lines(0, 3))
        assert kept.lake.append([]) == 0

        assert rows(kept, f"SELECT count(*) FROM {kept.batch}") == [(0,)]
        assert kept.lake.pending_rows == 3

    def test_both_can_be_read_through_cursors(self, kept: Kept) -> None:
        kept.lake.append(lines(0, 3))
        with closing(kept.con.cursor()) as cursor:
            assert cursor.execute(f"SELECT count(*) FROM {kept.batch}, {kept.lake.pending()}").fetchall() == [(9,)]

    def test_columns_have_names_order_and_types_of_an_event(self, kept: Kept) -> None:
        for relation in (kept.batch, kept.lake.pending()):
            found = [(name, kind) for name, kind, *_ in rows(kept, f"DESCRIBE FROM {relation}")]
            assert dict(found) == COLUMNS
            assert [name for name, _ in found] == list(COLUMNS)

    def test_what_is_left_out_on_the_wire_has_its_default(self, kept: Kept) -> None:
        kept.lake.append([line(0), line(1, verified=True, count=7)])

        assert rows(kept, f"SELECT verified, count, detail FROM {kept.batch}") == [
            (False, 1, None),
            (True, 7, None),
        ]

    def test_instants_are_utc_with_microseconds(self, kept: Kept) -> None:
        ts = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
        other = b'{"kind":"auth","event_id":"%s","ts":"2026-01-02T05:04:05.678901+02:00"}' % event_id(1).encode()
        kept.lake.append([line(0, ts), other])

        assert rows(kept, f"SELECT DISTINCT ts FROM {kept.batch}") == [(ts.replace(tzinfo=None),)]

    @pytest.mark.parametrize(
        "bad",
        [
            b"",
            b"nonsense",
            b"{}",
            b"[]",
            b"null",
            b"\xff\xfe",
            b'{"kind":"auth","event_id":"00000000-0000-0000-0000-000000000001"}',
            b'{"kind":"auth","event_id":"00000000-0000-0000-0000-000000000001","ts":"infinity"}',
            b'{"kind":"auth","event_id":"00000000-0000-0000-0000-000000000001","ts":"294246-01-01T00:00:00Z"}',
            b'{"kind":"auth","event_id":"00000000-0000-0000-0000-000000000001","ts":"soon"}',
            b'{"kind":"auth","event_id":"no uuid","ts":"2026-01-02T03:04:05Z"}',
            line(9)[:-1],
            line(9) + line(10),
            line(9, detail="a line\nbreak").replace(rb"\n", b"\n"),
        ],
    )
    def test_a_line_that_cannot_be_loaded_keeps_no_other_out(self, kept: Kept, bad: bytes) -> None:
        good = lines(0, 5)
        assert kept.lake.append([*good[:2], bad, *good[2:]]) == 5

        assert len(kept.lake.refused) == 1
        assert kept.lake.append(good) == 5
        assert kept.lake.refused == []
        assert rows(kept, f"SELECT count(*) FROM {kept.batch}") == [(5,)]
        kept.keep()
        assert kept.ids() == sorted([*range(5), *range(5)])

    def test_all_lines_bad(self, kept: Kept) -> None:
        assert kept.lake.append([b"x"] * 5) == 0
        assert kept.lake.refused == [b"x"] * 5
        kept.keep(lines(0, 2))
        assert kept.ids() == [0, 1]

    def test_a_value_of_the_wrong_kind_is_unknown(self, kept: Kept) -> None:
        odd = msgspec.json.decode(line(0)) | {"status": 10**40, "lat": "north", "path": {"a": [1]}, "new_field": 1}
        assert kept.lake.append([msgspec.json.encode(odd)]) == 1

        assert rows(kept, f"SELECT status, lat, path FROM {kept.batch}") == [(None, None, '{"a":[1]}')]

    def test_large_lines_are_loaded_in_bearable_pieces(self, kept: Kept) -> None:
        wide = [line(n, detail="ä" * 60_000) for n in range(150)]
        assert kept.lake.append(wide) == 150

        assert rows(kept, f"SELECT count(*), min(length(detail)) FROM {kept.batch}") == [(150, 60_000)]
        kept.keep()
        assert len(kept.ids()) == 150

    def test_without_memory_nothing_is_loaded_and_nothing_twice_later(self, kept: Kept) -> None:
        kept.lake.append(lines(0, 3))
        wide = [line(n, detail=secrets.token_hex(30_000)) for n in range(3, 303)]
        kept.con.execute("SET max_temp_directory_size = '0KB'; SET memory_limit = '30MB'")
        for _ in range(2):
            with pytest.raises(StateBusy, match="memory"):
                kept.lake.append(wide)
        kept.con.execute("SET memory_limit = '128MB'")
        kept.keep(wide, lines(303, 2))

        assert kept.ids() == list(range(305))
        assert kept.lake.pending_rows == 0


class TestPublish:
    def test_what_is_committed_is_scanned_and_pending_no_more(self, kept_anywhere: Kept) -> None:
        kept = kept_anywhere
        kept.keep(lines(0, 3), lines(3, 2))
        kept.keep(lines(5, 1))

        assert kept.ids() == list(range(6))
        assert kept.lake.pending_rows == 0
        assert rows(kept, f"SELECT count(*) FROM {kept.lake.pending()}") == [(0,)]
        assert rows(kept, f"SELECT event_id FROM {kept.batch}") == [(event_id(5),)]
        with kept.state.read() as conn:
            files, total, size = manifest.totals(conn)
        assert (files, total) == (2, 6)
        assert size == sum(path.stat().st_size for path in kept.files)

    def test_before_the_commit_no_reader_sees_it(self, kept: Kept) -> None:
        kept.lake.append(lines(0, 3))
        with kept.state.begin() as tx:
            kept.lake.publish(tx)
            assert kept.ids() == []
        assert kept.ids() == [0, 1, 2]

    def test_every_column_comes_back_as_it_went_in(self, kept: Kept) -> None:
        full = AuthEvent(
            kind=Kind.AUTH,
            event_id=event_id(5),
            ts=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            outcome=Outcome.INVALID,
            **{
                name: value
                for field in msgspec.structs.fields(AuthEvent)
                if (name := field.name) not in {"kind", "event_id", "ts", "outcome"}
                for value in [
                    {"BOOLEAN": True, "BIGINT": 2**53 + 1, "DOUBLE": -1.5, "VARCHAR": f"{name} ä'\"\\\t\0\u2028😀"}[
                        COLUMNS[name]
                    ]
                ]
            },
        )
        sent = msgspec.to_builtins(full) | {"received_at": "2026-01-02T03:04:06.000001Z", "source": "http:k"}
        kept.keep([msgspec.json.encode(sent)])

        [found] = rows(kept, f"SELECT * FROM {kept.lake.scan()}")
        expected = sent | {
            "ts": full.ts.replace(tzinfo=None),
            "received_at": datetime(2026, 1, 2, 3, 4, 6, 1),  # noqa: DTZ001
        }
        assert dict(zip(COLUMNS, found, strict=True)) == expected

    def test_the_scan_has_the_columns_of_an_event_full_or_empty(self, kept: Kept) -> None:
        for _ in range(2):
            kept.con.execute(f"SELECT * FROM {kept.lake.scan()} AS e")
            assert {c[0]: str(c[1]) for c in kept.con.description} == COLUMNS
            kept.keep(lines(0, 1))

    def test_files_lie_by_date_and_hour_and_are_nobody_elses(self, kept: Kept) -> None:
        kept.keep([line(0, HOUR), line(1, HOUR + timedelta(hours=1)), line(2, HOUR - timedelta(hours=4))])

        folders = [str(path.parent.relative_to(kept.folder / "lake")) for path in kept.files]
        assert folders == [
            "events/date=2026-01-01/hour=23",
            "events/date=2026-01-02/hour=03",
            "events/date=2026-01-02/hour=04",
        ]
        for path in kept.files:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            for above in list(path.parents)[:4]:
                assert stat.S_IMODE(above.stat().st_mode) == 0o700

    def test_a_scan_names_only_files_that_may_matter(self, kept: Kept) -> None:
        kept.keep([line(0, HOUR), line(1, HOUR + timedelta(hours=1)), line(2, HOUR + timedelta(hours=2))])

        assert kept.ids(since=HOUR + timedelta(hours=1)) == [1, 2]
        assert kept.ids(until=HOUR + timedelta(hours=1)) == [0]
        assert kept.ids(since=HOUR, until=HOUR + timedelta(microseconds=1)) == [0]
        assert kept.ids(since=HOUR + timedelta(hours=3)) == []

    def test_a_failed_transaction_loses_nothing_and_doubles_nothing(self, kept_anywhere: Kept) -> None:
        kept = kept_anywhere
        for start in (0, 3, 6):
            kept.lake.append(lines(start, 3))
            with pytest.raises(ZeroDivisionError), kept.state.begin() as tx:  # noqa: PT012
                kept.lake.publish(tx)
                _ = 1 / 0
            kept.lake.rolled_back()
            assert kept.ids() == []
            assert kept.lake.pending_rows == start + 3
        kept.keep(lines(9, 1))

        assert kept.ids() == list(range(10))
        assert kept.lake.pending_rows == 0

    def test_a_commit_that_is_still_under_way_when_it_is_tried_again(self, kept_anywhere: Kept) -> None:
        """The connection broke, the server's own process for it goes on: the second try waits for how the first ends."""
        kept = kept_anywhere
        kept.lake.append([line(1)])
        published = threading.Event()

        def first() -> None:
            with kept.state.begin() as tx:
                kept.lake.publish(tx)
                published.set()
                time.sleep(0.4)

        thread = threading.Thread(target=first)
        thread.start()
        assert published.wait(5)
        with kept.state.begin() as tx:
            kept.lake.publish(tx)
        kept.lake.committed()
        thread.join()
        assert kept.ids() == [1]

    def test_a_commit_whose_answer_got_lost_is_not_entered_twice(self, kept_anywhere: Kept) -> None:
        kept = kept_anywhere
        kept.lake.append(lines(0, 3))
        with kept.state.begin() as tx:
            kept.lake.publish(tx)
        kept.lake.rolled_back()  # as far as the collector can tell

        kept.keep(lines(3, 1))

        assert kept.ids() == [0, 1, 2, 3]

    @pytest.mark.parametrize(("room", "left"), [(1, 3), (100, 6)])
    def test_rows_appended_between_publish_and_commit_stay_pending(
        self, kept: Kept, monkeypatch: pytest.MonkeyPatch, room: int, left: int
    ) -> None:
        monkeypatch.setattr("bearerwatch.store.lake._RENEW", room)
        kept.lake.append(lines(0, 3))
        with kept.state.begin() as tx:
            kept.lake.publish(tx)
        kept.lake.append(lines(3, 2))
        kept.lake.committed()
        assert rows(kept, f"SELECT event_id FROM {kept.lake.pending()}") == [(event_id(3),), (event_id(4),)]

        kept.lake.append(lines(5, 1))
        assert rows(kept, f"SELECT count(*) FROM {kept.lake.pending()}") == [(3,)]
        assert rows(kept, "SELECT count(*) FROM incoming") == [(left,)]
        kept.keep()
        assert kept.ids() == list(range(6))

    def test_publishing_nothing_writes_nothing(self, kept: Kept) -> None:
        kept.keep()
        kept.keep([])
        kept.lake.committed()

        assert kept.files == []
        assert kept.ids() == []

    def test_a_locked_database_loses_nothing(self, kept: Kept) -> None:
        kept.lake.append(lines(0, 3))
        with closing(sqlite3.connect(kept.folder / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StateBusy), kept.state.begin() as tx:
                kept.lake.publish(tx)
            kept.lake.rolled_back()
            other.execute("ROLLBACK")
        kept.keep(lines(3, 2))

        assert kept.ids() == list(range(5))

    def test_events_strewn_over_years_make_few_files(self, kept: Kept) -> None:
        strewn = [line(n, HOUR + n * timedelta(days=1)) for n in range(1000)]
        kept.keep(strewn)

        assert len(kept.files) == 48
        assert kept.ids() == list(range(1000))
        assert kept.ids(until=HOUR + timedelta(hours=1))[:1] == [0]
        assert kept.ids(since=HOUR + timedelta(days=999)) == [999]

    def test_a_full_disk_loses_nothing_and_leaves_nothing_behind(self, kept: Kept) -> None:
        wide = [line(n, detail=secrets.token_hex(500)) for n in range(2000)]
        kept.lake.append([*wide, line(2000, HOUR + timedelta(hours=1))])
        enough = max(path.stat().st_size for path in kept.folder.glob("state.db*")) + 100_000
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (enough, hard))
        try:
            with pytest.raises(StateBusy, match="disk has space"), kept.state.begin() as tx:
                kept.lake.publish(tx)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert [path for path in (kept.folder / "lake").rglob("*") if path.is_file()] == [kept.folder / "lake" / "ID"]

        kept.keep(lines(2001, 1))
        assert kept.ids() == list(range(2002))

    @pytest.mark.parametrize("kind", ["file", "link"])
    def test_something_in_the_way_loses_nothing(self, kept: Kept, tmp_path: Path, kind: str) -> None:
        (tmp_path / "elsewhere").mkdir()
        events = kept.folder / "lake" / "events"
        events.mkdir()
        day = events / "date=2026-01-02"
        if kind == "file":
            day.write_bytes(b"")
        else:
            day.symlink_to(tmp_path / "elsewhere")
        kept.lake.append(lines(0, 2))
        with pytest.raises(StateBusy, match="lake"), kept.state.begin() as tx:
            kept.lake.publish(tx)
        day.unlink()
        kept.keep()

        assert kept.ids() == [0, 1]
        assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_lake_in_a_relative_folder(
    tmp_path: Path, sqlite: State, con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lake = Lake(Path("some") / "lake", sqlite, con)
    monkeypatch.chdir("/")
    lake.sweep_orphans()
    lake.append(lines(0, 3))
    with sqlite.begin() as tx:
        lake.publish(tx)

    assert con.execute(f"SELECT count(*) FROM {lake.scan()}").fetchall() == [(3,)]
    assert list((tmp_path / "some" / "lake").rglob("*.parquet"))


def test_a_state_folder_that_is_a_link_itself(tmp_path: Path, sqlite: State, con: duckdb.DuckDBPyConnection) -> None:
    """As systemd's StateDirectory with DynamicUser is."""
    (tmp_path / "private").mkdir()
    (tmp_path / "public").symlink_to(tmp_path / "private")
    lake = Lake(tmp_path / "public" / "lake", sqlite, con)
    lake.sweep_orphans()
    lake.append(lines(0, 3))
    with sqlite.begin() as tx:
        lake.publish(tx)

    assert con.execute(f"SELECT count(*) FROM {lake.scan()}").fetchall() == [(3,)]


@pytest.mark.parametrize(("name", "sibling"), [("b*", "bzz"), ("a[x]", "ax"), ("c?", "cd")])
def test_a_folder_whose_name_is_a_pattern_for_another(
    tmp_path: Path, sqlite: State, con: duckdb.DuckDBPyConnection, name: str, sibling: str
) -> None:
    lake = Lake(tmp_path / name / "lake", sqlite, con)
    lake.sweep_orphans()
    lake.append(lines(0, 3))
    with sqlite.begin() as tx:
        lake.publish(tx)
    shutil.copytree(tmp_path / name, tmp_path / sibling)

    def names(events: str) -> list[tuple[str]]:
        return con.execute(f"SELECT filename FROM {events[len('(SELECT ') :].partition(' FROM ')[2][:-1]}").fetchall()

    assert lake.reading(None, None, lambda events: con.execute(f"SELECT count(*) FROM {events}").fetchall()) == [(3,)]
    assert {Path(path).parents[4].name for (path,) in lake.reading(None, None, names)} == {name}


_IDS = st.one_of(
    st.none(),
    st.sampled_from(["", "=", "==", "=x", event_id(0), f"{KEY}:{0:032x}"]),
    st.text(max_size=5).map(lambda text: text.encode("utf-8", "ignore").decode()),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(found=st.lists(st.tuples(_IDS, _IDS, _IDS), min_size=1, max_size=6))
def test_ids_are_kept_whatever_they_are(kept: Kept, found: list[tuple[str | None, str | None, str | None]]) -> None:
    """Segments abbreviate ids that repeat another; what is read back is what was sent."""
    kept.lake.retain(datetime(2030, 1, 1, tzinfo=UTC), timedelta(0))
    kept.keep([line(0, request_id=r, presented_id=p, token_id=t) for r, p, t in found])
    kept.lake.compact(HOUR + timedelta(days=1))

    read = rows(kept, f"SELECT request_id, presented_id, token_id FROM {kept.lake.scan()}")
    assert sorted(read, key=str) == sorted(found, key=str)


def test_memory_is_given_back(kept: Kept) -> None:
    for start in range(0, 20_000, 500):
        kept.keep(lines(start, 500))

    used = rows(kept, "SELECT sum(memory_usage_bytes) FROM duckdb_memory()")[0][0]
    assert used < 48 << 20
    assert rows(kept, "SELECT count(*) FROM incoming")[0][0] < 10_000
