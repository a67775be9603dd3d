"""The spool: what its collector relies on, and what it does when the disk does not play along."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bearerwatch.event import AuthEvent
from bearerwatch.settings import Settings
from bearerwatch.sinks import open_sinks, spool
from bearerwatch.sinks._overflow import Overflow
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.testing.events import make_event


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "app"


@pytest.fixture
def sink(folder: Path) -> Iterator[SpoolSink]:
    opened = SpoolSink(folder)
    yield opened
    opened.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the sink's clock on."""
    ahead = 0.0

    def advance(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(spool, "monotonic", lambda: time.monotonic() + ahead)
    return advance


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def events_in(folder: Path) -> list[AuthEvent]:
    lines = [line for path in segments(folder) for line in path.read_bytes().splitlines()]
    return [msgspec.json.decode(line, type=AuthEvent) for line in lines]


def lockable(path: Path) -> bool:
    """Whether a collector may take the segment."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def run(code: str, *args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run *code* in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)


# -- the protocol --------------------------------------------------------------------------------------


def test_an_event_is_one_write_of_one_line(sink: SpoolSink, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: (writes.append(data), write(handle, data))[1])
    sent = [make_event(path="/a\nb"), make_event()]
    for event in sent:
        sink.send(event)
    assert [data.count(b"\n") for data in writes] == [1, 1]
    assert events_in(folder) == sent


def test_only_its_owner_may_look(sink: SpoolSink, folder: Path) -> None:
    before = os.umask(0)
    try:
        sink.send(make_event())
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, *segments(folder))]
    assert modes == [0o700, 0o700, 0o600]


def test_a_segment_is_locked_before_it_has_its_name(
    sink: SpoolSink, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    rename = os.rename

    def watched(source: Any, target: Any) -> None:
        seen.append((Path(source).name, lockable(source)))
        rename(source, target)

    monkeypatch.setattr(os, "rename", watched)
    sink.send(make_event())
    ((draft, free),) = seen
    assert draft.startswith(".")
    assert draft.endswith(".tmp")
    assert not free
    assert [path.name[0] for path in folder.iterdir()] != ["."]


def test_the_lock_lasts_until_the_segment_is_sealed(sink: SpoolSink, folder: Path) -> None:
    sink.send(make_event())
    (path,) = segments(folder)
    assert not lockable(path)
    sink.close()
    assert lockable(path)


def test_closed_it_opens_again(sink: SpoolSink, folder: Path) -> None:
    for _ in range(3):
        sink.send(make_event())
        sink.close()
        sink.close()
    assert len(segments(folder)) == 3
    assert len(events_in(folder)) == 3


def test_a_sink_that_is_never_used_leaves_nothing(folder: Path) -> None:
    SpoolSink(folder).close()
    assert not folder.exists()


def test_it_goes_where_the_settings_say(tmp_path: Path) -> None:
    (sink,) = open_sinks(Settings(service="shop", spool_dir=tmp_path / "s"))
    sink.send(make_event())
    sink.close()
    assert len(events_in(tmp_path / "s" / "shop")) == 1


# -- rotation ------------------------------------------------------------------------------------------


def test_a_segment_is_sealed_by_age(sink: SpoolSink, folder: Path, clock: Callable[[float], None]) -> None:
    sink.send(make_event())
    clock(spool._SEGMENT_SECONDS * 1.3)
    sink.send(make_event())
    old, new = segments(folder)
    assert [len(path.read_bytes().splitlines()) for path in (old, new)] == [1, 1]
    clock(spool._SEGMENT_SECONDS * 1.3)
    sink.send(make_event())
    assert lockable(old)
    assert not lockable(segments(folder)[2])


def test_an_empty_segment_is_not_replaced(sink: SpoolSink, folder: Path, clock: Callable[[float], None]) -> None:
    sink.send(make_event())
    sink._written = 0
    clock(spool._SEGMENT_SECONDS * 3)
    sink.send(make_event())
    assert len(segments(folder)) == 1


def test_a_segment_is_sealed_by_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_SEGMENT_BYTES", 2000)
    sink = SpoolSink(folder)
    for _ in range(50):
        sink.send(make_event())
    sink.close()
    assert 10 < len(segments(folder)) < 50
    assert all(path.stat().st_size < 3000 for path in segments(folder))
    assert len(events_in(folder)) == 50


def collect(folder: Path, into: list[bytes]) -> None:
    """What the collector does: read a segment to its end and delete it once its writer has let go."""
    for path in segments(folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            into += path.read_bytes().splitlines()
            path.unlink()
        except BlockingIOError:
            pass
        finally:
            os.close(handle)


def ids_of(lines: list[bytes]) -> Counter[str]:
    return Counter(msgspec.json.decode(line, type=AuthEvent).event_id for line in lines)


@pytest.mark.parametrize("size", [16 << 20, 60_000])
def test_threads_lose_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Eight threads, also while segments are replaced and a collector takes away what is sealed."""
    monkeypatch.setattr(spool, "_SEGMENT_BYTES", size)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    sink = SpoolSink(folder)
    start = threading.Barrier(9)
    wrong: list[BaseException] = []
    sent: list[list[AuthEvent]] = [[make_event() for _ in range(2000)] for _ in range(8)]

    def work(events: list[AuthEvent]) -> None:
        start.wait()
        try:
            for event in events:
                sink.send(event)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(events,)) for events in sent]
    for thread in threads:
        thread.start()
    lines: list[bytes] = []
    start.wait()
    while any(thread.is_alive() for thread in threads):
        collect(folder, lines)
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    sink.close()
    collect(folder, lines)
    assert not wrong
    assert sink.dropped == 0
    assert ids_of(lines) == Counter(event.event_id for events in sent for event in events)
    assert segments(folder) == []


