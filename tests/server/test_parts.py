"""The smaller parts of the collector: what it says, what wakes it, what it holds, and how it keeps the lake in shape."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.complaints import Complaints, shown
from bearerwatch.server import Status, read_status, upkeep
from bearerwatch.server.lock import StateLock
from bearerwatch.server.signals import Waker, stopping_by_signal
from bearerwatch.server.status import write_status


class TestComplaints:
    def test_each_thing_once_a_minute(self) -> None:
        now, said = [0.0], []
        complain = Complaints(said.append, clock=lambda: now[0])
        for second in range(0, 130, 10):
            now[0] = second
            complain("a", f"a at {second}")
            complain("b", f"b at {second}")
        assert said == ["a at 0", "b at 0", "a at 60", "b at 60", "a at 120", "b at 120"]

    def test_a_flood_of_subjects_is_bounded(self) -> None:
        said: list[str] = []
        complain = Complaints(said.append)
        for number in range(10_000):
            complain(f"file {number}", "no")
        assert len(said) == 1_000

    def test_names_are_escaped_and_cut(self) -> None:
        assert shown("a\x1b[2J\n") == "a\\x1b[2J\\n"
        assert len(shown("x" * 1_000)) == 80


class TestWaker:
    def test_sleeps_until_woken(self) -> None:
        waker = Waker()
        assert not waker.sleep(0.01)
        waker.wake()
        waker.wake()
        assert waker.sleep(5)
        assert not waker.sleep(0.01), "several wakes are one"
        threading.Timer(0.05, waker.wake).start()
        began = time.monotonic()
        assert waker.sleep(5)
        assert time.monotonic() - began < 2
        waker.close()
        waker.wake()

    def test_signals_are_left_alone_in_other_threads(self) -> None:
        import signal

        before = signal.getsignal(signal.SIGTERM)
        seen: list[Any] = []

        def work() -> None:
            with stopping_by_signal(lambda: None):
                seen.append(signal.getsignal(signal.SIGTERM))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [before]

    def test_a_second_signal_ends_at_once(self) -> None:
        """For an operator who does not want to wait for the final commit."""
        code = (
            "import os, signal, time\n"
            "from bearerwatch.server.signals import stopping_by_signal\n"
            "with stopping_by_signal(lambda: print('asked', flush=True)):\n"
            "    for _ in range(2):\n"
            "        os.kill(os.getpid(), signal.SIGTERM)\n"
            "        time.sleep(0.1)\n"
            "print('not reached')"
        )
        env = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=False, timeout=20)
        assert (done.returncode, done.stdout) == (-15, b"asked\n")


class TestLock:
    def test_held_by_one(self, tmp_path: Path) -> None:
        first = StateLock(tmp_path)
        with pytest.raises(ConfigurationError, match=f"process {os.getpid()}"):
            StateLock(tmp_path)
        first.release()
        StateLock(tmp_path).release()

    def test_a_link_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("keep")
        (tmp_path / "collector.lock").symlink_to(tmp_path / "target")
        with pytest.raises(ConfigurationError, match="--state"):
            StateLock(tmp_path)
        assert (tmp_path / "target").read_text() == "keep"


class TestStatus:
    def status(self) -> Status:
        now = datetime(2026, 1, 31, tzinfo=UTC)
        return Status(pid=7, version="1", started_at=now, at=now, rejected={"future": 2})

    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        write_status(tmp_path, self.status())
        assert read_status(tmp_path) == self.status()
        assert (tmp_path / "collector.json").stat().st_mode & 0o777 == 0o600

    def test_where_it_cannot_be_written(self, tmp_path: Path) -> None:
        """It is only a convenience: the collector goes on."""
        write_status(tmp_path / "none", self.status())
        (tmp_path / "collector.json").mkdir()
        write_status(tmp_path, self.status())
        assert read_status(tmp_path) is None


class TestUpkeep:
    def files(self, site: Any) -> int:
        return len(list((site.state_dir / "lake").rglob("*.parquet")))

    def test_small_files_become_few(
        self, site: Any, event: Callable[..., Any], until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Merged while the collector goes on; the same events are there, each once."""
        monkeypatch.setattr(upkeep, "_COMPACT_EVERY", 0.1)
        monkeypatch.setattr("bearerwatch.store.upkeep._FAN", 4)
        running = site.start(commit_every=0.0)
        sink = site.sink()
        for number in range(24):
            sink.send(event(number))
            before = running.collector.status.committed_at
            until(lambda before=before: running.collector.status.committed_at != before)
        until(lambda: site.state_dir and self._live(site) < 12)
        running.stop()
        assert len(site.ids()) == len(set(site.ids())) == 24

    def _live(self, site: Any) -> int:
        state = site.state()
        with state.read() as conn:
            count: int = conn.exec_driver_sql("SELECT count(*) FROM segments WHERE state = 'live'").scalar_one()
        state.close()
        return count

    def test_what_is_past_its_time_goes(
        self, site: Any, event: Callable[..., Any], until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(upkeep, "_COMPACT_EVERY", 0.1)
        monkeypatch.setattr(upkeep, "_RETAIN_EVERY", 0.1)
        old = site.start(retain=None)
        sink = site.sink()
        now = datetime.now(UTC)
        sink.send(event(1, ts=now - timedelta(hours=5)))
        sink.send(event(2, ts=now))
        sink.close()
        until(lambda: not list(site.spool.rglob("*.jsonl")))
        old.stop()
        assert len(site.ids()) == 2

        new = site.start(retain=timedelta(hours=2))
        until(lambda: len(site.ids()) == 1)
        new.stop()
