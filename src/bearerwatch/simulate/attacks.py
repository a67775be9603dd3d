"""Every kind of attack there is a rule for, with its knobs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bearerwatch.simulate.attack import Attack, Kind, Knob, Scene, Told, failing
from bearerwatch.simulate.columns import NONE, SECOND, Array, Events, joined
from bearerwatch.simulate.geography import NETWORKS, address, networks
from bearerwatch.simulate.people import EPOCHS
from bearerwatch.simulate.traffic import refused
from bearerwatch.simulate.vocabulary import (
    APPS,
    BROWSERS,
    FORMS,
    KINDS,
    PROBED,
    ROUTES,
    SERVICES,
    SOURCES,
    TOOLS,
    agent,
    of_service,
    outcome,
    reason,
)

__all__ = ["ATTACKS"]

_PEOPLE = np.array(of_service(None, "people"))
_ORDER = next(i for i, route in enumerate(ROUTES) if route.template == "/orders/{id}")
_SERVICE = np.array([route.service for route in ROUTES])
_DAY = 24 * 3600


def _routes(scene: Scene, count: int) -> Array:
    chosen: Array = scene.draw.choice(_PEOPLE, count)
    return chosen


def _own(scene: Scene, who: int, times: Array) -> Events:
    """What the victim does meanwhile, from where they are."""
    rows = scene.sent(times, who, _routes(scene, len(times)))
    rows["address"] = scene.people.where(rows["subject"], times)
    rows["agent"] = scene.people.agent[who]
    return rows


def _against(who: int, rows: Events, addresses: Array) -> Attack:
    """An attack with somebody's own token."""
    return Attack(
        rows=rows, addresses=addresses, tokens=np.unique(rows["token"]), key={"subject_id": [f"subject:{who}"]}
    )