def test_the_first_events_of_threads_that_start_together_are_all_there(folder: Path) -> None:
    for attempt in range(30):
        sink = SpoolSink(folder / str(attempt))
        start = threading.Barrier(6)

        def work(sink: SpoolSink = sink, start: threading.Barrier = start) -> None:
            start.wait()
            sink.send(make_event())

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sink.close()
        assert sink.dropped == 0
        assert len(events_in(folder / str(attempt))) == 6
        assert len(segments(folder / str(attempt))) == 1


def test_the_collector_may_delete_while_the_quota_is_reckoned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    """A segment that is listed and gone when it is measured costs no event."""
    sink = SpoolSink(folder)
    sink.send(make_event())
    scandir = os.scandir

    class Entries:
        def __init__(self, path: Any) -> None:
            with scandir(path) as entries:
                self._entries = list(entries)

        def __enter__(self) -> Any:
            for entry in self._entries:
                Path(entry.path).unlink()
            return iter(self._entries)

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(os, "scandir", Entries)
    clock(spool._SEGMENT_SECONDS * 2)
    sink.send(make_event())
    sink.close()
    assert sink.dropped == 0


# -- processes -----------------------------------------------------------------------------------------

FORK = """
import os, sys, pathlib, time
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.testing.events import make_event
sink = SpoolSink(pathlib.Path(sys.argv[1]))
sink.send(make_event(detail="parent"))
children = []
for number in range(4):
    child = os.fork()
    if child == 0:
        for _ in range(25):
            sink.send(make_event(detail=f"child {number}"))
        if number % 2:
            os._exit(0)       # at once, without any goodbye
        sys.exit(0)           # as usual
    children.append(child)
    sink.send(make_event(detail="parent"))
for child in children:
    assert os.waitpid(child, 0)[1] == 0
sink.send(make_event(detail="parent"))
print(sink.dropped)
"""


def test_a_forked_process_has_a_segment_of_its_own(folder: Path) -> None:
    done = run(FORK, folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
    writers = [{event.detail for event in map(decode, path.read_bytes().splitlines())} for path in segments(folder)]
    assert len(writers) == 5
    assert all(len(who) == 1 for who in writers)
    events = events_in(folder)
    assert Counter(event.detail for event in events) == {"parent": 6} | {f"child {n}": 25 for n in range(4)}
    assert len({event.event_id for event in events}) == len(events)
    assert all(lockable(path) for path in segments(folder))


def decode(line: bytes) -> AuthEvent:
    return msgspec.json.decode(line, type=AuthEvent)


FORK_FROM_THREADS = """
import os, sys, pathlib, threading, time
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.testing.events import make_event
sink = SpoolSink(pathlib.Path(sys.argv[1]))
over = False
def work():
    while not over:
        sink.send(make_event())
        time.sleep(0.0002)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for _ in range(15):
    child = os.fork()
    if child == 0:
        for _ in range(5): sink.send(make_event(detail="child"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
over = True
for thread in threads: thread.join()
print(sink.dropped)
"""


def test_a_fork_in_the_middle_of_writing_harms_neither(folder: Path) -> None:
    done = run(FORK_FROM_THREADS, folder)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    events = events_in(folder)
    assert Counter(event.detail for event in events)["child"] == 75
    assert len({event.event_id for event in events}) == len(events)
    assert len(segments(folder)) == 16


KILLED = """
import os, sys, pathlib, signal
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.testing.events import make_event
sink = SpoolSink(pathlib.Path(sys.argv[1]))
for _ in range(500): sink.send(make_event())
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_has_lost_nothing_it_sent(folder: Path) -> None:
    assert run(KILLED, folder).returncode == -9
    assert len(events_in(folder)) == 500
    assert all(lockable(path) for path in segments(folder))


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
