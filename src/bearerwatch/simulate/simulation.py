"""Days of traffic with attacks in them, made slice by slice, and the truth about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from bearerwatch.detect.truth import FORMAT, Marked, Truth
from bearerwatch.simulate.attack import SHAPES, Attack, Kind, Knob, Scene
from bearerwatch.simulate.attacks import ATTACKS
from bearerwatch.simulate.columns import NONE, SECOND, Array, Events, blank, chance, joined, mix
from bearerwatch.simulate.incidents import Incident, Incidents
from bearerwatch.simulate.people import DAY, HOUR, People
from bearerwatch.simulate.text import Writer
from bearerwatch.simulate.traffic import Traffic
from bearerwatch.simulate.vocabulary import AGENTS, ROUTES, SERVICES

__all__ = ["Plan", "Simulation"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLICE = 150_000
"""Events made at a time, about: so much is in memory."""
_LEARNT = frozenset({"new_country", "new_network", "impossible_travel", "request_burst", "silent_service"})
"""Kinds that are told by what was before: on the first day they come late."""
_NAMED = 200
"""Values of one field named in the truth at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to simulate."""

    seed: int = 1
    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    """When it begins: a midnight, aware."""
    days: int = 1
    events: int = 200_000
    """Events on a weekday, about, without attacks."""
    people: int | None = None
    """How many use the service; one to 100 events if not told."""
    attacks: float = 1.0
    """How many attacks there are, as a multiple of each kind's own number a day; 0 for none."""
    only: tuple[str, ...] = ()
    """Kinds of attack; all if empty."""
    tuned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Knobs of kinds that are other than theirs, see :class:`~bearerwatch.simulate.attack.Knob`."""
    late: float = 0.001
    """The share of events that arrive late."""
    lateness: timedelta = timedelta(seconds=60)
    """How late at most."""


class Simulation:
    """Makes what *plan* says. The same plan always makes the same."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.since = (plan.start.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
        self.until = self.since + plan.days * DAY
        self.writer = Writer(plan.seed)
        self._seed = np.uint64(int(mix(plan.seed, 0x51)[0]))
        self._people = People(plan.people or max(plan.events // 100, 20), plan.seed)
        self._traffic = Traffic(self._people, plan.events, plan.seed)
        self._marked: list[Marked] = []
        self._number = 0
        self._taken: set[int] = set()

    def __iter__(self) -> Iterator[Events]:
        """The events, a slice at a time, in order of arrival."""
        slices = max(24, -(-self.plan.events * 2 // _SLICE))
        step = DAY // slices // SECOND * SECOND
        waiting = blank(0)
        made = 0
        for day in range(self.since, self.until, DAY):
            incidents = Incidents(self._people, self.plan.events, day, min(day + DAY, self.until), self.plan.seed)
            self._marked += [self._incident(number, one) for number, one in enumerate(incidents.told)]
            attacks = self._attacks(day)
            extra = joined([incidents.rows, *(attack.rows for attack in attacks)])
            extra = extra[np.argsort(extra["ts"], kind="stable")]
            silenced = [attack.silenced for attack in attacks if attack.silenced is not None]
            for start in range(day, day + DAY, step):
                end = min(start + step, day + DAY)
                inside = slice(*np.searchsorted(extra["ts"], (start, end)))
                rows = joined([incidents(self._traffic(start, end)), extra[inside]])
                for service, since, until in silenced:
                    if since < end and until > start:
                        rows = rows[(rows["service"] != service) | (rows["ts"] < since) | (rows["ts"] >= until)]
                rows["number"] = np.arange(made, made + len(rows), dtype=np.uint64)
                made += len(rows)
                rows = self._arriving(rows, waiting)
                due = np.searchsorted(rows["arrive"], end)
                waiting = rows[due:]
                yield rows[:due]
        if len(waiting):
            yield waiting

    @property
    def truth(self) -> Truth:
        """What was made so far; all there is once every slice has been made."""
        plan = self.plan
        made: dict[str, str | int | float] = {"seed": plan.seed, "days": plan.days, "events": plan.events}
        made |= {"people": self._people.count, "attacks": plan.attacks, "late": plan.late}
        return Truth(
            format=FORMAT,
            since=_instant(self.since),
            until=_instant(self.until),
            marked=sorted(self._marked, key=lambda one: (one.first, one.id)),
            made=made,
        )

    def _arriving(self, rows: Events, waiting: Events) -> Events:
        """*rows* with when they arrive, in that order, together with what had not arrived yet."""
        number = rows["number"]
        usual = chance(self._seed, number, 1) * SECOND
        late = chance(self._seed, number, 2) < self.plan.late
        most = self.plan.lateness // timedelta(microseconds=1)
        lag = np.where(late, chance(self._seed, number, 3) * most, np.minimum(usual, most))
        rows["arrive"] = rows["ts"] + lag.astype(np.int64)
        together = joined([waiting, rows])
        return together[np.argsort(together["arrive"], kind="stable")]

    def _attacks(self, day: int) -> list[Attack]:
        draw = np.random.default_rng([int(self._seed) & 0x7FFFFFFF, day // DAY])
        made = []
        for kind in ATTACKS.values():
            if self.plan.only and kind.name not in self.plan.only:
                continue
            knob = replace(kind.knob, **self.plan.tuned.get(kind.name, {}))
            times = knob.each_day * self.plan.attacks
            for _ in range(int(times) + (draw.random() < times % 1)):
                attack = self._attack(kind, knob, day, draw)
                if attack is not None:
                    made.append(attack)
        return made

    def _attack(self, kind: Kind, knob: Knob, day: int, draw: np.random.Generator) -> Attack | None:
        self._number += 1
        number = self._number
        shape = SHAPES[number % len(SHAPES)]
        first_day = day == self.since and kind.name in _LEARNT
        scene = Scene(
            self._people,
            knob,
            shape,
            draw,
            since=day + (14 if first_day else 0) * HOUR + HOUR // 6,
            until=day + DAY - HOUR // 6,
            number=number,
            taken=self._taken,
        )
        attack = kind.make(scene)
        if attack is None:
            return None
        rows = attack.rows
        key = dict(attack.key)
        if len(attack.addresses):
            key["client_ip"] = self.writer.addresses(attack.addresses[:_NAMED])
        if 0 < len(attack.tokens) <= _NAMED:
            key["token_id"] = self.writer.tokens(attack.tokens)
        if len(rows):
            key = _where(rows) | key
        first, last = (rows["ts"].min(), rows["ts"].max()) if len(rows) else (scene.start, scene.end)
        self._marked.append(
            Marked(
                id=f"{kind.name}-{number}",
                rules=list(kind.rules),
                key=key,
                first=_instant(first),
                last=_instant(last),
                kind=kind.name,
                shape=shape,
                events=len(rows),
            )
        )
        return attack

    def _incident(self, number: int, one: Incident) -> Marked:
        key = {}
        if one.services:
            key["service"] = [SERVICES[service] for service in one.services]
        if one.addresses:
            key["client_ip"] = self.writer.addresses(np.array(one.addresses))
        if one.tokens:
            key["token_id"] = self.writer.tokens(np.array(one.tokens))
        if one.subjects:
            key["subject_id"] = [f"subject:{who}" for who in one.subjects]
        return Marked(
            id=f"{one.kind}-{_instant(one.first):%Y%m%d}-{number}",
            rules=[],
            also=list(one.also),
            attack=False,
            key=key,
            first=_instant(one.first),
            last=_instant(one.last),
            kind=one.kind,
        )


def _where(rows: Events) -> dict[str, list[str]]:
    """What the requests of an attack ask for, and by what client they say they are made."""
    routes = [ROUTES[i] for i in np.unique(rows["route"]).tolist() if i != NONE]
    agents = [AGENTS[i] for i in np.unique(rows["agent"]).tolist() if i != NONE]
    found = {
        # the gateway sees them all
        "service": sorted({SERVICES[0], *(SERVICES[route.service] for route in routes)}),
        "route": sorted({route.template for route in routes}),
        "user_agent": agents,
    }
    return {name: values for name, values in found.items() if values}


def _instant(micros: Array | int) -> datetime:
    return _EPOCH + timedelta(microseconds=int(micros))