def _brute_force(scene: Scene) -> Attack:
    """Whatever comes to hand, from one address: nothing, junk, and a few tokens again and again."""
    at, where = scene.times(scene.events), scene.hostile(1)
    count = len(at)
    some = scene.guesses(5)[scene.draw.integers(0, 5, count)]
    tokens = np.where(scene.draw.random(count) < 0.2, NONE, some)
    rows = failing(scene.requests(count), at, where, tokens, {"route": _routes(scene, count)})
    if scene.shape == "interleaved":  # the robots.txt and the start page, which are for everybody
        good = failing(
            scene.requests(count // 4), scene.times(count // 4), where, np.full(count // 4, NONE), {"status": 200}
        )
        good["outcome"] = outcome("anonymous")
        rows = joined([rows, good])
    return Attack(rows=rows, addresses=where)


def _brute_force_network(scene: Scene) -> Attack:
    """The same from all over one /24, a few from each address."""
    where = scene.hostile(60, together=True)
    at = scene.times(scene.events)
    rows = failing(scene.requests(len(at)), at, np.resize(where, len(at)), scene.guesses(len(at)), {})
    rows["route"] = _routes(scene, len(at))
    return Attack(rows=rows, addresses=np.unique(where))


def _brute_force_agent(scene: Scene) -> Attack:
    """The same from addresses all over the world, with one tool."""
    where = scene.hostile(max(scene.events // 3, 1))
    at = scene.times(scene.events)
    tool = TOOLS[3]
    told: Told = {"agent": agent(tool), "route": _routes(scene, len(at))}
    rows = failing(scene.requests(len(at)), at, np.resize(where, len(at)), scene.guesses(len(at)), told)
    return Attack(rows=rows, addresses=where, key={"user_agent": [tool]})


def _spike_route(scene: Scene) -> Attack:
    """Refusals on one route, a few for each of many addresses and browsers: what it sees of a botnet."""
    where = scene.hostile(max(scene.events // 2, 1))
    at = scene.times(scene.events)
    route = int(scene.draw.choice(_PEOPLE))
    agents = np.array([agent(name) for name in (*BROWSERS, *APPS)])
    told: Told = {"agent": agents[scene.draw.integers(0, len(agents), len(at))], "route": route}
    rows = failing(scene.requests(len(at)), at, np.resize(where, len(at)), scene.guesses(len(at)), told)
    rows["service"] = _SERVICE[route]
    key = {"route": [ROUTES[route].template], "service": [SERVICES[ROUTES[route].service]]}
    return Attack(rows=rows, addresses=where, key=key)


def _guessing(scene: Scene) -> Attack:
    """One token after the other from one address."""
    at, where = scene.times(scene.events), scene.hostile(1)
    tokens = scene.guesses(len(at))
    if scene.shape == "interleaved":  # each of them twice
        at, tokens = np.repeat(at, 2), np.repeat(tokens, 2)
    rows = failing(scene.requests(len(at)), at, where, tokens, {"route": _routes(scene, len(at))})
    return Attack(rows=rows, addresses=where)


def _sharing(scene: Scene) -> Attack | None:
    """Somebody's token, from many addresses of many networks."""
    who = scene.victim()
    if who == NONE:
        return None
    where = scene.hostile(scene.events)
    at = np.repeat(scene.times(scene.events), 3)
    rows = scene.sent(at, who, _routes(scene, len(at)))
    rows["address"] = np.repeat(where, 3)
    return _against(who, rows, where)


def _travel(scene: Scene) -> Attack | None:
    """Somebody's token is used at home and, seconds later, far away."""
    who = scene.victim()
    if who == NONE:
        return None
    where = address(scene.away(who), scene.draw.integers(1 << 16))
    at = scene.times(scene.events)
    rows = scene.sent(at, who, _routes(scene, len(at)))
    rows["address"] = where
    own = _own(scene, who, np.arange(scene.start - 20 * SECOND, scene.end + 20 * SECOND, 7 * SECOND))
    return _against(who, joined([rows, own]), np.atleast_1d(where))


def _new_country(scene: Scene) -> Attack | None:
    """Somebody's token, from a country it has never been in, after an hour without them."""
    who = scene.victim()
    if who == NONE:
        return None
    where = address(scene.away(who), scene.draw.integers(1 << 16))
    rows = scene.sent(scene.times(scene.events), who, _routes(scene, scene.events))
    rows["address"] = where
    attack = _against(who, rows, np.atleast_1d(where))
    attack.key["country"] = [NETWORKS[int(where) >> 32].country]
    return attack


def _new_network(scene: Scene) -> Attack | None:
    """Somebody's token, from a cloud in their own country."""
    country = ("DE", "US", "FR")[scene.number % 3]
    who = scene.victim(country=country)
    if who == NONE:
        return None
    where = address(int(networks("cloud", country)[0]), 60_000 + scene.draw.integers(5_000))
    rows = scene.sent(scene.times(scene.events), who, _routes(scene, scene.events))
    rows["address"] = where
    return _against(who, rows, np.atleast_1d(where))


def _burst(scene: Scene) -> Attack | None:
    """Somebody's token fetches all there is, as fast as it goes."""
    who = scene.victim()
    if who == NONE:
        return None
    at = scene.times(scene.events)
    rows = scene.sent(at, who, np.full(len(at), _ORDER))
    where = np.atleast_1d(scene.people.where(np.array([who]), at[:1]))
    rows["address"] = where
    rows["object"] = who * 64 + scene.draw.integers(0, 24, len(at))
    limited = scene.draw.random(len(at)) < 0.1
    refused(rows, limited, "throttled", None, 429, verified=True)
    return _against(who, rows, where)


def _spike_service(scene: Scene) -> Attack:
    """Refusals all over one service."""
    attack = _spike_route(scene)
    service = int(attack.rows["service"][0])
    routes = np.array(of_service(service, "people"))
    attack.rows["route"] = routes[scene.draw.integers(0, len(routes), len(attack.rows))]
    attack.key = {"service": [SERVICES[service]]}
    return attack


def _spike_token(scene: Scene) -> Attack | None:
    """One good token tries what it may not, here and there."""
    who = scene.victim()
    if who == NONE:
        return None
    at = scene.times(scene.events)
    rows = scene.sent(at, who, _routes(scene, len(at)))
    rows["address"] = scene.people.home[who]
    refused(rows, np.full(len(at), True), "insufficient_scope", None, 403, verified=True)
    return _against(who, rows, scene.people.home[who : who + 1])


def _low_and_slow(scene: Scene) -> Attack:
    """One address, a token every quarter of an hour or so, all day long."""
    at, where = scene.times(scene.events), scene.hostile(1)
    rows = failing(scene.requests(len(at)), at, where, scene.guesses(len(at)), {"route": _routes(scene, len(at))})
    return Attack(rows=rows, addresses=where)


def _enumeration(scene: Scene) -> Attack | None:
    """Somebody looks at /orders/1, /orders/2, …: most are not theirs."""
    who = scene.victim()
    if who == NONE:
        return None
    at = scene.times(scene.events)
    rows = scene.sent(at, who, np.full(len(at), _ORDER))
    rows["object"] = 1_000_000 + scene.number * 10_000 + np.arange(len(at))
    rows["address"] = scene.people.home[who]
    hidden = scene.number % 2 == 0
    every = np.full(len(at), True)
    refused(rows, every, "forbidden", "object_forbidden", 403, verified=True)
    if hidden:  # a service that does not say whether there is such a thing
        refused(rows, every, "success", None, 404, verified=True)
    if scene.shape == "interleaved":
        rows = joined([rows, _own(scene, who, scene.times(10))])
    attack = _against(who, rows, scene.people.home[who : who + 1])
    attack.key |= {"service": ["orders"], "route": ["/orders/{id}"]}
    return attack


def _functions(scene: Scene) -> Attack | None:
    """Somebody tries what is for administrators, one function after the other."""
    who = scene.victim()
    if who == NONE:
        return None
    order = scene.draw.permutation(np.array(PROBED))
    at = scene.times(scene.events)
    route = np.resize(order, len(at))
    rows = scene.sent(at, who, route)
    rows["object"] = scene.draw.integers(1, 5_000, len(at))
    rows["address"] = scene.people.home[who]
    every = np.full(len(at), True)
    refused(rows, every, "forbidden", "function_forbidden", 403, verified=True)
    refused(rows, scene.draw.random(len(at)) < 0.4, "insufficient_scope", None, 403, verified=True)
    return _against(who, rows, scene.people.home[who : who + 1])


def _revoked(scene: Scene) -> Attack:
    """A token that was withdrawn is tried from somewhere else."""
    at, where = scene.times(scene.events), scene.hostile(1)
    token = np.resize(scene.guesses(1), len(at))
    told: Told = {"outcome": outcome("revoked"), "reason": reason("blacklisted"), "route": _routes(scene, len(at))}
    return Attack(rows=failing(scene.requests(len(at)), at, where, token, told), addresses=where, tokens=token[:1])


def _expired(scene: Scene) -> Attack | None:
    """A token that was copied while it was good and is used after it has ended."""
    who = scene.victim(lasting=False)
    if who == NONE:
        return None
    at, where = scene.times(scene.events), scene.hostile(1)
    life = int(scene.people.life[who])
    token, ends, _ = scene.people.token(np.array([who]), np.array([scene.start - 2 * life]))
    rows = failing(scene.requests(len(at)), at, where, np.resize(token, len(at)), {"route": _routes(scene, len(at))})
    rows["form"] = FORMS.index("jwt")
    rows["outcome"], rows["reason"] = outcome("expired"), reason("past_exp")
    rows["expires"] = ends[0] // SECOND
    return Attack(rows=rows, addresses=where, tokens=token)


_FORGERIES = ("alg_none", "alg_not_allowed", "untrusted_key", "bad_signature")


def _forged(scene: Scene) -> Attack | None:
    """A JWT without a signature, with a key of its own, with a confused algorithm, or a tampered copy of a good one."""
    who = scene.victim(lasting=False)
    if who == NONE:
        return None
    at, where = scene.times(scene.events), scene.hostile(1)
    what = _FORGERIES[scene.number % len(_FORGERIES)]
    tokens = scene.guesses(len(at))
    if what == "bad_signature":
        tokens = scene.people.token(np.full(len(at), who), at)[0]
    rows = failing(scene.requests(len(at)), at, where, tokens, {"reason": reason(what), "form": FORMS.index("jwt")})
    rows["route"] = _routes(scene, len(at))
    rows["sent"] = 1 + np.arange(len(at)) + scene.number * 1_000
    return Attack(rows=rows, addresses=where, tokens=np.unique(tokens)[:100])


def _unsigned(scene: Scene) -> Attack | None:
    """A service lets a JWT in that nobody signed (RFC 8725 §3.2)."""
    who = scene.victim(lasting=False)
    if who == NONE:
        return None
    at, where = scene.times(scene.events), scene.hostile(1)
    rows = scene.sent(at, who, _routes(scene, len(at)))
    rows["token"] = scene.guesses(1)
    rows["reason"], rows["verified"] = reason("alg_none"), False
    rows["form"], rows["address"] = FORMS.index("jwt"), where
    return Attack(rows=rows, addresses=where, tokens=rows["token"][:1])


def _success_after(scene: Scene) -> Attack | None:
    """Tokens are tried until one is let in."""
    who = scene.victim()
    if who == NONE:
        return None
    attack = _guessing(scene)
    after = attack.rows["ts"].max() + np.arange(1, 6) * 3 * SECOND
    rows = scene.sent(after, who, _routes(scene, len(after)))
    rows["address"] = attack.addresses[0]
    attack.rows = joined([attack.rows, rows])
    attack.tokens = np.unique(rows["token"])
    attack.key = {"subject_id": [f"subject:{who}"]}
    return attack


def _query(scene: Scene) -> Attack | None:
    """A client sends its token in the query string, where every log keeps it (RFC 9700 §2.4)."""
    who = scene.victim()
    if who == NONE:
        return None
    at = scene.times(scene.events)
    route = int(scene.draw.choice(_PEOPLE))
    rows = scene.sent(at, who, np.full(len(at), route))
    rows["source"] = SOURCES.index("query")
    rows["agent"] = scene.people.agent[who]
    rows["address"] = scene.people.home[who]
    attack = _against(who, rows, scene.people.home[who : who + 1])
    attack.key |= {"service": [SERVICES[_SERVICE[route]]], "route": [ROUTES[route].template]}
    return attack


def _leak(scene: Scene) -> Attack | None:
    """A line of code logs tokens; redaction keeps them out and tells of it."""
    who = scene.victim()
    if who == NONE:
        return None
    at = scene.times(scene.events)
    rows = scene.requests(len(at))
    service = int(scene.draw.integers(1, len(SERVICES)))
    rows["ts"], rows["kind"], rows["service"] = at, KINDS.index("leak"), service
    rows["outcome"], rows["reason"], rows["status"] = NONE, reason("jwt"), NONE
    rows["token"], rows["form"] = who * EPOCHS, FORMS.index("opaque")
    rows["source"] = SOURCES.index("log")
    rows["object"] = 10 + scene.number % 400
    return Attack(rows=rows, tokens=rows["token"][:1], key={"service": [SERVICES[service]]})


def _silence(scene: Scene) -> Attack:
    """Nothing more is heard of a service."""
    service = 1 + scene.number % (len(SERVICES) - 1)
    return Attack(
        rows=scene.requests(0), key={"service": [SERVICES[service]]}, silenced=(service, scene.start, scene.end)
    )


def _kind(  # noqa: PLR0917 - the columns of the table below
    name: str,
    make: Callable[[Scene], Attack | None],
    each_day: int,
    events: tuple[int, int],
    seconds: tuple[int, int],
    at_least: int,
    window: int,
    *also: str,
) -> Kind:
    knob = Knob(each_day=each_day, events=events, seconds=seconds, at_least=at_least, window=window)
    return Kind(name=name, rules=(name, *also), knob=knob, make=make)


_ALL = (
    # name, how it is made, how many a day, events, seconds, what is just enough, within how many seconds
    _kind("brute_force_address", _brute_force, 10, (264, 900), (60, 600), 99, 300),
    _kind("brute_force_network", _brute_force_network, 3, (400, 900), (200, 600), 60, 600),
    _kind("brute_force_user_agent", _brute_force_agent, 3, (600, 1200), (200, 600), 200, 300),
    _kind("token_guessing", _guessing, 4, (60, 300), (120, 600), 10, 300),
    _kind("token_sharing", _sharing, 4, (15, 40), (300, 3000), 10, 3600),
    _kind("impossible_travel", _travel, 11, (3, 20), (30, 900), 2, 600),
    _kind("new_country", _new_country, 5, (5, 40), (60, 1800), 3, 600),
    _kind("new_network", _new_network, 5, (5, 40), (60, 1800), 3, 600),
    _kind("request_burst", _burst, 3, (1500, 4000), (20, 60), 300, 10, "request_spike_token"),
    _kind("rejection_spike_route", _spike_route, 2, (600, 1500), (200, 600), 300, 300),
    _kind("rejection_spike_service", _spike_service, 2, (800, 1500), (200, 600), 400, 300),
    _kind("rejection_spike_token", _spike_token, 3, (80, 300), (60, 300), 40, 300),
    _kind("low_and_slow", _low_and_slow, 8, (80, 150), (16 * 3600, 22 * 3600), 60, _DAY),
    _kind("object_enumeration", _enumeration, 3, (40, 400), (60, 300), 20, 300),
    _kind("function_probing", _functions, 3, (12, 60), (60, 300), 6, 600),
    _kind("revoked_token_use", _revoked, 4, (2, 40), (10, 900), 1, 600),
    _kind("expired_token_use", _expired, 4, (16, 60), (60, 300), 10, 300),
    _kind("forged_token", _forged, 4, (4, 30), (10, 300), 3, 300),
    _kind("unsigned_token_accepted", _unsigned, 2, (1, 10), (10, 300), 1, 300),
    _kind("success_after_failures", _success_after, 3, (40, 120), (60, 200), 12, 300),
    _kind("query_token_use", _query, 2, (5, 60), (60, 1800), 3, _DAY),
    _kind("leaked_token", _leak, 2, (1, 10), (60, 1800), 1, 3600),
    _kind("silent_service", _silence, 1, (1, 1), (1200, 2400), 1, 600),
)
ATTACKS: dict[str, Kind] = {one.name: one for one in _ALL}
"""Kinds by name: each has the name of the rule that must tell of it, some with another. All numbers are knobs."""
