"""What goes wrong without anybody's ill will. Most of it must alert nobody; of some an alert is fair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bearerwatch.simulate.attack import failing
from bearerwatch.simulate.columns import SECOND, Array, Events, blank, chance, joined, mix
from bearerwatch.simulate.geography import address, networks
from bearerwatch.simulate.people import DAY, HOUR, People
from bearerwatch.simulate.traffic import refused
from bearerwatch.simulate.vocabulary import FORMS, GATEWAY, SCRIPTS, SERVICES, agent, of_service, outcome, reason

__all__ = ["Incident", "Incidents"]

_SPIKES = ("rejection_spike_route", "rejection_spike_service", "rejection_spike_token")
_ISSUED = 1 << 41
_BROKEN, _SECOND_DEVICES, _TRAVELLERS, _DEPLOYS = 3, 3, 2, 4
_FLIGHT = 11 * HOUR
_BUSY = 50_000
"""Events a day; where there are fewer, broken clients are slower, too."""


@dataclass(frozen=True, slots=True)
class Incident:
    """What an alert may fairly tell of without there being an attack. Times in µs."""

    kind: str
    first: int
    last: int
    also: tuple[str, ...]
    """Rules whose alert about it is neither asked for nor false."""
    services: tuple[int, ...] = ()
    addresses: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    subjects: tuple[int, ...] = ()


class Incidents:
    """One day's.

    Args:
        people: to whom they happen.
        per_day: events on a weekday, about.
        day: when it begins (µs).
        until: when what is simulated ends (µs).
        seed: what else they depend on.
    """

    def __init__(self, people: People, per_day: int, day: int, until: int, seed: int) -> None:
        self._people = people
        self._slower = max(1, _BUSY // per_day)
        self._seed = np.uint64(int(mix(seed, day // DAY, 0x1AC)[0]))
        draw = np.random.default_rng([int(self._seed) & 0x7FFFFFFF, 1])
        self.told: list[Incident] = []
        self.rows = joined([*self._broken(draw, day, until), *self._devices(draw, day, until)])
        """Events of their own."""
        self._deploys = [self._spell(draw, "deploy", day, (20, 90)) for _ in range(_DEPLOYS)]
        self._rotation = self._spell(draw, "key_rotation", day, (15, 45))
        self._outage = self._spell(draw, "refresh_outage", day, (90, 240))
        self._away: list[tuple[int, int, int]] = []
        settled = people.settled()
        for _ in range(min(_TRAVELLERS, len(settled))):
            who = int(draw.choice(settled))
            lands = day + int(draw.integers(_FLIGHT, 20 * HOUR))
            abroad = int(address(int(draw.choice(networks("office"))), 9_000 + draw.integers(500)))
            self._away.append((who, lands, abroad))
            also = ("new_country", "new_network", "impossible_travel")
            self.told.append(Incident("traveller", lands, day + DAY, also, subjects=(who,)))

    def _spell(self, draw: np.random.Generator, kind: str, day: int, seconds: tuple[int, int]) -> tuple[int, int, int]:
        service = int(draw.integers(1, len(SERVICES)))
        first = day + int(draw.integers(7 * HOUR, 20 * HOUR))
        last = first + int(draw.integers(*seconds)) * SECOND
        services = (GATEWAY, service) if kind == "deploy" else ()
        also = _SPIKES if kind == "deploy" else (*_SPIKES, "expired_token_use")
        self.told.append(Incident(kind, first, last + 60 * SECOND, also, services=services))
        return service, first, last

    def _broken(self, draw: np.random.Generator, day: int, until: int) -> list[Events]:
        """Clients that go on and on with a token that has ended, or is none any more."""
        parts = []
        for number in range(_BROKEN):
            every = int(draw.integers(200_000, 5 * SECOND)) * self._slower
            first = day + int(draw.integers(0, 18 * HOUR))
            last = min(first + int(draw.integers(HOUR // 2, 5 * HOUR)), until)
            at = np.arange(first, last, every, dtype=np.int64)
            if not len(at):
                continue
            at = at + draw.integers(0, every // 4, len(at))
            where = int(address(int(draw.choice(networks("cloud"))), 50_000 + draw.integers(5_000)))
            token = _ISSUED + (day // DAY) * 100 + number
            expired = number % 3 != 2
            route = int(draw.choice(of_service(None, "people")))
            told: dict[str, Array | int] = {"route": route, "agent": agent(SCRIPTS[number % len(SCRIPTS)])}
            if expired:
                told |= {"outcome": outcome("expired"), "reason": reason("past_exp"), "expires": first // SECOND - 60}
            parts.append(_with_requests(at, where, token, told, draw))
            also = (*_SPIKES, "expired_token_use") if expired else _SPIKES
            self.told.append(Incident("broken_client", first, last, also, addresses=(where,), tokens=(token,)))
        return parts

    def _devices(self, draw: np.random.Generator, day: int, until: int) -> list[Events]:
        """The other device of somebody who has logged out on the first: it has yet to notice."""
        parts = []
        for number in range(_SECOND_DEVICES):
            who = int(draw.integers(self._people.count))
            first = day + int(draw.integers(6 * HOUR, 22 * HOUR))
            at = first + np.arange(int(draw.integers(1, 4)), dtype=np.int64) * 2 * SECOND
            if at[-1] >= until:
                continue
            where = int(self._people.home[who])
            token = _ISSUED + (day // DAY) * 100 + 50 + number
            told = {"outcome": outcome("revoked"), "reason": reason("blacklisted"), "agent": self._people.agent[who]}
            parts.append(_with_requests(at, where, token, told, draw))
            also = ("revoked_token_use",)
            told_of = Incident("second_device", int(at[0]), int(at[-1]), also, addresses=(where,), tokens=(token,))
            self.told.append(told_of)
        return parts

    def __call__(self, rows: Events) -> Events:
        """*rows* as they are with all that goes wrong."""
        at, subject = rows["ts"], rows["subject"]
        for service, first, last in self._deploys:
            hit = (at >= first) & (at < last) & (rows["service"] == service) & (rows["outcome"] >= 0)
            refused(rows, hit & (chance(self._seed, rows["request"], 1) < 0.8), "error", None, 503)
        jwt = rows["form"] == FORMS.index("jwt")
        _, first, last = self._rotation
        hit = jwt & (at >= first) & (at < last)
        refused(rows, hit, "invalid", "unknown_kid", 401)
        rows["service"][hit] = GATEWAY
        _, first, last = self._outage
        hit = jwt & (at >= first) & (at < last) & (chance(self._seed, rows["token"], 2) < 0.1)
        refused(rows, hit, "expired", "past_exp", 401)
        rows["service"][hit] = GATEWAY
        flying = np.zeros(len(rows), bool)
        for who, lands, abroad in self._away:
            theirs = subject == who
            flying |= theirs & (at >= lands - _FLIGHT) & (at < lands)
            rows["address"][theirs & (at >= lands)] = abroad
        return rows[~flying] if flying.any() else rows


def _with_requests(
    at: Array, where: int, token: int, told: dict[str, Array | int], draw: np.random.Generator
) -> Events:
    rows = blank(len(at))
    rows["request"] = draw.integers(1, 1 << 63, len(at), dtype=np.uint64)
    return failing(rows, at, np.full(len(at), where), np.full(len(at), token), told)
