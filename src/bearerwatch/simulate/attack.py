"""What attacks have in common: who they are against, when their requests come, and what is known of them afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from bearerwatch.simulate.columns import NONE, SECOND, Array, Events, blank
from bearerwatch.simulate.geography import CITIES, NETWORKS, address, networks
from bearerwatch.simulate.people import People
from bearerwatch.simulate.traffic import let_in
from bearerwatch.simulate.vocabulary import FORMS, GATEWAY, SOURCES, TOOLS, agent, outcome, reason

__all__ = ["SHAPES", "Attack", "Kind", "Knob", "Scene", "Told", "failing"]

SHAPES = ("even", "random", "border", "slow_start", "just_over", "interleaved")
"""How requests lie in time: one by one, at random, half before and half after the full window of a clock, faster and
faster, only just enough of them within the window, and with good requests in between."""

_GUESSED = 1 << 42


Told: TypeAlias = Mapping[str, Array | int]
"""Columns and what is in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """How an attack is tuned."""

    each_day: int
    """How many of them a day."""
    events: tuple[int, int]
    """From how many to how many requests each, or what else there is many of."""
    seconds: tuple[int, int]
    """From how short to how long."""
    at_least: int
    """What the rule asks for within its window: an attack that is *just over* has that and one more."""
    window: int
    """The rule's window in seconds."""


@dataclass(slots=True, kw_only=True)
class Attack:
    """One attack: what happened, and whom alerts about it would name."""

    rows: Events
    key: dict[str, list[str]] = field(default_factory=dict)
    """Field of an event to values; those that have yet to become text are in the following."""
    addresses: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    tokens: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    silenced: tuple[int, int, int] | None = None
    """A service, and since and until when (µs) nothing is heard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of attack."""

    name: str
    rules: tuple[str, ...]
    """The rules that must fire for each of them."""
    knob: Knob
    make: Callable[[Scene], Attack | None]
    """Makes one; ``None`` where there is nobody it could be done to."""


class Scene:
    """Where and when one attack happens.

    Args:
        people: who might be attacked.
        knob: how much of it.
        shape: one of ``SHAPES``.
        draw: chance.
        since: from when (µs) it may begin.
        until: until when (µs) it must be over.
        number: of this attack, different from any other's.
        taken: who has been attacked already; nobody is twice.
    """

    def __init__(
        self,
        people: People,
        knob: Knob,
        shape: str,
        draw: np.random.Generator,
        *,
        since: int,
        until: int,
        number: int,
        taken: set[int],
    ) -> None:
        self.people = people
        self.knob = knob
        self.shape = shape
        self.draw = draw
        self.number = number
        self._taken = taken
        low, high = knob.events
        self.events = knob.at_least + 1 if shape == "just_over" else int(draw.integers(low, high + 1))
        short, long = knob.seconds
        length = int(draw.integers(short, long + 1))
        if shape == "just_over":
            length = int(knob.window * 0.97)
        self.length = min(length * SECOND, max((until - since) * 9 // 10, SECOND))
        """µs from the first request to the last."""
        self.start = int(draw.integers(since, max(until - self.length, since + 1)))
        if shape == "border":
            window = knob.window * SECOND
            border = (self.start + self.length // 2) // window * window
            if since <= border - self.length // 2:
                self.start = border - self.length // 2
        self.end = self.start + self.length

    def times(self, count: int) -> Array:
        """So many instants (µs) of the attack, in order."""
        if self.shape in ("even", "just_over", "border"):
            spread = np.linspace(0, 1, count)
        elif self.shape == "slow_start":
            spread = np.linspace(0, 1, count) ** 0.4
        else:
            spread = np.sort(self.draw.random(count))
        times: Array = self.start + (spread * self.length).astype(np.int64)
        return times

    def hostile(self, count: int, *, together: bool = False) -> Array:
        """Addresses nobody else has; in one /24 if *together*, otherwise in as many networks as there are."""
        choices = networks("hostile")
        if together:
            block = int(self.draw.integers(1 << 8))
            hosts = self.draw.permutation(254)[:count] + 1
            return address(int(self.draw.choice(choices)), block * 256 + np.resize(hosts, count))
        return address(self.draw.choice(choices, count), self.draw.permutation(1 << 16)[:count])

    def guesses(self, count: int) -> Array:
        """Numbers of tokens that have never been issued."""
        return _GUESSED + self.number * (1 << 20) + np.arange(count, dtype=np.int64)

    def victim(self, *, country: str | None = None, lasting: bool = True) -> int:
        """Somebody who stays where they are; with a token that lasts, or one that is a JWT."""
        people = self.people
        some = people.settled() if lasting else np.flatnonzero(people.life > 0)
        if country is not None:
            some = some[np.array([CITIES[c].country == country for c in people.city[some]], bool)]
        some = np.array([who for who in some if int(who) not in self._taken], np.int64)
        if not len(some):
            return NONE
        # whoever is seldom there is not known well enough to be missed
        busy = some[np.argsort(-people.weight[some], kind="stable")][: max(len(some) // 3, 5)]
        who = int(self.draw.choice(busy))
        self._taken.add(who)
        return who

    def away(self, who: int) -> int:
        """A hostile network far away from somebody's home, in another country."""
        home = CITIES[int(self.people.city[who])]
        far = []
        for one in networks("hostile"):
            city = CITIES[NETWORKS[one].cities[0]]
            if city.country != home.country and abs(city.lat - home.lat) + abs(city.lon - home.lon) > 40:
                far.append(int(one))
        return int(self.draw.choice(far))

    def requests(self, count: int) -> Events:
        """So many blank requests with numbers of their own."""
        rows = blank(count)
        rows["request"] = self.draw.integers(1, 1 << 63, count, dtype=np.uint64)
        return rows

    def sent(self, at: Array, who: int, route: Array) -> Events:
        """Requests with somebody's token, let in; from nowhere yet."""
        rows = self.requests(len(at))
        token, ends, _ = self.people.token(np.full(len(at), who), at)
        let_in(rows, at, route, token)
        rows["form"] = np.where(ends == NONE, FORMS.index("opaque"), FORMS.index("jwt"))
        rows["expires"] = np.where(ends == NONE, NONE, ends // SECOND)
        rows["subject"] = who
        rows["client"] = self.people.client[who]
        rows["agent"] = agent(TOOLS[self.number % 2])
        return rows


def failing(rows: Events, at: Array, addresses: Array, tokens: Array, mishap: Told) -> Events:
    """Fill in requests that the gateway refuses: from these addresses, with these tokens (``NONE`` for none)."""
    rows["ts"] = at
    rows["service"] = GATEWAY
    rows["address"] = addresses
    rows["token"] = tokens
    sent = tokens != NONE
    rows["form"] = np.where(sent, FORMS.index("opaque"), NONE)
    rows["source"] = np.where(sent, SOURCES.index("header"), NONE)
    rows["outcome"] = np.where(sent, outcome("invalid"), outcome("missing"))
    rows["reason"] = np.where(sent, reason("unknown_token"), NONE)
    rows["status"] = 401
    rows["duration"] = 700
    rows["agent"] = agent(TOOLS[0])
    for name, value in mishap.items():
        rows[name] = value
    return rows
