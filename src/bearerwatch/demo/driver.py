"""Runs the demonstration from beginning to end, and judges it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bearerwatch.demo import ending
from bearerwatch.demo.attacks import Attack, all_attacks
from bearerwatch.demo.backstage import GATEWAY
from bearerwatch.demo.client import Api, Client, ClientLog, Origin
from bearerwatch.demo.layout import Layout
from bearerwatch.demo.processes import Fleet
from bearerwatch.demo.receiver import Alert, Receiver
from bearerwatch.demo.recount import Recount, recount
from bearerwatch.demo.screen import Screen
from bearerwatch.demo.stage import Secrets, Stage, environment, set_stage
from bearerwatch.demo.thread import FOLLOWED, Followed, Thread
from bearerwatch.demo.traffic import Benign
from bearerwatch.demo.verdict import Fought, Verdict
from bearerwatch.demo.wallet import Wallet
from bearerwatch.demo.world import BENIGN, World
from bearerwatch.errors import BearerwatchError
from bearerwatch.fingerprint import load_ring
from bearerwatch.store.reader import Reader
from bearerwatch.testing.sweep import Sweep, prove

__all__ = ["Driver"]

_INTRO = (
    "Three small APIs start (Django, Flask and FastAPI, two workers each). Bearer tokens guard them, and two lines of "
    "each are bearerwatch. A collector reads what they report. First comes an ordinary day's traffic: nobody should be "
    "alarmed. Then six attacks, over real HTTP, from several addresses: each must be noticed within seconds. Then one "
    "request is followed, from nginx through two of the services to a Celery worker on Valkey. At the end the books "
    "are checked: has every request its one event, and is any token to be read anywhere? "
    "Nothing leaves this machine."
)
_QUIET_SECONDS = 15.0
_READY_SECONDS = 30.0
_ALERT_SECONDS = 6.0
_CATCH_UP_SECONDS = 20.0
_ABOUT_CODE = frozenset({"leaked_token", "query_token_use"})
"""Rules about how services are made, not about who asks them. The samples log tokens and take them in URLs, carelessly
and on purpose: that these rules say so is right, and alarms nobody about a request."""


@dataclass(slots=True)
class _Run:
    """What is on the stage once it is set."""

    world: World
    stage: Stage
    receiver: Receiver
    attacks: list[Attack]

    @property
    def log(self) -> ClientLog:
        return self.world.client.log

    @property
    def alarms(self) -> list[Alert]:
        """The alerts so far that are about requests."""
        return [alert for alert in list(self.receiver.alerts) if alert.rule not in _ABOUT_CODE]

    def attack_of(self, alert: Alert) -> Attack | None:
        return next((attack for attack in self.attacks if attack.owns(alert)), None)

    def after(self, alert: Alert) -> float | None:
        """Seconds from the first bad request of an alert's attack to its arrival."""
        attack = self.attack_of(alert)
        first = self.log.first.get(attack.label) if attack else None
        return None if first is None else alert.at - first

    def fought(self, attack: Attack) -> Fought:
        """What has become of *attack* so far."""
        alerts: dict[str, float] = {}
        for alert in list(self.receiver.alerts):
            after = self.after(alert)
            if alert.kind == "opened" and after is not None and self.attack_of(alert) is attack:
                alerts.setdefault(alert.rule, after)
        return Fought(attack, self.log.requests[attack.label], alerts)


