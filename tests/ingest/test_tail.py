"""A spool is followed: everything once, nothing foreign, and a file goes only when it is done with."""

from __future__ import annotations

import fcntl
import os
import random
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.event import AuthEvent
from bearerwatch.ingest import segment as segment_module
from bearerwatch.ingest.lines import HEAD, MAX_LINE, RawLine
from bearerwatch.ingest.segment import Segment
from bearerwatch.ingest.tail import SpoolTail
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.store.state import State, StateBusy


class Spool:
    """The writing side, and a collector reduced to its tail."""

    def __init__(self, folder: Path, state: State, said: object) -> None:
        self.folder = folder
        self.state = state
        self._said = said
        self.tail = SpoolTail(folder, state, complain=said)
        self._handles: list[int] = []

    def service(self, name: str = "shop") -> Path:
        path = self.folder / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def segment(self, name: str, data: bytes = b"", *, service: str = "shop") -> Path:
        """A segment whose writer is gone."""
        path = self.service(service) / f"{name}.jsonl"
        with path.open("ab") as file:
            file.write(data)
        path.chmod(0o600)
        return path

    def writer(self, name: str, data: bytes = b"", *, service: str = "shop") -> int:
        """A segment whose writer is alive; the writer's descriptor."""
        handle = os.open(self.service(service) / f"{name}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        self._handles.append(handle)
        os.write(handle, data)
        return handle

    def seal(self, handle: int) -> None:
        os.close(handle)
        self._handles.remove(handle)

    def commit(self) -> None:
        with self.state.begin() as tx:
            self.tail.save(tx)
        self.tail.committed()

    def round(self, **limits: int) -> list[bytes]:
        lines = [raw.line for raw in self.tail.poll(**limits)]
        self.commit()
        return lines

    def until_gone(self, path: Path) -> list[bytes]:
        got: list[bytes] = []
        deadline = time.monotonic() + 5
        while path.exists():
            assert time.monotonic() < deadline, "the segment is not deleted"
            got += self.round()
        return got

    def restart(self) -> None:
        self.tail.close()
        self.tail = SpoolTail(self.folder, self.state, complain=self._said)

    def close(self) -> None:
        self.tail.close()
        for handle in self._handles:
            os.close(handle)


@pytest.fixture
def spool(tmp_path: Path, state: State, said: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    monkeypatch.setattr(segment_module, "_PROBE_EVERY", 0.0)  # ask for the lock at every poll: tests do not wait
    made = Spool(tmp_path / "spool", state, said)
    yield made
    made.close()


class TestReading:
    def test_follows_a_living_writer(self, spool: Spool) -> None:
        """Lines come as they are appended, and only whole ones."""
        writer = spool.writer("a", b"one\ntwo\nthr")

        assert spool.round() == [b"one", b"two"]
        assert spool.round() == []
        os.write(writer, b"ee\nfour\n")
        assert spool.round() == [b"three", b"four"]

    def test_says_where_a_line_is_from(self, spool: Spool) -> None:
        spool.segment("a", b"one\n\ntwo\n")

        assert spool.tail.poll() == [
            RawLine("spool:shop", "a.jsonl", 4, b"one"),
            RawLine("spool:shop", "a.jsonl", 9, b"two"),
        ]
        assert [raw.offset for raw in [RawLine("", "", 9, b"two"), RawLine("", "", 4, b"one")]] == [5, 0]

    def test_the_spool_may_appear_later(self, spool: Spool) -> None:
        assert spool.round() == []
        spool.segment("a", b"one\n", service="later")
        assert spool.round() == [b"one"]

    def test_the_real_sink(self, spool: Spool, event: Callable[..., AuthEvent]) -> None:
        """What the spool sink writes is read, and its segment goes once it is sealed."""
        sink = SpoolSink(spool.folder / "shop")
        for number in range(10):
            sink.send(event(number))

        assert len(spool.round()) == 10
        (path,) = (spool.folder / "shop").glob("*.jsonl")
        spool.round()
        assert path.exists(), "its writer still holds it"
        sink.close()
        spool.round()
        assert not path.exists()

    def test_limits(self, spool: Spool) -> None:
        """A flood is taken in bounded portions, in order, and completely."""
        spool.segment("a", b"".join(b"%d\n" % n for n in range(1000)))

        assert len(spool.round(limit_lines=100)) == 100
        rest: list[bytes] = []
        while more := spool.round(limit_lines=100):
            assert len(more) <= 100
            rest += more
        assert rest == [b"%d" % n for n in range(100, 1000)]

    def test_a_flood_of_one_service_does_not_hold_up_another(self, spool: Spool) -> None:
        for number in range(20):
            spool.segment(f"flood{number}", b"x\n" * 20_000, service="noisy")
        spool.segment("z", b"quiet\n", service="quiet")

        assert b"quiet" in spool.round(limit_lines=5_000)

    def test_a_backlog_comes_in_order_of_time(self, spool: Spool) -> None:
        """Segments of several writers are read side by side, not one after the other."""
        for worker in range(3):
            lines = (
                b'{"ts":"2026-01-01T00:%02d:%02d.000000Z","w":%d}\n' % (n // 60, n % 60, worker) for n in range(3_000)
            )
            spool.segment(f"w{worker}", b"".join(lines))

        stamps: list[bytes] = []
        while more := spool.round():
            stamps += [line[7:33] for line in more]
        newest, worst = 0, 0
        for stamp in stamps:
            second = int(stamp[14:16]) * 60 + int(stamp[17:19])
            worst = max(worst, newest - second)
            newest = max(newest, second)
        assert len(stamps) == 9_000
        assert worst <= 2 * 250, "one writer got more than a turn ahead"

    def test_thousands_of_segments(self, spool: Spool) -> None:
        for number in range(1_200):
            spool.segment(f"s{number}", b"line %d\n" % number)

        got: list[bytes] = []
        deadline = time.monotonic() + 20
        while any((spool.folder / "shop").iterdir()):
            assert time.monotonic() < deadline
            got += spool.round()
        assert sorted(got) == sorted(b"line %d" % n for n in range(1_200))

    def test_more_living_writers_than_descriptors(self, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bearerwatch.ingest.tail._MAX_OPEN", 8)
        writers = [spool.writer(f"w{n}", b"first %d\n" % n) for n in range(40)]

        got: list[bytes] = []
        for _ in range(30):
            got += spool.round()
        for number, writer in enumerate(writers):
            os.write(writer, b"second %d\n" % number)
        for _ in range(30):
            got += spool.round()

        expected = [b"%s %d" % (word, n) for word in (b"first", b"second") for n in range(40)]
        assert sorted(got) == sorted(expected)


class TestLongLines:
    def test_ten_megabytes_without_newline(self, spool: Spool) -> None:
        """The head is handed out for the quarantine, and what follows is read on."""
        writer = spool.writer("a", b"before\n")
        for _ in range(10):
            os.write(writer, b"x" * (1 << 20))

        got = [raw for _ in range(12) for raw in spool.tail.poll()]
        assert [raw.line for raw in got] == [b"before"]
        spool.commit()
        os.write(writer, b"\nafter\n")
        got = [raw for _ in range(3) for raw in spool.tail.poll()]
        assert [(len(raw.line), raw.length) for raw in got] == [(HEAD, 10 << 20), (5, -1)]
        assert got[0].offset == 7

    def test_a_restart_amid_a_long_line(self, spool: Spool) -> None:
        """The committed offset stays at the line's beginning: its tail is never taken for a line."""
        writer = spool.writer("a", b"x" * (3 << 20))
        for _ in range(5):
            assert spool.round() == []
        spool.restart()
        os.write(writer, b'"}\nnext\n')
        got = [raw for _ in range(6) for raw in spool.tail.poll()]
        assert [raw.length for raw in got] == [(3 << 20) + 2, -1]

    def test_the_longest_line_that_is_taken(self, spool: Spool) -> None:
        spool.segment("a", b"y" * MAX_LINE + b"\n" + b"z" * (MAX_LINE + 1) + b"\nlast\n")

        got = [raw for _ in range(3) for raw in spool.tail.poll()]
        assert [(len(raw.line), raw.length) for raw in got] == [(MAX_LINE, -1), (HEAD, MAX_LINE + 1), (4, -1)]

    def test_a_long_line_whose_writer_died(self, spool: Spool) -> None:
        path = spool.segment("a", b"x" * 200_000)

        got = [raw for _ in range(3) for raw in spool.tail.poll()]
        assert [raw.length for raw in got] == [200_000]
        spool.commit()
        assert not path.exists()


class TestEnds:
    def test_half_a_line_waits_while_its_writer_lives(self, spool: Spool) -> None:
        writer = spool.writer("a", b'{"half"')
        for _ in range(3):
            assert spool.round() == []
        spool.seal(writer)
        assert spool.round() == [b'{"half"']
        assert not (spool.folder / "shop" / "a.jsonl").exists()

    def test_deleted_only_after_commit(self, spool: Spool) -> None:
        path = spool.segment("a", b"one\n")
        assert [raw.line for raw in spool.tail.poll()] == [b"one"]
        for _ in range(3):
            spool.tail.poll()
        assert path.exists()
        spool.commit()
        assert not path.exists()

    def test_not_deleted_when_the_transaction_fails(self, spool: Spool) -> None:
        path = spool.segment("a", b"one\n")
        spool.tail.poll()
        with suppress(InterruptedError), spool.state.begin() as tx:
            spool.tail.save(tx)
            raise InterruptedError
        spool.tail.poll()
        assert path.exists()
        spool.commit()
        assert not path.exists()

    def test_an_empty_segment_goes_without_a_commit(self, spool: Spool) -> None:
        path = spool.segment("a")
        spool.tail.poll()
        assert not path.exists()

    def test_a_restart_goes_on_where_the_commit_was(self, spool: Spool) -> None:
        writer = spool.writer("a", b"one\ntwo\n")
        assert spool.round() == [b"one", b"two"]
        os.write(writer, b"three\n")
        assert [raw.line for raw in spool.tail.poll()] == [b"three"]  # and the collector dies
        spool.restart()
        assert spool.round() == [b"three"]

    def test_offsets_of_done_segments_are_forgotten(self, spool: Spool) -> None:
        from bearerwatch.store import offsets

        spool.until_gone(spool.segment("a", b"one\n"))
        writer = spool.writer("b", b"two\n")
        assert spool.round() == [b"two"]
        with spool.state.read() as conn:
            assert offsets.load(conn) == {("spool:shop", "b.jsonl"): 4}
        spool.seal(writer)

    def test_offsets_a_crash_left_over_are_forgotten(self, spool: Spool) -> None:
        """Died after deleting a segment, before forgetting it: the next one does, but not for a folder that is away."""
        from bearerwatch.store import offsets

        spool.service("shop")
        with spool.state.begin() as tx:
            offsets.save(tx, {("spool:shop", "a.jsonl"): 4, ("spool:away", "b.jsonl"): 7})
        spool.restart()
        spool.round()
        with spool.state.read() as conn:
            assert offsets.load(conn) == {("spool:away", "b.jsonl"): 7}
        spool.segment("b", b"before\nnew\n", service="away")
        assert spool.round() == [b"new"]

    def test_a_writer_that_appends_before_it_ends(self, spool: Spool) -> None:
        """What is written between our last look and the writer's end is not deleted with the file."""
        writer = spool.writer("a", b"one\n")
        assert spool.round() == [b"one"]
        os.write(writer, b"two\n")
        spool.seal(writer)
        assert spool.round() == [b"two"]

    def test_a_random_writer_and_a_random_collector(self, spool: Spool) -> None:
        """Whatever the order of writes, seals, polls, commits and crashes: committed lines are each line once."""
        rng = random.Random(7)
        writers: list[int] = []
        written: list[bytes] = []
        counted: list[bytes] = []
        for step in range(800):
            act = rng.random()
            if not writers or act < 0.05:
                writers.append(spool.writer(f"w{step}"))
            elif act < 0.4:
                handle = rng.choice(writers)
                line = b"line %d" % len(written)
                written.append(line)
                data = line + b"\n"
                cut = rng.randrange(len(data) + 1)
                os.write(handle, data[:cut])
                if rng.random() < 0.3:
                    spool.tail.poll()  # uncommitted, repeated after a restart or kept until the next commit
                    spool.restart()
                os.write(handle, data[cut:])
            elif act < 0.5:
                handle = writers.pop(rng.randrange(len(writers)))
                spool.seal(handle)
            elif act < 0.6:
                spool.tail.poll(limit_lines=rng.randrange(1, 10))
                spool.restart()
            else:
                counted += spool.round(limit_lines=rng.randrange(1, 50))
        for handle in writers:
            spool.seal(handle)
        while more := spool.round():
            counted += more

        assert sorted(counted) == sorted(written)
        assert list((spool.folder / "shop").iterdir()) == []


class TestHostileFolders:
    def test_links_are_not_followed(self, spool: Spool, tmp_path: Path, said: object) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"secret\n")
        folder = spool.service()
        (folder / "link.jsonl").symlink_to(secret)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "x.jsonl").write_bytes(b"elsewhere\n")
        (spool.folder / "linked").symlink_to(tmp_path / "elsewhere")

        assert [spool.round() for _ in range(3)] == [[], [], []]
        assert secret.exists()
        assert (tmp_path / "elsewhere" / "x.jsonl").exists()
        assert "link.jsonl is not read: it is not a regular file" in said.text
        assert "linked in the spool" in said.text

    def test_pipes_devices_and_folders(self, spool: Spool, said: object) -> None:
        folder = spool.service()
        os.mkfifo(folder / "pipe.jsonl")
        (folder / "folder.jsonl").mkdir()
        os.mknod(folder / "device.jsonl", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        spool.segment("good", b"good\n")

        assert spool.round() == [b"good"]
        assert spool.tail.figures().refused == 3
        for name in ("pipe", "folder", "device"):
            assert f"{name}.jsonl is not read" in said.text

    def test_a_refused_name_that_becomes_a_segment(self, spool: Spool) -> None:
        folder = spool.service()
        os.mkfifo(folder / "a.jsonl")
        assert spool.round() == []
        (folder / "a.jsonl").unlink()
        spool.segment("a", b"now\n")
        assert spool.round() == [b"now"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_a_strangers_file(self, spool: Spool, said: object) -> None:
        """In a folder of user 1234, a file of user 4321 is not that service's."""
        path = spool.segment("a", b"forged\n")
        os.chown(path.parent, 1234, 1234)
        os.chown(path, 4321, 4321)

        assert spool.round() == []
        assert path.exists()
        assert "belongs to user 4321" in said.text
        os.chown(path, 1234, 1234)

    def test_a_folder_everybody_may_write(self, spool: Spool, said: object) -> None:
        spool.segment("a", b"forged\n").parent.chmod(0o777)
        assert spool.round() == []
        assert "chmod 700" in said.text

    def test_unreadable_file(self, spool: Spool, said: object, monkeypatch: pytest.MonkeyPatch) -> None:
        """One file that cannot be opened does not stop the others, and is read once it can be."""
        if os.geteuid() == 0:
            real, fail = os.open, True

            def denied(path: object, *args: object, **options: object) -> int:
                if path == "bad.jsonl" and fail:
                    raise PermissionError(13, "Permission denied")
                return real(path, *args, **options)  # type: ignore[arg-type]

            monkeypatch.setattr("bearerwatch.ingest.segment.os.open", denied)
        bad = spool.segment("bad", b"bad\n")
        bad.chmod(0)
        spool.segment("good", b"good\n")

        assert spool.round() == [b"good"]
        assert "bad.jsonl cannot be read: Permission denied" in said.text
        fail = False
        bad.chmod(0o600)
        assert spool.round() == [b"bad"]

    def test_names_nobody_should_choose(self, spool: Spool, said: object) -> None:
        """Broken UTF-8 and terminal control in names: refused, and not repeated to the terminal."""
        folder = spool.service()
        (Path(os.fsdecode(bytes(folder) + b"/\xff\xfe.jsonl"))).write_bytes(b"x\n")
        (folder / "\x1b[31mred.jsonl").write_bytes(b"x\n")
        (spool.folder / "new\nline").mkdir()

        assert spool.round() == []
        assert "\x1b" not in said.text
        assert "new\\nline" in said.text
        assert spool.tail.figures().refused == 2

    def test_other_files_are_left_alone(self, spool: Spool) -> None:
        folder = spool.service()
        (folder / ".draft.tmp").write_bytes(b"draft\n")
        (folder / ".hidden.jsonl").write_bytes(b"hidden\n")
        (folder / "notes.txt").write_bytes(b"notes\n")
        assert spool.round() == []
        assert len(list(folder.iterdir())) == 3

    def test_deleted_under_us_is_still_read(self, spool: Spool) -> None:
        """An open segment that somebody removes is read to its end through its descriptor."""
        writer = spool.writer("a", b"one\n")
        assert spool.round() == [b"one"]
        (spool.folder / "shop" / "a.jsonl").unlink()
        os.write(writer, b"two\n")
        assert spool.round() == [b"two"]
        spool.seal(writer)
        spool.round()
        assert spool.tail.figures().segments == 0

    def test_deleted_before_we_read_it(self, spool: Spool, said: object, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bearerwatch.ingest.tail._MAX_OPEN", 1)
        spool.segment("a", b"one\n" * 9)
        path = spool.segment("b", b"two\n")
        spool.tail.poll(limit_lines=2)
        path.unlink()
        for _ in range(3):
            spool.tail.poll(limit_lines=2)
        assert spool.tail.figures().lost == 1
        assert "b.jsonl of spool:shop was removed before all of it was read" in said.text

    def test_the_whole_folder_goes(self, spool: Spool) -> None:
        path = spool.segment("a", b"one\n")
        spool.round()
        spool.segment("b", b"two\n")
        spool.tail.poll()
        import shutil

        shutil.rmtree(path.parent)
        assert spool.round() == []
        assert spool.tail.figures().segments == 0
        spool.segment("c", b"three\n")
        assert spool.round() == [b"three"]

    def test_a_disk_that_is_unmounted_and_comes_back(self, spool: Spool) -> None:
        """What was counted is not counted again; what was not committed in between is not lost."""
        writer = spool.writer("a", b"one\n")
        assert spool.round() == [b"one"]
        os.write(writer, b"two\n")
        assert [raw.line for raw in spool.tail.poll()] == [b"two"]
        (spool.folder / "shop").rename(spool.folder / ".away")
        assert spool.round() == []
        assert spool.round() == []
        os.write(writer, b"three\n")
        (spool.folder / ".away").rename(spool.folder / "shop")
        assert spool.round() == [b"three"]
        spool.restart()
        assert spool.round() == []

    def test_a_restart_while_the_disk_is_away(self, spool: Spool) -> None:
        """What was read just before it went is committed after it went, and remembered until it comes back."""
        writer = spool.writer("a", b"one\n")
        assert [raw.line for raw in spool.tail.poll()] == [b"one"]
        (spool.folder / "shop").rename(spool.folder / ".away")
        assert spool.round() == []
        spool.restart()
        assert spool.round() == []
        os.write(writer, b"two\n")
        (spool.folder / ".away").rename(spool.folder / "shop")
        assert spool.round() == [b"two"]

    def test_a_link_that_appears_between_listing_and_opening(self, spool: Spool, tmp_path: Path) -> None:
        """The kernel refuses it, whatever the listing saw."""
        (tmp_path / "secret").write_bytes(b"secret\n")
        folder = spool.service()
        (folder / "a.jsonl").symlink_to(tmp_path / "secret")
        handle = os.open(folder, os.O_RDONLY)
        try:
            with pytest.raises(OSError, match="symbolic"):
                Segment("spool:shop", "a.jsonl", 0).open(handle, frozenset((os.geteuid(),)))
        finally:
            os.close(handle)

    def test_two_collectors_on_one_spool(self, spool: Spool, said: object) -> None:
        """The second one takes nothing, and takes over when the first ends."""
        spool.segment("a", b"one\n")
        second = SpoolTail(spool.folder, spool.state, complain=said)
        spool.tail.claim()
        with pytest.raises(ConfigurationError, match="another collector tails the spool"):
            second.claim()
        assert second.poll() == []
        assert "another collector" in said.text
        spool.tail.close()
        assert [raw.line for raw in second.poll()] == [b"one"]
        second.close()

    def test_another_file_under_the_same_name_is_not_deleted(self, spool: Spool) -> None:
        writer = spool.writer("a", b"one\n")
        assert spool.round() == [b"one"]
        path = spool.folder / "shop" / "a.jsonl"
        path.unlink()
        path.write_bytes(b"another\n")
        spool.seal(writer)
        spool.round()
        assert path.read_bytes() == b"another\n"
        assert b"another" in spool.round() + spool.round()

    def test_cut_short(self, spool: Spool, said: object) -> None:
        """After a power cut a segment may be shorter than what was counted of it: nothing twice."""
        writer = spool.writer("a", b"one\ntwo\n")
        assert spool.round() == [b"one", b"two"]
        os.truncate(spool.folder / "shop" / "a.jsonl", 4)
        assert spool.round() == []
        os.write(writer, b"three\n")
        assert spool.round() == [b"three"]
        assert spool.tail.figures().lost == 1
        assert "shorter than what was read of it" in said.text

    def test_a_folder_we_may_not_write(self, spool: Spool, said: object, monkeypatch: pytest.MonkeyPatch) -> None:
        """What cannot be deleted is neither read again nor tried to be deleted at every tick."""
        tried: list[object] = []

        def denied(
            path: object, **_: object
        ) -> None:  # root may delete anywhere: the kernel's word is put in its mouth
            tried.append(path)
            raise PermissionError(13, "Permission denied")

        path = spool.segment("a", b"one\n")
        with monkeypatch.context() as patch:
            patch.setattr("bearerwatch.ingest.tail.os.unlink", denied)
            assert [spool.round() for _ in range(5)] == [[b"one"], [], [], [], []]
        assert tried == ["a.jsonl"]
        assert "cannot be deleted: Permission denied" in said.text
        spool.restart()
        assert spool.round() == []
        assert not path.exists()


class TestState:
    def test_a_locked_database_at_the_start(self, spool: Spool, tmp_path: Path) -> None:
        """Reading offsets waits for nobody: a writer's lock does not keep WAL readers out."""
        spool.segment("a", b"one\n")
        with spool.state.begin():
            assert [raw.line for raw in spool.tail.poll()] == [b"one"]

    def test_a_locked_database_at_commit(self, spool: Spool) -> None:
        path = spool.segment("a", b"one\n")
        assert [raw.line for raw in spool.tail.poll()] == [b"one"]
        with spool.state.begin(), pytest.raises(StateBusy), spool.state.begin() as tx:
            spool.tail.save(tx)
        assert path.exists()
        spool.commit()
        assert not path.exists()

    def test_unchanged_files_are_not_opened_again(self, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        """An idle poll costs a listing and a look at sizes: no file is opened."""
        for number in range(5):
            spool.writer(f"w{number}", b"one\n")
        spool.round()
        opened: list[object] = []
        real = os.open

        def counting(path: object, flags: int, *args: object, **options: object) -> int:
            if not flags & os.O_DIRECTORY:
                opened.append(path)
            return real(path, flags, *args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "open", counting)
        for _ in range(10):
            assert spool.round() == []
        assert opened == []
