"""All events, a batch at a time: none left out, none twice, in order, and from where the last run ended."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import msgspec
import pytest

from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.store import stream
from bearerwatch.store.engine import COLUMNS
from bearerwatch.store.reader import Reader
from bearerwatch.store.stream import Batches, Mark
from store.kept import Kept
from store.made import HOUR, event_id, line, lines

COUNT = 700


@pytest.fixture
def reader(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Events over three hours, in four files, in slices and batches small enough to have many."""
    monkeypatch.setattr(stream, "_SLICE", 50)
    monkeypatch.setattr(stream, "_BATCH", 40)
    order = random.Random(7)
    numbers = list(range(COUNT))
    order.shuffle(numbers)
    made = [line(number, HOUR + timedelta(seconds=number * 15)) for number in numbers]
    kept.keep(made[:300])
    kept.keep(made[300:])
    with Reader(kept.folder, report=kept.said.append) as opened:
        yield opened


def numbers(batches: Batches | None) -> list[int]:
    assert batches is not None
    found = [int(event.event_id.replace("-", ""), 16) for batch in batches for event in batch.events]
    assert len(found) == batches.total
    return found


def test_every_event_once_and_oldest_first(reader: Reader) -> None:
    batches = reader.batches()
    assert batches is not None
    sizes = [len(batch.events) for batch in batches]
    assert len(sizes) > 10
    assert max(sizes) <= 40
    assert numbers(batches) == list(range(COUNT))


def test_events_come_back_as_they_were(kept: Kept) -> None:
    kept.keep([line(1, reason="bad_signature", outcome="invalid", lat=1.5, verified=True, count=3, status=401)])
    with Reader(kept.folder) as reader:
        batches = reader.batches()
        assert batches is not None
        ((events, mark),) = list(batches)
    (event,) = events
    sent = msgspec.json.decode(msgspec.json.encode(event), type=AuthEvent)
    assert (sent.ts, sent.kind, sent.outcome) == (HOUR + timedelta(milliseconds=1), Kind.AUTH, Outcome.INVALID)
    assert (sent.verified, sent.count, sent.lat, sent.status) == (True, 3, 1.5, 401)
    assert mark == Mark(HOUR + timedelta(seconds=1, milliseconds=1), event_id(1), "spool:orders")


def test_filters_hold(reader: Reader) -> None:
    since, until = HOUR + timedelta(minutes=10), HOUR + timedelta(minutes=20)
    assert numbers(reader.batches(since=since, until=until)) == list(range(40, 80))
    assert numbers(reader.batches(client_ip="192.0.2.1")) == list(range(1, COUNT, 5))
    assert numbers(reader.batches(outcome=["expired"])) == []
    assert numbers(reader.batches(tokens=[f"{3:032x}", f"{4:032x}"])) == [n for n in range(COUNT) if n % 7 in (3, 4)]
    assert reader.batches(tokens=["ffffff"]) is None


def test_a_run_goes_on_behind_the_mark_of_the_last_one(reader: Reader, kept: Kept) -> None:
    first = reader.batches(by_arrival=True)
    assert first is not None
    seen: list[int] = []
    mark = None
    for batch in first:
        seen += [int(event.event_id.replace("-", ""), 16) for event in batch.events]
        mark = batch.mark
        if len(seen) >= 300:
            break
    late = [line(9000 + number, HOUR + timedelta(minutes=number)) for number in range(5)]
    rows = [msgspec.json.decode(one) | {"received_at": datetime(2026, 1, 3, tzinfo=UTC)} for one in late]
    kept.keep([msgspec.json.encode(row) for row in rows])
    seen += numbers(reader.batches(by_arrival=True, after=mark))
    assert sorted(seen) == [*range(COUNT), *range(9000, 9005)]
    assert len(set(seen)) == len(seen)


def test_many_that_arrived_in_one_instant_are_told_apart(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_BATCH", 7)
    rows = [msgspec.json.decode(one) | {"received_at": HOUR} for one in lines(0, 50)]
    kept.keep([msgspec.json.encode(row) for row in rows])
    with Reader(kept.folder) as reader:
        whole = reader.batches(by_arrival=True)
        assert whole is not None
        marks = [batch.mark for batch in whole]
        rest = [len(numbers(reader.batches(by_arrival=True, after=mark))) for mark in marks]
    assert rest == [43, 36, 29, 22, 15, 8, 1, 0]


def test_a_damaged_file_is_left_out_and_said(reader: Reader, kept: Kept) -> None:
    batches = reader.batches()
    assert batches is not None
    victim = kept.files[0]
    victim.write_bytes(b"PAR1" + bytes(victim.stat().st_size - 4))
    found = [event.event_id for batch in batches for event in batch.events]
    assert 0 < len(found) < COUNT
    assert len(set(found)) == len(found)
    assert any(victim.name in said for said in kept.said)


def test_nothing_there_is_no_batch(kept: Kept, tmp_path: Path) -> None:
    with Reader(kept.folder) as reader:
        batches = reader.batches()
        assert batches is not None
        assert list(batches) == []
        assert batches.to_parquet(tmp_path / "none.parquet") == (0, None)
    columns = duckdb.sql(f"DESCRIBE FROM '{tmp_path / 'none.parquet'}'").fetchall()
    assert [name for name, *_ in columns] == list(COLUMNS)


def test_a_parquet_file_has_every_column_and_says_utc(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "it's {all}.parquet"
    batches = reader.batches(client_ip="192.0.2.1", by_arrival=True)
    assert batches is not None
    rows, mark = batches.to_parquet(path)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        read = con.read_parquet(str(path))
        assert read.columns == list(COLUMNS)
        assert dict(zip(read.columns, map(str, read.types), strict=True))["ts"] == "TIMESTAMP WITH TIME ZONE"
        ((found, latest, first),) = read.aggregate("count(*), max(received_at)::VARCHAR, min(ts)::VARCHAR").fetchall()
    assert rows == 140
    assert mark is not None
    assert (found, datetime.fromisoformat(latest)) == (140, mark.received_at)
    assert first == "2026-01-02 03:00:15+00"
    assert numbers(reader.batches(client_ip="192.0.2.1", by_arrival=True, after=mark)) == []


def test_each_event_once_while_the_collector_writes_and_compacts(kept: Kept) -> None:
    """A job that runs again and again, from the mark of its last run, beside the one who writes."""
    done = threading.Event()

    def collect() -> None:
        number = 0
        for _ in range(12):
            rows = []
            for _ in range(40):
                happened = HOUR + timedelta(seconds=number * 7919 % 7200)  # over two hours, in no order
                row = msgspec.json.decode(line(number, happened)) | {"received_at": datetime.now(UTC)}
                rows.append(msgspec.json.encode(row))
                number += 1
            kept.keep(rows)
            kept.lake.compact(HOUR + timedelta(days=1), limit=1)
        done.set()

    writer = threading.Thread(target=collect)
    writer.start()
    seen: list[int] = []
    mark = None
    try:
        with Reader(kept.folder, report=kept.said.append) as reader:
            last = False
            while not last:
                last = done.is_set()
                batches = reader.batches(by_arrival=True, after=mark)
                assert batches is not None
                for batch in batches:
                    seen += [int(event.event_id.replace("-", ""), 16) for event in batch.events]
                    mark = batch.mark
    finally:
        writer.join()
    assert sorted(seen) == list(range(480))
    assert kept.said == []
