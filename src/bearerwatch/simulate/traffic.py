"""What happens on an ordinary day, a slice of time at a time: people, machines, crawlers, health checks and mishaps.

Nothing of it is an attack. So it holds what careless rules trip over: hundreds of people behind one address, phones
that change networks and seem to be abroad, tokens refreshed too late by a page that makes eight requests at once, jobs
on ever new machines of a cloud, clients that walk through lists of what has been deleted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bearerwatch.simulate.columns import NONE, SECOND, Array, Events, blank, chance, joined, mix, pick
from bearerwatch.simulate.geography import address, networks
from bearerwatch.simulate.people import DAY, HOUR, People
from bearerwatch.simulate.vocabulary import (
    CLIENTS,
    CRAWLERS,
    FORMS,
    GATEWAY,
    HEALTH,
    PROBE,
    PUBLIC,
    ROUTES,
    SCRIPTS,
    SOURCES,
    agent,
    of_service,
    outcome,
    reason,
)

__all__ = ["MACHINES", "Traffic", "by_gateway", "let_in", "refused"]

MACHINES = 1 << 40
"""The first token number of machines; below are people's (:data:`~bearerwatch.simulate.people.EPOCHS` each)."""

_PEOPLE = of_service(None, "people")
_SHARES = np.cumsum([ROUTES[i].weight for i in _PEOPLE]) / sum(ROUTES[i].weight for i in _PEOPLE)
_SERVICE = np.array([route.service for route in ROUTES], np.int8)
_HAS_OBJECT = np.array(["{id}" in route.template for route in ROUTES])
_AUTOMATED = 0.2
"""The share of events that machines make."""
_RUNNERS = 12
"""Workers of a job that runs on build machines."""
_PAGE = 8
"""Requests one page makes at most."""
_SUCCESS, _ANONYMOUS, _MISSING, _EXPIRED, _FORBIDDEN, _SCOPE, _ERROR = map(
    outcome, ("success", "anonymous", "missing", "expired", "forbidden", "insufficient_scope", "error")
)
_JWT, _OPAQUE = FORMS.index("jwt"), FORMS.index("opaque")
_HEADER = SOURCES.index("header")


class Machine(NamedTuple):
    """One job that calls the service with a token of its own."""

    every: int
    """µs between two calls."""
    workers: int
    """From how many addresses of one network."""
    network: int
    ephemeral: bool
    """Whether each hour's workers have new addresses, as build machines do."""
    agent: int
    route: int


def let_in(rows: Events, at: Array, route: Array, token: Array, form: int = _OPAQUE) -> None:
    """Fill in requests that are let in with these tokens."""
    rows["ts"] = at
    rows["route"] = route
    rows["service"] = _SERVICE[route]
    rows["token"] = token
    rows["form"] = form
    rows["source"] = _HEADER
    rows["outcome"] = _SUCCESS
    rows["verified"] = True
    rows["duration"] = 2_000 + (chance(rows["request"], 90) ** 4 * 400_000).astype(np.int32)


def refused(rows: Events, mask: Array, what: str, why: str | None, status: int, *, verified: bool = False) -> None:
    """Make those of the requests refused."""
    rows["outcome"][mask] = outcome(what)
    rows["reason"][mask] = NONE if why is None else reason(why)
    rows["status"][mask] = status
    rows["verified"][mask] = verified


