"""The whole collector: what is written to a spool or sent over HTTP is in the lake once, and alerts follow."""

from __future__ import annotations

import errno
import http.client
import json
import os
import secrets
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

import fakes
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import AuthEvent, Outcome
from bearerwatch.ingest.keys import IngestKeys
from bearerwatch.server import Collector, CollectorSettings, read_status
from bearerwatch.store.tables import offsets
from bearerwatch.store.tables import outbox as outbox_table

Event = Callable[..., AuthEvent]
Until = Callable[..., Any]


def guess(event: Event, number: int, **changes: Any) -> AuthEvent:
    """One of many wrong tokens from one address."""
    token = f"k00000000:{number:032x}"
    wrong = {"outcome": Outcome.INVALID, "reason": "bad_signature", "verified": False, "status": 401}
    return event(**(wrong | {"client_ip": "203.0.113.7", "token_id": token, "presented_id": token} | changes))


class TestSpool:
    def test_from_spool_to_lake(self, site: Any, event: Event, until: Until) -> None:
        """Every event once, with its source; the segment goes when its writer has ended."""
        sink = site.sink()
        running = site.start()
        for number in range(50):
            sink.send(event(number))
        sink.close()
        until(lambda: not list(site.spool.rglob("*.jsonl")))
        running.stop()

        ids = site.ids()
        assert (len(ids), len(set(ids))) == (50, 50)
        with site.reader() as reader:
            (row,) = reader.query("SELECT DISTINCT source, service FROM {events}")
        assert row == {"source": "spool:shop", "service": "shop"}

    def test_a_stop_leaves_nothing_undone(self, site: Any, event: Event) -> None:
        """What was written before SIGTERM is in the lake after it."""
        sink = site.sink()
        running = site.start(tick=5.0, commit_every=60.0)
        for number in range(20):
            sink.send(event(number))
        running.stop()
        assert len(site.ids()) == 20
        status = read_status(site.state_dir)
        assert status is not None
        assert (status.accepted, status.pending) == (20, 0)

    def test_several_spools(self, site: Any, event: Event, tmp_path: Path, until: Until) -> None:
        from bearerwatch.sinks.spool import SpoolSink

        spools = (tmp_path / "a", tmp_path / "b")
        running = site.start(spools=spools)
        sinks = [SpoolSink(spool / "shop") for spool in spools]  # the spools appear after the collector
        for number, sink in enumerate(sinks):
            sink.send(event(number))
            sink.close()
        until(lambda: running.collector.status.committed_at)
        until(lambda: not any(spool.rglob("*.jsonl") for spool in spools) or not list(tmp_path.glob("?/*/*.jsonl")))
        running.stop()
        assert len(site.ids()) == 2

    def test_bad_lines_go_to_the_quarantine(self, site: Any, event: Event, until: Until) -> None:
        jwt = fakes.jwt()
        folder = site.spool / "shop"
        folder.mkdir(parents=True, mode=0o700)
        good = msgspec.json.encode(event())
        late = msgspec.json.encode(event(ts=datetime.now(UTC) + timedelta(hours=1)))
        lines = [good, b"\xff\xfe\x00", good[:60], late, jwt.encode(), b"[" * 50_000, good]
        (folder / "a.jsonl").write_bytes(b"\n".join(lines) + b"\n" + b"x" * 300_000 + b"\n" + good[:30])
        running = site.start()
        until(lambda: not list(folder.iterdir()))
        running.stop()

        assert len(site.ids()) == 1
        (path,) = (site.state_dir / "quarantine").glob("*.jsonl")
        records = [json.loads(line) for line in path.read_text().splitlines()]
        assert [r["code"] for r in records] == [
            "not_json",
            "not_json",
            "future",
            "not_json",
            "invalid",
            "too_long",
            "not_json",
        ]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not fakes.leaked(jwt, path.read_text())
        status = read_status(site.state_dir)
        assert status is not None
        assert (status.quarantined, status.duplicates, status.accepted) == (7, 1, 1)
        assert status.rejected["future"] == 1

    def test_quarantined_once_over_restarts(self, site: Any, until: Until) -> None:
        folder = site.spool / "shop"
        folder.mkdir(parents=True, mode=0o700)
        (folder / "a.jsonl").write_bytes(b"garbage\n")
        for _ in range(2):
            running = site.start()
            until(lambda: not list(folder.iterdir()))
            running.stop()
        (path,) = (site.state_dir / "quarantine").glob("*.jsonl")
        assert len(path.read_text().splitlines()) == 1


