"""A spool is followed: everything once, nothing foreign, and a file goes only when it is done with."""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.event import AuthEvent
from bearerwatch.ingest.lines import HEAD, MAX_LINE, RawLine
from bearerwatch.ingest.tail import SpoolTail
from bearerwatch.sinks.spool import SpoolSink
from bearerwatch.store.state import StateBusy
from ingest.followed import Spool


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

    def test_spools_share_what_may_be_open(self, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Four spools with a backlog have no more files open than one."""
        monkeypatch.setattr("bearerwatch.ingest.tail._MAX_OPEN", 16)
        tails = [SpoolTail(tmp_path / f"spool{n}", spool.state, spools=4) for n in range(4)]
        for n in range(4):
            for m in range(20):
                spool.folder = tmp_path / f"spool{n}"
                spool.writer(f"{m}", b"one\ntwo\n")
        before = len(list(Path("/proc/self/fd").iterdir()))
        lines: list[RawLine] = []
        for _ in range(40):
            for tail in tails:
                lines += tail.poll(limit_lines=10)
                assert len(list(Path("/proc/self/fd").iterdir())) <= before + len(tails) + 16
            with spool.state.begin() as tx:
                for tail in tails:
                    tail.save(tx)
            for tail in tails:
                tail.committed()
        assert len(lines) == 4 * 20 * 2
        for tail in tails:
            tail.close()

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

    def test_a_folder_that_cannot_be_listed_at_the_start(self, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        """A disk that reports an error, or a folder one may list and not enter: nothing is counted twice for it."""
        writer = spool.writer("a", b"one\n")
        assert spool.round() == [b"one"]
        spool.restart()

        def failing(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr("bearerwatch.ingest.folder.ServiceFolder._found", failing)
            assert spool.round() == []
        os.write(writer, b"two\n")
        assert spool.round() == [b"two"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_a_file_that_is_refused_for_a_while(self, spool: Spool, said: Any) -> None:
        """Given to a stranger and back, while the collector was down or while it ran: nothing is counted twice."""
        path = spool.segment("a")
        writer = spool.writer("a", b"one\n")
        assert spool.round() == [b"one"]
        spool.tail.close()
        os.chown(path, 4321, 4321)
        spool.restart()
        assert spool.round() == []
        assert "belongs to user 4321" in said.text
        os.chown(path, 0, 0)
        os.write(writer, b"two\n")
        assert spool.round() == [b"two"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_a_file_that_is_refused_when_opened_again(self, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bearerwatch.ingest.tail._MAX_OPEN", 1)
        path = spool.segment("a")
        writer = spool.writer("a", b"one\n")
        assert spool.round() == [b"one"]
        spool.writer("b", b"other\n")
        assert b"other" in spool.round()  # a is closed for it
        os.chown(path, 4321, 4321)
        for _ in range(3):
            assert spool.round() == []
        os.chown(path, 0, 0)
        os.write(writer, b"two\n")
        assert spool.round() + spool.round() == [b"two"]

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
