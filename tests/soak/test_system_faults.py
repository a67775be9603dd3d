"""The whole system under kill -9: samples on real servers, the collector, and a client that keeps its own log.

DESIGN's sentence, counted from the client's side: every request whose complete answer reached the client has
exactly one event, a cut request none or one, none has two, and no event lacks a request.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bearerwatch.demo.client import Client, ClientLog, Origin
from bearerwatch.demo.layout import Layout
from bearerwatch.demo.processes import Fleet, Process
from bearerwatch.demo.recount import recount
from bearerwatch.demo.stage import Secrets, environment, set_stage
from bearerwatch.demo.wallet import Held
from bearerwatch.store.reader import Reader

_PATHS = ("/health", "/me", "/orders", "/orders/1", "/orders/999999", "/export")


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


async def _ready(client: Client, apis) -> None:
    for api in apis:
        for _ in range(100):
            answer = await client(api, "GET", "/health", origin=Origin("198.51.100.1", "probe"), label="probe")
            if answer.status == 200:
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail(f"{api.service} does not come up")


async def _traffic(client: Client, apis, rng: random.Random, until: float) -> None:
    while time.monotonic() < until:
        held = None
        if rng.random() < 0.7:
            held = Held(f"junk-{rng.randrange(50)}", f"{rng.getrandbits(160):040x}")
        await client(
            rng.choice(apis),
            "GET",
            rng.choice(_PATHS),
            origin=Origin(f"203.0.113.{rng.randrange(1, 250)}", "soak"),
            label="soak",
            held=held,
            cut_after=rng.choice((None, None, None, 1)),
        )


async def _rounds(layout: Layout, count: int, seed: int) -> None:
    rng = random.Random(seed)
    fleet = Fleet(layout.logs)
    env = environment(layout, Secrets.make(), "")
    env = {name: value for name, value in env.items() if not name.startswith("BEARERWATCH_WEBHOOK")}
    log = ClientLog(layout.client_log)
    client = Client(log)
    try:
        stage = await set_stage(fleet, layout, env)
        apis = [stage.flask, stage.fastapi, stage.django]
        collector: Process = stage.collector
        command = [str(part) for part in collector.popen.args]
        await _ready(client, apis)
        for _ in range(count):
            until = time.monotonic() + rng.uniform(0.4, 1.0)
            load = [asyncio.create_task(_traffic(client, apis, random.Random(rng.random()), until)) for _ in range(4)]
            await asyncio.sleep(rng.uniform(0.05, 0.4))
            victim = rng.choice(("worker", "collector", "both"))
            if victim != "collector":
                workers = _children(rng.choice(stage.apis).popen.pid)
                if workers:
                    with suppress(ProcessLookupError):
                        os.kill(rng.choice(workers), signal.SIGKILL)
            if victim != "worker":
                os.kill(collector.popen.pid, signal.SIGKILL)
                await asyncio.to_thread(collector.popen.wait)
                collector = fleet.start("collector", command, env=env, cwd=layout.root)
            await asyncio.gather(*load)
            assert collector.running, collector.tail()
        fleet.stop(*stage.apis)
        await _drained(layout, collector)
        assert fleet.stop(collector) == []
    finally:
        fleet.stop()
        log.close()


async def _drained(layout: Layout, collector: Process) -> None:
    """Wait until the collector has read, committed and deleted every segment of the spool."""
    for _ in range(300):
        if not any((layout.state / "spool").rglob("*.jsonl")):
            return
        assert collector.running, collector.tail()
        await asyncio.sleep(0.1)
    pytest.fail("the collector does not finish the spool: " + collector.tail())


def _check(layout: Layout) -> None:
    with Reader(layout.state) as reader:
        events = list(
            reader.query("SELECT kind, service, request_id, status, outcome, count, event_id FROM {events} AS e")
        )
    books = recount(layout.client_log, events)

    assert (books.missing, books.duplicated, books.unexplained, books.differing) == ([], [], [], [])
    assert books.complete > 0
    assert len({event["event_id"] for event in events}) == len(events)
    statuses = [line for line in layout.client_log.read_text().splitlines() if '"status": 5' in line]
    assert statuses == [], "a request failed"


def test_a_few_rounds_of_kill_9_lose_and_double_nothing(tmp_path, monkeypatch):
    layout = Layout.make(tmp_path / "run")

    asyncio.run(_rounds(layout, 3, seed=11))

    _check(layout)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_fifty_rounds_of_kill_9_lose_and_double_nothing(tmp_path):
    layout = Layout.make(tmp_path / "run")

    asyncio.run(_rounds(layout, 50, seed=int(os.environ.get("SOAK_SEED", "1"))))

    _check(layout)