class Driver:
    """One run.

    Args:
        layout: where everything is kept.
        screen: where everything is shown.
        seed: of the traffic's dice.
    """

    def __init__(self, layout: Layout, screen: Screen, seed: int) -> None:
        self._layout = layout
        self._screen = screen
        self._seed = seed
        self._secrets = Secrets.make()
        self._run: _Run | None = None
        self._alerted = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.verdict: Verdict | None = None
        """Known before the end of a run that was told to keep everything running."""

    async def __call__(self, *, keep: bool) -> Verdict:
        """Run it.

        Args:
            keep: leave everything running until this task is cancelled.

        Raises:
            BearerwatchError: the stage could not be set, or something fell over.
        """
        begun = time.monotonic()
        self._loop = asyncio.get_running_loop()
        screen, layout = self._screen, self._layout
        screen.intro("bearerwatch demo", _INTRO)
        fleet = Fleet(layout.logs)
        log = ClientLog(layout.client_log)
        try:
            with Receiver(self._secrets.webhook, layout.webhooks, self._heard) as receiver:
                screen.doing("starting the collector and the samples")
                stage = await set_stage(fleet, layout, environment(layout, self._secrets, receiver.url))
                world = self._world(stage, Client(log))
                run = self._run = _Run(world, stage, receiver, all_attacks(world))
                await self._ready(run)
                early = await self._play(run)
                thread = await self._follow(run)
                verdict = await self._judge(run, early, thread, keep=keep)
                verdict.seconds = time.monotonic() - begun
                ending.show(screen, layout, verdict)
                self._look_back(world, verdict)
                self.verdict = verdict
                if keep:
                    await self._stay(stage)
                return verdict
        finally:
            screen.rest()
            log.close()
            fleet.stop()

    def _world(self, stage: Stage, client: Client) -> World:
        wallet = Wallet(load_ring({"BEARERWATCH_KEYS": self._secrets.fingerprint_key}))
        dice = random.Random(self._seed)  # noqa: S311 - traffic, not secrets
        return World(stage.django, stage.flask, stage.fastapi, client, wallet, dice)

    async def _ready(self, run: _Run) -> None:
        """Poll ``/health`` until each service answers. These polls are requests like any other."""
        begun = time.monotonic()
        world, fleet = run.world, run.stage.fleet
        origin = Origin("192.0.2.2", "kube-probe/1.33")

        async def answers(api: Api) -> None:
            while True:
                answer = await world.client(api, "GET", "/health", origin=origin, label=BENIGN, timeout=10)
                if answer.status == 200:
                    return
                fleet.check()
                await asyncio.sleep(0.2)

        try:
            async with asyncio.timeout(_READY_SECONDS):
                await asyncio.gather(*(answers(api) for api in world.apis))
        except TimeoutError:
            raise BearerwatchError(
                f"the samples did not come up within {_READY_SECONDS:.0f} s: see {self._layout.logs}"
            ) from None
        fleet.check()
        took = time.monotonic() - begun
        names = ", ".join(f"{api.title} on port {api.port}" for api in world.apis)
        self._screen.step(ok=True, what=f"ready in {took:.1f} s: the collector, and {names}")

    async def _play(self, run: _Run) -> list[Alert]:
        """An ordinary day, which goes on while the attacks come.

        Returns:
            the alerts there were before the first attack.
        """
        benign = Benign(run.world)
        background = asyncio.ensure_future(benign())
        try:
            early = await self._ordinary_day(run, background)
            for number, attack in enumerate(run.attacks, 1):
                run.stage.fleet.check()
                if background.done():
                    background.result()
                self._screen.phase(f"Attack {number} of {len(run.attacks)}: {attack.name}", attack.story)
                self._screen.doing(f"{attack.name} …")
                await self._fight(run, attack)
            benign.stop()
            await background
        finally:
            background.cancel()
            await asyncio.gather(background, return_exceptions=True)
        return early

    async def _ordinary_day(self, run: _Run, background: asyncio.Future[None]) -> list[Alert]:
        screen, log = self._screen, run.log
        screen.phase("An ordinary day", "people, scripts, health checks, typing errors, expired tokens")
        until = time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < until and not background.done():
            screen.doing(f"{log.requests[BENIGN]} requests, {len(run.alarms)} alerts")
            await asyncio.sleep(0.25)
        for attack in run.attacks:
            await attack.prepare()
        early = run.alarms
        screen.step(ok=not early, what=f"{log.requests[BENIGN]} requests, {len(early)} alerts")
        return early

    async def _fight(self, run: _Run, attack: Attack) -> None:
        await attack()
        with suppress(TimeoutError):
            async with asyncio.timeout(_ALERT_SECONDS):
                while not run.fought(attack).noticed:
                    self._alerted.clear()
                    await self._alerted.wait()
        fought = run.fought(attack)
        if not fought.noticed:
            lacking = ", ".join(rule for rule in attack.rules if rule not in fought.alerts)
            self._screen.step(ok=False, what=f"no alert of {lacking} within {_ALERT_SECONDS:.0f} s")

    async def _follow(self, run: _Run) -> Followed:
        """One request, wherever it goes."""
        screen = self._screen
        screen.phase("One request, followed", "bela has an order dispatched; a service asks another, a worker packs it")
        screen.doing("looking for it in logs and in the lake …")
        found = await Thread(run.world, run.stage.gateway, self._layout)()
        screen.timeline(found.entries)
        where = " → ".join(found.places) or "nowhere"
        screen.step(found.holds, f"{where}: {_one(found)}")
        for problem in (*found.missing, *found.differing):
            screen.step(ok=False, what=problem)
        return found

    def _heard(self, alert: Alert) -> None:
        """In the receiver's thread: show an alert the moment it arrives."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._alerted.set)
        if alert.kind == "opened":
            after = None if self._run is None else self._run.after(alert)
            self._screen.alert(str(alert.data["level"]), str(alert.data["title"]), _in_short(alert.key), after)

    async def _judge(self, run: _Run, early: list[Alert], thread: Followed, *, keep: bool) -> Verdict:
        screen, layout, fleet = self._screen, self._layout, run.stage.fleet
        screen.phase("Checking the books", "traffic has stopped; the collector reads what is left")
        screen.doing("waiting for the collector to catch up")
        fleet.check()
        (layout.logs / "command-lines.txt").write_text(fleet.command_lines())
        faults: list[str] = []
        if not keep:
            # Services that have ended have sealed their spool: nothing more can come.
            faults += await asyncio.to_thread(fleet.stop, *run.stage.apis)
        among_services = run.log.requests[FOLLOWED] + 1  # what nginx asked of Django, and Django of Flask
        await self._caught_up(sum(run.log.requests.values()) + among_services)
        if not keep:
            faults += await asyncio.to_thread(fleet.stop, run.stage.collector, run.stage.broker)
        books = await asyncio.to_thread(self._recount, run, thread)
        screen.step(books.holds, f"{books.complete} complete responses, {books.events} events")
        stray = [a for a in run.alarms if a in early or run.attack_of(a) is None]
        screen.doing("looking for tokens in everything that was written")
        tokens = run.world.wallet.all()
        proof = await asyncio.to_thread(prove, tokens, [layout.root], plants=layout.plants)
        screen.step(proof.holds, f"{proof.report.files} files swept in {proof.report.seconds:.1f} s")
        fought = [run.fought(attack) for attack in run.attacks]
        return Verdict(fought, run.log.requests[BENIGN], stray, run.receiver.forged, thread, books, proof, faults)

    def _look_back(self, world: World, verdict: Verdict) -> None:
        """The end of the screen was written after the sweep: sweep it too."""
        late = Sweep(world.wallet.all())([self._layout.terminal])
        if not late.clean:
            verdict.faults.append("the terminal shows a token")
            self._screen.verdict(False, f"but the screen itself shows a token: {late}")

    async def _caught_up(self, expected: int) -> None:
        """Until the lake has as many events as there were requests, or no more come."""
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        before, still = -1, 0
        while time.monotonic() < deadline:
            count = await asyncio.to_thread(self._count)
            still = still + 1 if count == before else 0
            if count >= expected or (still >= 8 and count > 0):
                return
            before = count
            await asyncio.sleep(0.4)

    def _count(self) -> int:
        with Reader(self._layout.state) as reader:
            return int(reader.query("SELECT count(*) AS n FROM {events} WHERE kind = 'auth'")[0]["n"])

    def _recount(self, run: _Run, thread: Followed) -> Recount:
        with Reader(self._layout.state) as reader:
            events = reader.query('SELECT kind, service, request_id, status, outcome, "count" FROM {events}')
        django, flask = run.world.django.service, run.world.flask.service
        asked = {(django, one): status for one, status in _answered(self._layout.client_log, GATEWAY)}
        if thread.request_id is not None:
            asked[flask, thread.request_id] = 200
        return recount(self._layout.client_log, events, asked=asked)

    async def _stay(self, stage: Stage) -> None:
        self._screen.lines(
            "Still running, until Ctrl-C",
            [
                (f"http://127.0.0.1:{api.port}", f"{api.title}: POST /login, GET /orders, … (see samples/README.md)")
                for api in (stage.django, stage.flask, stage.fastapi, stage.gateway)
            ],
        )
        while True:
            stage.fleet.check()
            await asyncio.sleep(0.5)


def _answered(client_log: Path, service: str) -> list[tuple[str, int]]:
    """Request ids and statuses of what *service* answered completely."""
    entries = map(json.loads, client_log.read_text(encoding="utf-8").splitlines())
    return [(one["request_id"], one["status"]) for one in entries if one["service"] == service and one["complete"]]


def _one(found: Followed) -> str:
    return "not one thread" if not found.holds else f"one request, one token {found.token_id[:18]}…"


def _in_short(key: dict[str, str]) -> str:
    """What an alert is about, on what is left of a line: addresses whole, token ids by their beginning."""
    if "client_ip" in key:
        return key["client_ip"]
    token = key.get("token_id") or key.get("presented_id")
    if token is not None:
        return f"token {token[:18]}…"
    return ", ".join(f"{name} {value}" for name, value in key.items())
