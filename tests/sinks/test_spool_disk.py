"""The spool on a disk that does not play along, and over its quota."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bearerwatch.event import AuthEvent
from bearerwatch.sinks import spool
from bearerwatch.sinks._overflow import Overflow
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.testing.events import make_event
from spooled import decode, events_in, run, segments

# -- a disk that does not play along -------------------------------------------------------------------

LIMITED = """
import os, sys, pathlib, resource
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.sinks._encode import encode_line
from bearerwatch.testing.events import make_event
import bearerwatch.sinks.spool as spool
left = int(sys.argv[2])
sink = SpoolSink(pathlib.Path(sys.argv[1]))
events = [make_event(detail=str(n)) for n in range(6)]
sizes = [len(encode_line(event)) for event in events]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
def room(size):  # SIGXFSZ is ignored by Python: a write past the limit is cut, one at the limit fails
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
sink.send(events[0])
room(sizes[0] + sizes[1] - left)      # of the second event, so many bytes do not fit
sink.send(events[1])
sink.send(events[2])
room(1 << 20)
sink.send(events[3])
sink.send(events[4])
print(sink.dropped, flush=True)
sink.close()
"""


@pytest.mark.parametrize("left", [0, 1, 2, 100, -1])
def test_a_write_that_is_cut_short_costs_that_event_alone(folder: Path, left: int) -> None:
    """However little is missing: what is lost is counted, and what is there is there once."""
    done = run(LIMITED, folder, left)
    assert done.returncode == 0, done.stderr
    (path,) = segments(folder)
    whole: list[AuthEvent] = []
    for line in path.read_bytes().splitlines():
        try:
            whole.append(decode(line))
        except msgspec.DecodeError:
            assert left not in (0, 1)  # the piece that was written
    names = [event.detail for event in whole]
    assert len(names) == len(set(names))
    assert 5 - int(done.stdout) == len(names)
    assert names == (["0", "1", "3", "4"] if left <= 1 else ["0", "3", "4"])
    assert "bearerwatch: the spool" in done.stderr
    assert "lost so far" in done.stderr


@pytest.mark.parametrize("missing", [1, 2, 50, 100_000])
def test_a_write_that_is_cut_short_once_is_made_good(
    sink: SpoolSink, folder: Path, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    """As when room is found in between: the event is there, once, and so is the next."""
    write = os.write
    cut = [missing]

    def short(handle: int, data: bytes) -> int:
        return write(handle, data[: max(len(data) - cut.pop(), 0)] if cut else data)

    events = [make_event(), make_event()]
    monkeypatch.setattr(os, "write", short)
    for event in events:
        sink.send(event)
    whole: list[AuthEvent] = []
    for line in segments(folder)[0].read_bytes().splitlines():
        with suppress(msgspec.DecodeError):
            whole.append(decode(line))
    assert whole == events
    assert sink.dropped == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("mounting needs root")
    yield mount
    subprocess.run(["umount", mount], check=True)


def test_a_full_disk_is_counted_and_survived(small_disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = small_disk / "spool" / "app"
    (small_disk / "filler").write_bytes(b"x" * 30_000)
    sink = SpoolSink(folder)
    sent = 0
    while sink.dropped < 40:
        sink.send(make_event(detail="x" * (sent * 7 % 97)))
        sent += 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "No space left on device" in said
    assert "Free space" in said
    (small_disk / "filler").unlink()
    for _ in range(20):
        sink.send(make_event(detail="after"))
        sent += 1
    sink.close()
    found: Counter[str] = Counter()
    broken = 0
    for path in segments(folder):
        for line in path.read_bytes().splitlines():
            try:
                found[decode(line).event_id] += 1
            except msgspec.DecodeError:
                broken += 1
    assert set(found.values()) == {1}
    assert len(found) == sent - sink.dropped
    assert broken <= 2
    assert [event.detail for event in (decode(line) for line in path.read_bytes().splitlines()[-20:])] == ["after"] * 20


def test_a_disk_that_is_full_from_the_start(small_disk: Path, clock: Callable[[float], None]) -> None:
    (small_disk / "filler").write_bytes(b"x" * 60_000)
    while True:  # not even a folder fits
        try:
            (small_disk / f"filler{os.urandom(4).hex()}").write_bytes(b"x" * 4096)
        except OSError:
            break
    folder = small_disk / "app"
    sink = SpoolSink(folder)
    for _ in range(5):
        sink.send(make_event())
    assert sink.dropped == 5
    (small_disk / "filler").unlink()
    clock(2)
    sink.send(make_event())
    sink.close()
    assert sink.dropped == 5
    assert len(events_in(folder)) == 1
    assert not list(folder.glob(".*"))


def test_a_folder_that_cannot_be_made_is_said_and_tried_again(
    tmp_path: Path, clock: Callable[[float], None], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spool").write_text("a file is in the way")
    sink = SpoolSink(tmp_path / "spool" / "app")
    for _ in range(3):
        sink.send(make_event())
    assert sink.dropped == 3
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "Not a directory" in said
    assert "mend the folder's owner and mode" in said
    (tmp_path / "spool").unlink()
    sink.send(make_event())  # too soon to look again
    assert sink.dropped == 4
    clock(1.5)
    sink.send(make_event())
    sink.close()
    assert sink.dropped == 4
    assert len(events_in(tmp_path / "spool" / "app")) == 1


def test_a_symlinked_folder_is_not_followed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "app").symlink_to(tmp_path / "elsewhere")
    sink = SpoolSink(tmp_path / "spool" / "app")
    sink.send(make_event())
    sink.close()
    assert sink.dropped == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert "cannot be written" in capfd.readouterr().err


def test_a_segment_that_cannot_be_replaced_serves_on(
    sink: SpoolSink, folder: Path, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.send(make_event())
    kept = folder.rename(folder.with_name("moved"))
    folder.write_text("in the way")
    clock(spool._SEGMENT_SECONDS * 2)
    sink.send(make_event())
    assert sink.dropped == 0
    assert len(events_in(kept)) == 2
    folder.unlink()
    clock(2)
    sink.send(make_event())
    assert len(events_in(folder)) == 1


def test_a_rename_that_fails_leaves_no_draft(
    sink: SpoolSink, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", fail)
    sink.send(make_event())
    assert sink.dropped == 1
    assert list(folder.iterdir()) == []


# -- the quota -----------------------------------------------------------------------------------------


def test_past_its_quota_like_events_are_counted_together(
    folder: Path, clock: Callable[[float], None], capfd: pytest.CaptureFixture[str]
) -> None:
    folder.mkdir(parents=True)
    (folder / "0.jsonl").write_bytes(b"\n" * 70_000)
    sink = SpoolSink(folder, quota=65_536)
    for number in range(300):
        sink.send(make_event(client_ip=f"192.0.2.{number % 3}", outcome="invalid", path=f"/{number}"))
    assert events_in_new(folder) == []
    clock(11)
    sink.send(make_event(client_ip="192.0.2.0", outcome="invalid"))
    counted = events_in_new(folder)
    assert sorted((event.client_ip, event.count) for event in counted) == [
        ("192.0.2.0", 101),
        ("192.0.2.1", 100),
        ("192.0.2.2", 100),
    ]
    said = capfd.readouterr().err
    assert said.count("over its quota") == 1
    assert "Is the collector running?" in said
    sink.send(make_event(outcome="invalid", count=5))
    sink.close()
    assert sum(event.count for event in events_in_new(folder)) == 306


def events_in_new(folder: Path) -> list[AuthEvent]:
    return [decode(line) for path in segments(folder)[1:] for line in path.read_bytes().splitlines() if line]


def test_the_quota_ends_when_the_collector_has_caught_up(folder: Path, clock: Callable[[float], None]) -> None:
    folder.mkdir(parents=True)
    (folder / "0.jsonl").write_bytes(b"\n" * 70_000)
    sink = SpoolSink(folder, quota=65_536)
    for _ in range(10):
        sink.send(make_event())
    (folder / "0.jsonl").unlink()
    clock(10.5)
    sink.send(make_event(detail="by itself"))
    assert sum(event.count for event in events_in(folder)) == 11
    assert events_in(folder)[-1].detail == "by itself"
    assert events_in(folder)[-1].count == 1
    sink.close()
    assert sum(event.count for event in events_in(folder)) == 11


def test_what_is_counted_is_written_when_the_process_ends(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "0.jsonl").write_bytes(b"\n" * 70_000)
    done = run(
        "import sys, pathlib\n"
        "from bearerwatch.sinks.spool import SpoolSink\n"
        "from bearerwatch.testing.events import make_event\n"
        "sink = SpoolSink(pathlib.Path(sys.argv[1]), quota=65536)\n"
        "for _ in range(7): sink.send(make_event())\n",
        folder,
    )
    assert done.returncode == 0, done.stderr
    assert [event.count for event in events_in_new(folder)] == [7]


def test_events_are_alike_in_what_matters() -> None:
    overflow = Overflow()
    for change in ({}, {"path": "/x"}, {"status": 500}, {"client_ip": "::1"}, {"outcome": "invalid"}, {"reason": "x"}):
        assert overflow.take(make_event(**change), 0.0) == []
    assert sorted(event.count for event in overflow.flush()) == [1, 1, 1, 1, 2]


def test_a_flood_of_unlike_events_is_not_kept_in_memory() -> None:
    overflow = Overflow()
    given = [overflow.take(make_event(presented_id=f"short:{n}"), 0.0) for n in range(12_000)]
    sizes = [len(events) for events in given if events]
    assert sizes == [5000, 5000]


def test_a_late_thread_loses_no_event_to_a_count_that_has_ended() -> None:
    overflow = Overflow()
    overflow.take(make_event(), 0.0)
    overflow.flush()
    event = make_event()
    assert overflow.take(event, 0.0) == [event]