class Traffic:
    """The ordinary traffic of a company.

    Args:
        people: who uses it.
        per_day: events on a weekday, about.
        seed: what else it depends on.
    """

    def __init__(self, people: People, per_day: int, seed: int) -> None:
        self._people = people
        self._seed = np.uint64(int(mix(seed, 0x7AF)[0]))
        machines = min(max(6, per_day // 10_000), 400)
        usual = sum(DAY / self._machine(i, 1).every for i in range(machines))
        self._machines = [self._machine(i, max(usual / (_AUTOMATED * per_day), 0.02)) for i in range(machines)]
        told = 0.65  # the gateway tells of most requests, too; a page has some three
        self._views = per_day * 0.72 / (1 + told) / 2.8
        # Each service is asked whether it is well every ten seconds; where there is little else, seldomer.
        self._every = min(max(len(HEALTH) * DAY * 20 // per_day, 10 * SECOND), 120 * SECOND)
        self._crawled = per_day * 0.04
        self._strays = per_day * 0.01

    def _machine(self, number: int, slower: float) -> Machine:
        def one(salt: int, choices: int) -> int:
            return int(pick(choices, self._seed, number, salt)[0])

        clouds = networks("cloud")
        routes = of_service(None, "people")
        every = int((1, 2, 5, 10, 30, 60)[one(1, 6)] * SECOND * slower)
        workers = (1, 1, 2, 3, 4, _RUNNERS)[one(2, 6)]
        scripts = agent(SCRIPTS[one(4, len(SCRIPTS))])
        return Machine(
            every, workers, int(clouds[one(3, len(clouds))]), workers == _RUNNERS, scripts, routes[one(5, len(routes))]
        )

    def __call__(self, since: int, until: int) -> Events:
        """The events of that time (µs), in no order."""
        draw = np.random.default_rng([int(self._seed) & 0x7FFFFFFF, since // SECOND])
        parts = [
            by_gateway(self._of_people(since, until, draw), self._seed),
            self._of_machines(since, until),
            self._of_crawlers(since, until, draw),
            self._strangers(since, until, draw),
            _health(since, until, self._every, self._seed),
        ]
        return joined(parts)

    def _of_people(self, since: int, until: int, draw: np.random.Generator) -> Events:
        people = self._people
        weights = people.active((since + until) // 2)
        level = float(weights.sum() / people.weight.sum()) / 0.62
        views = draw.poisson(self._views * level * (until - since) / DAY)
        edges = np.cumsum(weights)
        who = np.minimum(np.searchsorted(edges, draw.random(views) * edges[-1], side="right"), people.count - 1)
        began = draw.integers(since, until, views)
        size = np.minimum(draw.geometric(0.33, views), _PAGE)
        page = np.repeat(np.arange(views), size)
        who, count = who[page], len(page)
        rows = blank(count)
        rows["request"] = draw.integers(1, 1 << 63, count, dtype=np.uint64)
        at = np.minimum(began[page] + (draw.random(count) * 1.5 * SECOND).astype(np.int64), until - 1)
        token, ends, stale = people.token(who, at)
        route = np.array(_PEOPLE)[np.searchsorted(_SHARES, draw.random(count), side="right")]
        let_in(rows, at, route, token)
        rows["form"] = np.where(people.life[who] > 0, _JWT, _OPAQUE)
        rows["expires"] = np.where(ends == NONE, NONE, ends // SECOND)
        rows["subject"] = who
        rows["client"] = people.client[who]
        rows["agent"] = people.agent[who]
        rows["address"] = people.where(who, at)
        # Everybody has some objects and looks at the same ones again; a few links lead to what is gone.
        rows["object"] = np.where(_HAS_OBJECT[route], who * 64 + draw.integers(0, 24, count), 0)
        luck = draw.random(count)
        rows["status"] = np.where(rows["outcome"] == _SUCCESS, 200, rows["status"])
        rows["status"][(luck < 0.006) & _HAS_OBJECT[route]] = 404
        refused(rows, (luck > 0.006) & (luck < 0.0075), "forbidden", "object_forbidden", 403, verified=True)
        refused(rows, (luck > 0.008) & (luck < 0.009), "insufficient_scope", None, 403, verified=True)
        refused(rows, (luck > 0.009) & (luck < 0.0095), "error", "exception", 500, verified=True)
        refused(rows, (luck > 0.0095) & (luck < 0.0097), "throttled", None, 429, verified=True)
        refused(rows, stale, "expired", "past_exp", 401)
        # A page that is opened anew begins without a token now and then.
        first = np.r_[True, page[1:] != page[:-1]] & (draw.random(count) < 0.015)
        refused(rows, first, "missing", None, 401)
        _without_token(rows, first)
        return rows

    def _of_machines(self, since: int, until: int) -> Events:
        each = self._machines
        every = np.array([one.every for one in each], np.int64)
        phase = pick(1 << 40, self._seed, np.arange(len(each)), 20) % every
        first, after = -(-(since - phase) // every), -(-(until - phase) // every)
        number = np.repeat(np.arange(len(each)), after - first)
        begun = np.cumsum(after - first) - (after - first)
        turn = np.arange(len(number)) - begun[number] + first[number]
        rows = blank(len(number))
        rows["request"] = mix(self._seed, number, turn, 22) >> np.uint64(1)
        every, luck = every[number], chance(rows["request"], 26)
        at = turn * every + phase[number] + (luck * 0.3 * every).astype(np.int64)
        route = np.array([one.route for one in each])[number]
        let_in(rows, np.minimum(at, until - 1), route, MACHINES + number)
        worker = pick(1 << 30, rows["request"], 23) % np.array([one.workers for one in each])[number]
        spell = np.where(np.array([one.ephemeral for one in each])[number], at // HOUR, 0)
        host = pick(1 << 14, self._seed, number, worker, spell, 24)
        rows["address"] = address(np.array([one.network for one in each])[number], host)
        rows["agent"] = np.array([one.agent for one in each])[number]
        rows["subject"] = MACHINES + number
        rows["client"] = CLIENTS.index("ci")
        rows["object"] = np.where(_HAS_OBJECT[route], pick(200, rows["request"], 25), 0)
        refused(rows, luck < 0.0004, "error", "exception", 503, verified=True)
        return rows

    def _of_crawlers(self, since: int, until: int, draw: np.random.Generator) -> Events:
        count = draw.poisson(self._crawled * (until - since) / DAY)
        rows = blank(count)
        rows["request"] = draw.integers(1, 1 << 63, count, dtype=np.uint64)
        rows["ts"] = draw.integers(since, until, count)
        crawler = draw.integers(0, len(CRAWLERS), count)
        rows["agent"] = np.array([agent(name) for name in CRAWLERS])[crawler]
        clouds = networks("cloud")
        rows["address"] = address(clouds[crawler % len(clouds)], 40_000 + crawler * 8 + draw.integers(0, 3, count))
        route = np.array(PUBLIC)[draw.integers(0, len(PUBLIC), count)]
        rows["route"], rows["service"] = route, _SERVICE[route]
        rows["object"] = np.where(_HAS_OBJECT[route], draw.integers(1, 50_000, count), 0)
        rows["outcome"] = _ANONYMOUS
        rows["status"] = np.where(draw.random(count) < 0.05, 404, 200)
        rows["duration"] = 3_000
        shut = draw.random(count) < 0.004  # a link to what only customers see
        refused(rows, shut, "missing", None, 401)
        return rows

    def _strangers(self, since: int, until: int, draw: np.random.Generator) -> Events:
        """The noise of the internet: a request or two from addresses that are never seen again."""
        count = draw.poisson(self._strays * (until - since) / DAY)
        rows = blank(count)
        rows["request"] = draw.integers(1, 1 << 63, count, dtype=np.uint64)
        rows["ts"] = draw.integers(since, until, count)
        hostile = networks("hostile")
        rows["address"] = address(hostile[draw.integers(0, len(hostile), count)], draw.integers(0, 1 << 16, count))
        rows["agent"] = draw.integers(0, 12, count)
        rows["service"] = GATEWAY
        rows["outcome"] = _ANONYMOUS
        rows["status"] = 404
        asked = draw.random(count) < 0.3
        refused(rows, asked, "missing", None, 401)
        return rows


def _without_token(rows: Events, mask: Array) -> None:
    for name in ("token", "form", "source", "subject", "client", "expires"):
        rows[name][mask] = NONE
    rows["verified"][mask] = False


def _health(since: int, until: int, every: int, seed: np.uint64) -> Events:
    parts = []
    for number, route in enumerate(HEALTH):
        at = np.arange(-(-since // every) * every + number * 700_001 + 137, until, every, dtype=np.int64)
        at = at[at >= since]
        rows = blank(len(at))
        rows["ts"] = at
        rows["request"] = mix(seed, at, number, 27) >> np.uint64(1)
        rows["route"], rows["service"] = route, _SERVICE[route]
        rows["outcome"] = _ANONYMOUS
        rows["address"] = address(0, 10 + number)
        rows["agent"] = agent(PROBE)
        rows["duration"] = 900
        parts.append(rows)
    return joined(parts)


def by_gateway(rows: Events, seed: np.uint64) -> Events:
    """The same, with what the gateway tells of: it lets most through to the service, and refuses bad tokens itself."""
    through = (rows["outcome"] == _SUCCESS) & (chance(seed, rows["request"], 28) < 0.65)
    rows["service"][np.isin(rows["outcome"], (_MISSING, _EXPIRED))] = GATEWAY
    told = rows[through]
    told["service"] = GATEWAY
    told["duration"] = told["duration"] + 700
    told["ts"] = told["ts"] - 400
    return joined([rows, told])