class TestHttp:
    def post(self, port: int, key: str, body: bytes) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            headers = {"authorization": f"Bearer {key}", "content-type": "application/x-ndjson"}
            connection.request("POST", "/v1/events", body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def test_acknowledged_is_durable(self, site: Any, event: Event, free_port: int) -> None:
        """Once the answer is there, a reader in another process would find the events."""
        key = secrets.token_urlsafe(24)
        running = site.start(port=free_port, ingest_keys=IngestKeys({"edge": key}), commit_every=60.0, tick=5.0)
        sent = [event(number) for number in range(3)]
        began = time.monotonic()
        reply = self.post(free_port, key, b"\n".join(map(msgspec.json.encode, sent)))
        spent = time.monotonic() - began

        assert reply == (202, {"accepted": 3, "rejected": 0})
        assert sorted(site.ids()) == sorted(one.event_id for one in sent)
        assert spent < 2.0, "it need not wait for the tick"
        running.stop()

    def test_who_waits_at_the_end_is_answered(self, site: Any, event: Event, free_port: int) -> None:
        import threading

        key = secrets.token_urlsafe(24)
        running = site.start(port=free_port, ingest_keys=IngestKeys({"edge": key}))
        replies: list[Any] = []

        def send() -> None:
            for number in range(200):
                try:
                    replies.append(self.post(free_port, key, msgspec.json.encode(event(number))))
                except OSError:
                    return

        threads = [threading.Thread(target=send) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        running.stop()
        for thread in threads:
            thread.join()

        accepted = sum(reply[1].get("accepted", 0) for reply in replies)
        assert accepted > 0
        assert {status for status, _ in replies} <= {202, 503}
        assert len(site.ids()) == len(set(site.ids())) >= accepted

    def test_ready(self, site: Any, free_port: int) -> None:
        running = site.start(port=free_port)
        connection = http.client.HTTPConnection("127.0.0.1", free_port, timeout=5)
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
        connection.close()
        assert running.collector.address == ("127.0.0.1", free_port)
        running.stop()

    def test_a_port_in_use(self, site: Any) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            with pytest.raises(ConfigurationError, match="--listen 127.0.0.1:"):
                site.start(port=sock.getsockname()[1]).stop()


class TestAlerts:
    def test_soon(self, site: Any, event: Event) -> None:
        """From the last guess to the outbox in a fraction of a second, at the default tick."""
        running = site.start(tick=0.25, commit_every=1.0)
        sink = site.sink()
        sink.send(event())
        state = site.state()
        waits = []
        for address in range(3):
            for number in range(60):
                sink.send(guess(event, number, client_ip=f"203.0.113.{address}"))
            began = time.monotonic()
            while True:
                with state.read() as conn:
                    episodes = conn.exec_driver_sql(
                        f"SELECT count(*) FROM outbox WHERE payload LIKE '%203.0.113.{address}%'"
                    ).scalar_one()
                if episodes:
                    break
                assert time.monotonic() - began < 5
                time.sleep(0.005)
            waits.append(time.monotonic() - began)
            time.sleep(0.1)
        state.close()
        running.stop()
        assert sorted(waits)[1] < 0.6, waits

    def test_once_over_a_restart(self, site: Any, event: Event, until: Until) -> None:
        """An attack that goes on over a restart is one episode and one notice."""
        keys: list[list[str]] = []
        sink = site.sink()
        for _ in range(2):
            running = site.start()
            for number in range(60):
                sink.send(guess(event, number))
            until(lambda running=running: running.collector.status.committed_at)
            state = site.state()

            def opened(state: Any = state) -> list[str]:
                with state.read() as conn:
                    return sorted(conn.execute(sa.select(outbox_table.c.key)).scalars())

            until(opened)
            running.stop()
            keys.append(opened())
            state.close()
        assert keys[0] == keys[1]
        assert len(site.ids()) == 120


class TestStarting:
    def test_a_second_collector_is_refused(self, site: Any) -> None:
        first = site.start()
        with pytest.raises(ConfigurationError, match=f"process {os.getpid()}.*--state"):
            Collector(CollectorSettings(state_dir=site.state_dir)).run()
        first.stop()
        site.start().stop()

    def test_another_state_folder_with_the_same_spool_is_refused(self, site: Any, tmp_path: Path) -> None:
        site.spool.mkdir(parents=True)
        first = site.start()
        other = CollectorSettings(state_dir=tmp_path / "other", spools=(site.spool,))
        with pytest.raises(ConfigurationError, match="another collector tails the spool"):
            Collector(other).run()
        first.stop()

    @pytest.mark.parametrize("how", ["overwritten", "one page"])
    def test_a_damaged_database(self, site: Any, event: Event, how: str) -> None:
        """It says what to do, and touches neither database nor lake."""
        sink = site.sink()
        running = site.start()
        sink.send(event())
        running.stop()
        sink.close()
        path = site.state_dir / "state.db"
        with sqlite3.connect(path) as con:
            con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        con.close()
        content = bytearray(path.read_bytes())
        if how == "overwritten":
            content = bytearray(os.urandom(len(content)))
        else:
            content[4_096 * 3 : 4_096 * 8] = os.urandom(4_096 * 5)
        path.write_bytes(content)
        files = {file: file.read_bytes() for file in (site.state_dir / "lake").rglob("*.parquet")}

        with pytest.raises(ConfigurationError, match="damaged: restore state.db from a backup"):
            Collector(CollectorSettings(state_dir=site.state_dir)).run()
        assert path.read_bytes() == bytes(content)
        assert {file: file.read_bytes() for file in files} == files

    def test_an_unusable_state_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError, match="cannot be used"):
            Collector(CollectorSettings(state_dir=tmp_path / "file" / "state")).run()

    def test_a_folder_of_others_is_no_state_folder(self, site: Any, tmp_path: Path) -> None:
        """It is left exactly as it was, and so is the way in."""
        (tmp_path / "srv").mkdir()
        (tmp_path / "srv").chmod(0o755)
        (tmp_path / "srv" / "index.html").touch()
        site.state_dir = tmp_path / "srv"
        with pytest.raises(ConfigurationError, match="holds other things"):
            site.start().stop()
        assert stat.S_IMODE(site.state_dir.stat().st_mode) == 0o755
        assert [path.name for path in site.state_dir.iterdir()] == ["index.html"]

    def test_wrong_rules(self, site: Any, tmp_path: Path) -> None:
        from bearerwatch.errors import RuleError

        (tmp_path / "rules").mkdir()
        (tmp_path / "rules" / "mine.yml").write_text("title: [")
        with pytest.raises(RuleError, match=r"mine\.yml:\d+"):
            site.start(rules=tmp_path / "rules").stop()

    def test_wrong_geo_file(self, site: Any, tmp_path: Path) -> None:
        (tmp_path / "geo.mmdb").write_text("no")
        with pytest.raises(ConfigurationError, match="--mmdb"):
            site.start(mmdb=(tmp_path / "geo.mmdb",)).stop()


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_clean_end(self, site: Any, event: Event, number: int) -> None:
        sink = site.sink()
        process = site.process()
        assert process.stdout.readline() == b"ready\n"
        for count in range(30):
            sink.send(event(count))
        process.send_signal(number)
        _, errors = process.communicate(timeout=15)
        assert (process.returncode, errors) == (0, b"")
        assert len(site.ids()) == 30

    def test_a_generated_key_lies_in_its_state_folder(self, site: Any) -> None:
        process = site.process(HOME="/nonexistent", BEARERWATCH_STATE="/nonexistent/state")
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        process.communicate(timeout=15)
        assert (site.state_dir / "fingerprint.key").exists()


class TestTrouble:
    def test_a_locked_database(self, site: Any, event: Event, until: Until) -> None:
        """Three seconds of somebody else's lock: nothing lost, nothing twice, said once."""
        sink = site.sink()
        running = site.start()
        sink.send(event(0))
        until(lambda: running.collector.status.committed_at)
        blocker = sqlite3.connect(site.state_dir / "state.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        for number in range(1, 100):
            sink.send(event(number))
            time.sleep(0.03)
        blocker.execute("ROLLBACK")
        blocker.close()
        until(lambda: "durable again" in running.said)
        sink.close()
        until(lambda: not list(site.spool.rglob("*.jsonl")))
        running.stop()

        ids = site.ids()
        assert (len(ids), len(set(ids))) == (100, 100)
        assert running.said.count("held up") + running.said.count("nothing can be made durable") == 1

    def test_a_long_lock_bounds_what_is_held(self, site: Any, event: Event, until: Until) -> None:
        """Past the bound nothing more is read: spools hold what memory need not."""
        sink = site.sink()
        running = site.start(max_pending=50)
        until(lambda: running.collector.status.at > running.collector.status.started_at)
        blocker = sqlite3.connect(site.state_dir / "state.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        for number in range(2_000):
            sink.send(event(number))
        time.sleep(1.5)
        pending = running.collector._pipeline.pending
        blocker.execute("ROLLBACK")
        blocker.close()
        sink.close()
        until(lambda: not list(site.spool.rglob("*.jsonl")), 15)
        running.stop()

        assert pending < 2_000 + 1
        assert len(set(site.ids())) == len(site.ids()) == 2_000

    def test_a_flood_of_garbage_that_cannot_be_kept(
        self, site: Any, until: Until, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rejected lines wait in memory for the quarantine's disk; only so many of them."""

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        service = site.spool / "shop"
        service.mkdir(parents=True, mode=0o700)
        (service / "a.jsonl").write_bytes(b"garbage\n" * 30_000)
        with monkeypatch.context() as patch:
            patch.setattr("bearerwatch.ingest.quarantine.Quarantine._append", full)
            running = site.start(max_pending=50)
            until(lambda: "No space left" in running.said)
            time.sleep(0.5)
            assert 50 <= running.collector._pipeline.pending < 3_000
        until(lambda: not list(site.spool.rglob("*.jsonl")), 15)
        running.stop()
        (kept,) = (site.state_dir / "quarantine").iterdir()
        assert len(kept.read_bytes().splitlines()) + running.collector.status.suppressed == 30_000

    def test_a_database_that_stays_locked_at_the_start(self, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from bearerwatch.store.state import StateBusy

        site.start().stop()
        monkeypatch.setattr("bearerwatch.server.collector._START_SECONDS", 0.5)
        blocker = sqlite3.connect(site.state_dir / "state.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        try:
            with pytest.raises(StateBusy, match="lock"):
                site.start().stop()
        finally:
            blocker.close()

    def test_not_ready_while_there_is_no_space(self, site: Any, free_port: int, until: Until) -> None:
        """Whoever balances load by ``/readyz`` sends its events elsewhere, rather than here to be turned away."""
        running = site.start(port=free_port, min_free=1 << 60)
        until(lambda: "nothing is read until there is space" in running.said)
        connection = http.client.HTTPConnection("127.0.0.1", free_port, timeout=5)
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        assert answer.status == 503
        assert b"Free some" in answer.read()
        connection.close()
        running.stop()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
    def test_a_full_disk(self, site: Any, event: Event, until: Until, tmp_path: Path) -> None:
        """State on a disk of 4 MB that fills up: reading stops, offsets stay, and it goes on when there is space."""
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)], check=True)
        try:
            site.state_dir = disk / "state"
            site.spool = tmp_path / "spool"
            running = site.start(spools=(site.spool,), min_free=0)
            sink = site.sink()
            sink.send(event(0))
            until(lambda: running.collector.status.committed_at)
            ballast = disk / "ballast"
            with ballast.open("wb", buffering=0) as file:
                try:
                    while file.write(b"x" * 4_096):
                        pass
                except OSError:
                    pass
            for number in range(1, 500):
                sink.send(event(number))
            until(lambda: "nothing can be made durable" in running.said)
            time.sleep(0.5)
            assert running.collector.status.accepted <= 500
            ballast.unlink()
            until(lambda: "durable again" in running.said)
            sink.close()
            until(lambda: not list(site.spool.rglob("*.jsonl")))
            running.stop()
            ids = site.ids()
            assert (len(ids), len(set(ids))) == (500, 500)
        finally:
            site.close()
            subprocess.run(["umount", str(disk)], check=True)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
    def test_a_nearly_full_disk(self, site: Any, event: Event, until: Until, tmp_path: Path) -> None:
        """Below the least that must be free nothing is read at all; it says how much, and resumes."""
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)], check=True)
        try:
            site.state_dir = disk / "state"
            site.spool = tmp_path / "spool"
            ballast = disk / "ballast"
            ballast.write_bytes(b"x" * (5 << 20))
            running = site.start(spools=(site.spool,), min_free=4 << 20)
            sink = site.sink()
            sink.send(event(0))
            until(lambda: "nothing is read until there is space" in running.said)
            status = until(lambda: read_status(site.state_dir))
            assert "free" in status.blocked
            ballast.unlink()
            sink.close()
            until(lambda: not list(site.spool.rglob("*.jsonl")))
            running.stop()
            assert len(site.ids()) == 1
        finally:
            site.close()
            subprocess.run(["umount", str(disk)], check=True)

    def test_files_that_may_not_grow(self, site: Any, event: Event, until: Until) -> None:
        """Without mount: a limit on file sizes makes writes fail as a full disk does."""
        process = site.process("import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)")
        assert process.stdout.readline() == b"ready\n"
        import resource

        sink = site.sink()
        sink.send(event(0))
        until(lambda: (site.state_dir / "lake" / "events").exists() and len(site.ids()) == 1)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        for number in range(1, 200):
            sink.send(event(number))
        time.sleep(0.7)
        assert process.poll() is None
        assert len(site.ids()) == 1
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        sink.close()
        until(lambda: not list(site.spool.rglob("*.jsonl")))
        process.terminate()
        _, errors = process.communicate(timeout=15)
        assert b"nothing can be made durable" in errors
        assert len(set(site.ids())) == len(site.ids()) == 200


class TestStatus:
    def test_written_while_it_runs(self, site: Any, until: Until) -> None:
        running = site.start()
        status = until(lambda: read_status(site.state_dir))
        running.stop()

        assert status.pid == os.getpid()
        assert status.free_bytes > 0
        assert status.blocked is None
        assert not list(site.state_dir.glob(".collector*"))

    def test_no_status(self, tmp_path: Path) -> None:
        assert read_status(tmp_path) is None
        (tmp_path / "collector.json").write_bytes(b"half a rec")
        assert read_status(tmp_path) is None

    def test_offsets_are_forgotten_with_their_segments(self, site: Any, event: Event, until: Until) -> None:
        sink = site.sink()
        running = site.start()
        for number in range(3):
            sink.send(event(number))
            sink.close()
            until(lambda: not list(site.spool.rglob("*.jsonl")))
        running.stop()
        state = site.state()
        with state.read() as conn:
            assert len(conn.execute(sa.select(offsets)).all()) <= 1
        state.close()
