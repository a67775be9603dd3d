"""The kinds that ask for a key's past, told once more event by event: plain sets of panes, no state, no SQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Keyed, Learned, Silence, Travel
from bearerwatch.event import AuthEvent
from detect import oracle

Hit = tuple[tuple[str, ...], datetime, int]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def hits(rule: Keyed, events: Sequence[AuthEvent]) -> list[Hit]:
    """Key, time and ``n`` of every anchor, sorted."""
    match rule:
        case FirstSeen():
            return sorted(_first_seen(rule, events))
        case Travel():
            return sorted(_travel(rule, events))
        case Baseline():
            return sorted(_baseline(rule, events))
        case Silence():
            return sorted(_silence(rule, events))


def pane(event: AuthEvent, settle: int) -> int:
    return int((event.ts - EPOCH).total_seconds() // settle)


def began(panes: Iterable[int], q: int, gap: int) -> int:
    """The first pane of the life that *q* belongs to."""
    for p in sorted((p for p in panes if p < q), reverse=True):
        if q - p > gap:
            break
        q = p
    return q


class Past:
    """All sightings of the events that take part, by learner."""

    def __init__(self, rule: FirstSeen | Travel, events: Sequence[AuthEvent], fields: tuple[str, ...]) -> None:
        self.learned: Learned = rule.learned
        self.settle = rule.settle
        self.gap = rule.learned.memory // rule.settle
        self.group_by = rule.group_by
        self.fields = fields
        self.events = events

    def learner(self, event: AuthEvent) -> tuple[Any, ...]:
        by = [oracle.value(event, name) for name in self.learned.by]
        if by and None not in by:
            return ("by", *by)
        return ("key", *(oracle.key_of(self.group_by, event) or ()))

    def panes(self, match: Callable[[AuthEvent], bool]) -> set[int]:
        return {pane(e, self.settle) for e in self.events if match(e)}

    def new(self, event: AuthEvent, field: str) -> bool:
        """Whether the event's value is new for its learner; one that is not known counts as new."""
        value, who, q = oracle.value(event, field), self.learner(event), pane(event, self.settle)
        if value is None:
            return True
        seen = self.panes(lambda e: self.learner(e) == who and oracle.value(e, field) == value)
        return q < began(seen, q, self.gap) + 2

    def ask(self, event: AuthEvent) -> tuple[int, bool, bool]:
        who, q = self.learner(event), pane(event, self.settle)
        mine = self.panes(lambda e: self.learner(e) == who)
        start = began(mine, q, self.gap)
        seen = len([p for p in mine if start <= p <= q - 2])
        births = 0
        for value in {oracle.value(e, self.fields[0]) for e in self.events if self.learner(e) == who}:
            of = self.panes(lambda e, v=value: self.learner(e) == who and oracle.value(e, self.fields[0]) == v)
            births += len([p for p in of if began(of, p, self.gap) == p and start <= p <= q - 2])
        settled = births < self.learned.most
        needed = self.learned.sightings if self.new(event, "user_agent") else self.learned.alone
        enough = seen >= needed and (q - start) >= math.ceil(self.learned.span / self.settle)
        return seen, settled, settled and enough


def _mine(rule: Keyed, events: Sequence[AuthEvent], *needed: str) -> list[AuthEvent]:
    return [
        e
        for e in events
        if oracle.matches(rule.selection.where, e)
        and oracle.key_of(rule.group_by, e) is not None
        and all(oracle.value(e, name) is not None for name in needed)
    ]


def _key(rule: Keyed, event: AuthEvent) -> tuple[str, ...]:
    key = oracle.key_of(rule.group_by, event)
    assert key is not None
    return key


def _first_seen(rule: FirstSeen, events: Sequence[AuthEvent]) -> Iterable[Hit]:
    mine = _mine(rule, events, rule.fields[0])
    past = Past(rule, mine, rule.fields)
    for event in mine:
        seen, _, familiar = past.ask(event)
        if familiar and all(past.new(event, name) for name in rule.fields):
            yield _key(rule, event), event.ts, seen


