"""One request is followed from a real gateway to a real worker; and if a part of the thread is broken, it is told."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.demo import backstage, stage, thread
from bearerwatch.demo.client import Client, ClientLog
from bearerwatch.demo.layout import Layout, samples_dir
from bearerwatch.demo.processes import Fleet
from bearerwatch.demo.stage import Secrets, environment, set_stage
from bearerwatch.demo.thread import Followed, Thread, followed, worker_entries
from bearerwatch.demo.wallet import Wallet
from bearerwatch.demo.world import World
from bearerwatch.fingerprint import load_ring
from bearerwatch.testing.sweep import Report, Sweep

REQUEST, TOKEN, TRACE, SPAN = "0f" * 16, "k00000000:" + "1" * 32, "ab" * 16, "cd" * 8
EXPECTED = ("gateway", "shop-django", "shop-flask", "shop-worker")


async def follow(out: Path) -> tuple[Followed, Report]:
    """The chapter alone: everything on the stage, one request, and the sweep."""
    layout, made = Layout.make(out), Secrets.make()
    fleet, log = Fleet(layout.logs), ClientLog(layout.client_log)
    try:
        on = await set_stage(fleet, layout, environment(layout, made, "http://127.0.0.1:9/"))
        wallet = Wallet(load_ring({"BEARERWATCH_KEYS": made.fingerprint_key}))
        world = World(on.django, on.flask, on.fastapi, Client(log), wallet, random.Random(1))
        await until_it_answers(on.gateway.port)
        found = await Thread(world, on.gateway, layout)()
        fleet.check()
        assert fleet.stop(*on.apis) == []
        assert fleet.stop() == []
        return found, Sweep(wallet.all())([layout.root])
    finally:
        fleet.stop()
        log.close()


async def until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def started_by_nobody_else(out: Path) -> list[str]:
    return [
        folder.name
        for folder in Path("/proc").glob("[0-9]*")
        if folder.name != str(os.getpid()) and str(out).encode() in _environ(folder)
    ]


def _environ(folder: Path) -> bytes:
    try:
        return (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
    except OSError:
        return b""


def test_one_request_is_one_thread_with_one_fingerprint(tmp_path: Path) -> None:
    found, swept = asyncio.run(follow(tmp_path / "out"))

    assert found.holds, (found.missing, found.differing)
    assert found.places == list(EXPECTED)
    assert {entry.get("token_id") for entry in found.entries if entry["service"] != "gateway"} == {found.token_id}
    assert {entry["request_id"] for entry in found.entries} == {found.request_id}
    assert any(entry.get("detail") == "order 1002 is packed" for entry in found.entries)
    assert swept.clean, swept
    written = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"access.log", "shop-worker.log", "gateway.log", "broker.log", "appendonly.aof.1.incr.aof"} <= written
    assert b"django_api.tasks.pack" in (tmp_path / "out/broker/appendonlydir/appendonly.aof.1.incr.aof").read_bytes()
    assert started_by_nobody_else(tmp_path / "out") == []


def plain_flask(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    monkeypatch.setitem(stage._COMMANDS, "flask", lambda fd: stage._gunicorn("flask_api.plain:app", fd))


def no_worker(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    def idle(fleet: Fleet, env: Any) -> Any:
        return fleet.start("shop-worker", ["sleep", "60"], env=env, cwd=samples_dir())

    monkeypatch.setattr(stage, "start_worker", idle)


def nobody_trusted(monkeypatch: pytest.MonkeyPatch, _: Path) -> None:
    theirs = stage._gunicorn

    def mistrusting(application: str, descriptor: int) -> list[str]:
        command = theirs(application, descriptor)
        return [*command[:1], "--env", "BEARERWATCH_TRUSTED_PROXIES=192.0.2.0/24", *command[1:]]

    monkeypatch.setitem(stage._COMMANDS, "flask", lambda fd: mistrusting("flask_api.app:app", fd))


@pytest.mark.soak
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (plain_flask, "shop-flask tells nothing of it"),
        (no_worker, "shop-worker tells nothing of it"),
        (nobody_trusted, "shop-flask tells nothing of it"),
    ],
)
def test_a_part_that_is_broken_is_told_of(
    spoil: Callable[[pytest.MonkeyPatch, Path], None], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(thread, "_PATIENCE", 3.0)
    spoil(monkeypatch, tmp_path)
    found, _ = asyncio.run(follow(tmp_path / "out"))
    assert not found.holds
    assert told in found.missing


@pytest.mark.soak
def test_a_token_that_is_handed_to_a_task_is_found_in_the_broker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    samples = tmp_path / "samples"
    shutil.copytree(samples_dir(), samples)
    views, tasks = samples / "django_api" / "views.py", samples / "django_api" / "tasks.py"
    views.write_text(views.read_text().replace("pack.delay(order.pk)", 'pack.delay(order.pk, caller["Authorization"])'))
    tasks.write_text(tasks.read_text().replace("def pack(number: int)", "def pack(number: int, token: str)"))
    monkeypatch.setattr(stage, "samples_dir", lambda: samples)
    monkeypatch.setattr(backstage, "samples_dir", lambda: samples)

    found, swept = asyncio.run(follow(tmp_path / "out"))

    assert found.holds, (found.missing, found.differing)
    assert {Path(leak.place).parent.parent.name for leak in swept.findings} == {"broker"}


def entry(service: str, at: int, **more: Any) -> dict[str, Any]:
    ids = {"request_id": REQUEST, "trace_id": TRACE, "token_id": TOKEN, "span_id": SPAN}
    return {"ts": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at), "service": service, **ids, **more}


@pytest.fixture
def entries() -> list[dict[str, Any]]:
    return [
        entry("shop-worker", 30, span_id="ef" * 8, parent_request_id=SPAN),
        entry("gateway", 0, trace_id=None, token_id=None, span_id=None),
        entry("shop-flask", 20, span_id=None, parent_request_id=SPAN),
        entry("shop-django", 10),
    ]


def test_entries_are_put_in_order(entries: list[dict[str, Any]]) -> None:
    found = followed(REQUEST, TOKEN, entries, EXPECTED)
    assert found.holds
    assert found.places == list(EXPECTED)
    assert found.to_dict() == {
        "holds": True, "request_id": REQUEST, "token_id": TOKEN, "places": list(EXPECTED), "missing": [], "differing": [],
    }  # fmt: skip


@pytest.mark.parametrize("number", range(4))
def test_each_that_is_missing_is_told_of(number: int, entries: list[dict[str, Any]]) -> None:
    gone = entries.pop(number)
    found = followed(REQUEST, TOKEN, entries, EXPECTED)
    assert not found.holds
    assert found.missing == [f"{gone['service']} tells nothing of it"]


@pytest.mark.parametrize(
    ("number", "spoilt", "told"),
    [
        (0, {"token_id": "k00000001:" + "1" * 32}, "shop-worker tells of k00000001"),
        (2, {"token_id": None}, "shop-flask tells of no token"),
        (3, {"trace_id": "12" * 16}, "is of the trace"),
        (0, {"trace_id": None}, "is of the trace None"),
        (2, {"parent_request_id": "99" * 8}, "shop-flask was caused by 9999999999999999"),
    ],
)
def test_each_that_differs_is_told_of(
    number: int, spoilt: dict[str, Any], told: str, entries: list[dict[str, Any]]
) -> None:
    entries[number] |= spoilt
    found = followed(REQUEST, TOKEN, entries, EXPECTED)
    assert not found.holds
    assert any(told in problem for problem in found.differing)


def test_nothing_proves_nothing() -> None:
    assert not followed(REQUEST, TOKEN, [], ()).holds


def test_the_workers_log_is_read_for_the_request_alone(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text(
        f"2026-01-01 10:00:00,123 INFO    shop.worker: order 7 is packed request_id={REQUEST} token_id={TOKEN}\n"
        f"2026-01-01 10:00:00,124 INFO    shop.worker: order 8 is packed request_id={'0e' * 16} token_id={TOKEN}\n"
        "2026-01-01 10:00:00,125 INFO    shop.worker: and no id\n"
        f" a line of a traceback request_id={REQUEST}\n"
    )
    (said,) = worker_entries(log, REQUEST)
    assert (said["detail"], said["token_id"], said["kind"]) == ("order 7 is packed", TOKEN, "log")
    assert said["ts"] == datetime(2026, 1, 1, 10, 0, 0, 123_000, UTC)
    assert worker_entries(tmp_path / "none", REQUEST) == []
