"""The spool: what its collector relies on."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bearerwatch.event import AuthEvent
from bearerwatch.settings import Settings
from bearerwatch.sinks import open_sinks, spool
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.testing.events import make_event
from spooled import decode, events_in, lockable, run, segments

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