def _travel(rule: Travel, events: Sequence[AuthEvent]) -> Iterable[Hit]:
    mine = _mine(rule, events, "country")
    past = Past(rule, mine, ("country", "asn"))
    news = {id(e): past.new(e, "country") and past.new(e, "asn") and past.ask(e)[1] for e in mine}
    familiar = {id(e): past.ask(e)[2] for e in mine}
    for here in mine:
        best = -1
        for there in mine:
            panes = pane(here, rule.settle) - pane(there, rule.settle)
            if _key(rule, here) != _key(rule, there) or not 0 <= panes <= rule.seconds // rule.settle:
                continue
            if here.country == there.country or {here.asn, there.asn} & set(rule.elsewhere):
                continue
            if here.asn is not None and here.asn == there.asn:
                continue
            far = 0 - rule.uncertainty
            if None in {here.lat, here.lon, there.lat, there.lon}:
                if panes > 1:
                    continue
            else:
                far = _kilometres(here, there) - rule.uncertainty
                if far < rule.kilometres or far * 3600 <= (panes + 1) * rule.settle * rule.speed:
                    continue
            agents = {here.user_agent, there.user_agent}
            soon = panes <= 1 and (None in agents or len(agents) == 2)
            if any(news[id(e)] and (familiar[id(e)] or soon) for e in (here, there)):
                best = max(best, far + rule.uncertainty)
        if best >= 0:
            yield _key(rule, here), here.ts, best


def _kilometres(one: AuthEvent, other: AuthEvent) -> int:
    """The haversine formula: another way to the same distance."""
    lat, lon, lat2, lon2 = (math.radians(_degree(d)) for d in (one.lat, one.lon, other.lat, other.lon))
    a = math.sin((lat2 - lat) / 2) ** 2 + math.cos(lat) * math.cos(lat2) * math.sin((lon2 - lon) / 2) ** 2
    return math.floor(2 * 6371.0 * math.asin(math.sqrt(a)) + 0.5)


def _degree(value: float | None) -> int:
    assert value is not None
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _baseline(rule: Baseline, events: Sequence[AuthEvent]) -> Iterable[Hit]:
    mine = _mine(rule, events)
    known = [
        e for e in events if oracle.matches(rule.known_by.where, e) and oracle.key_of(rule.group_by, e) is not None
    ]
    gap, per_block = rule.block * rule.blocks // rule.settle, rule.block // rule.settle
    for event in mine:
        key, q = _key(rule, event), pane(event, rule.settle)

        def number(p: int, key: tuple[str, ...] = key) -> int:
            return sum(e.count for e in mine if _key(rule, e) == key and p - 1 <= pane(e, rule.settle) <= p)

        heard = {pane(e, rule.settle) for e in known if _key(rule, e) == key}
        latest = max((p for p in heard if p <= q), default=None)
        if latest is None or q - latest > gap or q - began(heard, latest, gap) < math.ceil(rule.span / rule.settle):
            continue
        n, now = number(q), (q - 1) // per_block
        peaks = [
            max(number(p) for p in range(b * per_block, (b + 1) * per_block)) for b in range(now - rule.blocks, now)
        ]
        long = q - began(heard, latest, gap) >= 2 * rule.rank * per_block
        usual = sorted(peaks, reverse=True)[rule.rank - 1 if long else 0]
        if n >= rule.floor and n > rule.ratio * usual:
            yield key, event.ts, n


def _silence(rule: Silence, events: Sequence[AuthEvent]) -> Iterable[Hit]:
    mine = _mine(rule, events)
    memory, until = rule.memory // rule.settle, max((pane(e, rule.settle) for e in mine), default=0) - 2
    for key in {_key(rule, e) for e in mine}:
        panes = sorted({pane(e, rule.settle) for e in mine if _key(rule, e) == key})
        for i, q in enumerate(panes):
            start = began(panes, q, memory)
            life = [p for p in panes[: i + 1] if p >= start]
            pauses = sorted([b - a - 1 for a, b in pairwise(life)] + [0, 0])
            limit = max(math.ceil(rule.floor / rule.settle), math.ceil(rule.ratio * pauses[-2]))
            if len(life) < rule.sightings or q - start < math.ceil(rule.span / rule.settle):
                continue
            end = panes[i + 1] if i + 1 < len(panes) else until + 1
            for s in range(q + limit + 1, min(end, until + 1, q + memory + 1)):
                yield key, datetime.fromtimestamp(s * rule.settle, UTC), s - q
