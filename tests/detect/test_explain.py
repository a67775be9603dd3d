"""What an explanation names is what was counted: by the oracle, for every kind of step."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bearerwatch.detect.explain import Explanation, Query, explain
from bearerwatch.detect.ir import EventCount, Rule, Sequence, ValueCount
from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Learned, Silence, Travel
from bearerwatch.detect.ir_windows import Bound, Function, Joint, Measure, Met, Quantor, Relation, Temporal
from bearerwatch.detect.rulebook import load_rules
from bearerwatch.detect.ruletest import batch
from bearerwatch.detect.scenario import read_scenarios, scenario_file
from bearerwatch.detect.words import sentence
from bearerwatch.store.episodes import Episode
from detect import oracle
from detect.rules import ALL, CHAINED, EXCEPTED, FAILED, FIVE_IN_TEN, LET_IN, MISSING, SHARED, THREE_STEPS, UNTIL, rule
from detect.test_differential import World, arrivals
from detect.world import T0, Collector, event

Make = Callable[..., Collector]


def asking(box: Collector) -> Query:
    """The collector's own lake, asked as a reader asks it."""

    def query(text: str, *, since: datetime | None, until: datetime | None) -> list[dict[str, Any]]:
        def work(events: str) -> list[dict[str, Any]]:
            cursor = box.con.execute(text.format(events=events))
            names = [column[0] for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            return [row | {"ts": row["ts"].replace(tzinfo=UTC)} if "event_id" in row else row for row in rows]

        return box.lake.reading(since, until, work)

    return query


def explained(box: Collector, rule: Rule, **more: Any) -> list[tuple[Any, Explanation]]:
    """Every alert of *rule* in the state, explained from the lake."""
    found = [(e, explain(rule, e, asking(box), **more)) for e in box.saved() if e.rule == rule.name]
    assert all(one is not None for _, one in found)
    return [(episode, one) for episode, one in found if one is not None]


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
def test_what_is_named_is_what_was_counted(collector: Make, rule: Rule) -> None:
    """On traffic of chance: the hits, the peak, and in each window the events of the oracle's own choosing."""
    rnd = random.Random(4)
    world = World(seed=4, events=400, span=150, lateness=5, far=0, crashes=0, per_tick=50, tight=0, wait=0)
    events = [one for _, one in arrivals(world, rnd)]
    box = collector(rule)
    box.tick(events, 400)
    box.commit()
    found = explained(box, rule, limit=10_000)[:2]
    assert found
    for episode, why in found:
        assert (why.hits, why.peak.n) == (episode.hits, episode.peak)
        assert why.first.at == episode.first_hit
        assert why.remarks == []
        for moment in (why.first, why.peak):
            for part in moment.parts:
                step = next(
                    s for s in steps(rule) if part.step == getattr(s, "selection", s).name and part.says == sentence(s)
                )
                key = tuple(episode.key[name] for name in rule.group_by)
                where = getattr(step, "selection", step).where
                mine = [
                    e
                    for e in events
                    if oracle.key_of(rule.group_by, e) == key
                    and part.since <= e.ts <= part.until
                    and oracle.matches(where, e)
                    and (part.field is None or oracle.value(e, part.field) is not None)
                ]
                assert sorted(e.event_id for e in mine) == sorted(row["event_id"] for row in part.events)
                assert part.rows == len(mine)
                counted = sum(e.count for e in mine)
                if part.field is not None:
                    counted = len({oracle.value(e, part.field) for e in mine})
                    assert sum(part.values.values()) == len(mine)
                assert part.counted == counted >= part.needed
                assert sum(part.spread) in (0, len(mine))
            if not isinstance(rule.correlation, Sequence):
                assert moment.parts[0].counted == moment.n


def steps(rule: Rule) -> tuple[Any, ...]:
    return rule.correlation.steps if isinstance(rule.correlation, Sequence) else (rule.correlation,)


def fails(*seconds: float, **fields: Any) -> list[Any]:
    return [event(at, client_ip="192.0.2.1", **fields) for at in seconds]


def test_what_would_have_to_change_is_told_by_how_many(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick(fails(*range(8)), 20)
    box.commit()
    ((_, why),) = explained(box, FIVE_IN_TEN)
    assert (why.first.n, why.peak.n, why.hits) == (5, 8, 4)
    assert "needs 5 events within 10 seconds" in why.unless
    assert "4 fewer" in why.unless
    assert "over 8" in why.unless


def test_a_chain_is_told_step_by_step(collector: Make) -> None:
    box = collector(CHAINED, THREE_STEPS)
    box.tick([*fails(0, 1, 2), event(4, "success", client_ip="192.0.2.1")], 20)
    box.commit()
    ((_, why),) = explained(box, CHAINED)
    assert [(part.step, part.counted, part.needed) for part in why.first.parts] == [("failed", 3, 3), ("let_in", 1, 1)]
    assert [part.until for part in why.first.parts] == [T0 + timedelta(seconds=s) for s in (2, 4)]


def test_events_of_another_key_or_time_are_no_part(collector: Make) -> None:
    box = collector(FIVE_IN_TEN)
    box.tick([*fails(*range(100, 105)), *fails(89), *(event(101, client_ip="192.0.2.2") for _ in range(9))], 120)
    box.commit()
    why = next(why for episode, why in explained(box, FIVE_IN_TEN) if episode.key["client_ip"] == "192.0.2.1")
    assert why.first.parts[0].rows == 5


def test_few_events_are_listed_of_many_that_are_counted(collector: Make) -> None:
    box = collector(SHARED)
    box.tick([event(i / 10, "success", presented_id="p", client_ip=f"192.0.2.{i}") for i in range(50)], 20)
    box.commit()
    ((_, why),) = explained(box, SHARED, limit=7)
    part = why.peak.parts[0]
    assert (len(part.events), part.rows, part.counted, part.field) == (7, 50, 50, "client_ip")


def test_what_has_changed_since_is_remarked(collector: Make) -> None:
    """Another version, or fewer hits than were told of."""
    from dataclasses import replace

    box = collector(FIVE_IN_TEN)
    box.tick(fails(*range(8)), 20)
    box.commit()
    episode = box.saved()[0]
    newer = explain(replace(FIVE_IN_TEN, version=2), episode, asking(box))
    stricter = replace(FIVE_IN_TEN, correlation=replace(FIVE_IN_TEN.correlation, at_least=7))
    fewer = explain(stricter, episode, asking(box))
    nothing = explain(
        replace(FIVE_IN_TEN, correlation=replace(FIVE_IN_TEN.correlation, at_least=9)), episode, asking(box)
    )
    assert newer is not None
    assert "version 2" in newer.remarks[0]
    assert fewer is not None
    assert "4 hits" in fewer.remarks[0]
    assert nothing is None


def test_rules_are_told_in_words() -> None:
    assert isinstance(FIVE_IN_TEN.correlation, EventCount)
    assert sentence(FIVE_IN_TEN.correlation) == (
        "5 events or more of one client_ip within 10 seconds, where outcome is invalid or expired"
    )
    assert isinstance(SHARED.correlation, ValueCount)
    assert sentence(SHARED.correlation) == (
        "3 different values or more of client_ip of one presented_id within 40 seconds, where outcome is success"
    )
    assert "(2) an event where outcome is success" in sentence(CHAINED.correlation)
    assert f"before {UNTIL:%Y-%m-%d %H:%M} UTC" in sentence(EXCEPTED.correlation)


MEASURES = [
    rule(
        "sum", Measure((FAILED,), ("client_ip",), 20, Function.SUM, (Bound(Relation.GT, Decimal(50)),), "duration_us")
    ),
    rule("few", Measure((LET_IN, FAILED), ("client_ip",), 20, Function.COUNT, (Bound(Relation.LT, Decimal(3)),))),
    rule(
        "bursts",
        Measure(
            (EventCount(FAILED, ("client_ip", "service"), 10, 2),),
            ("client_ip",),
            30,
            Function.DISTINCT,
            (Bound(Relation.GTE, Decimal(2)),),
            "service",
        ),
    ),
    rule(
        "together",
        Temporal(
            (EventCount(FAILED, ("client_ip",), 10, 2), LET_IN, MISSING),
            ("client_ip",),
            20,
            Joint(Quantor.ALL, (Met(0), Met(1), Joint(Quantor.NONE, (Met(2),)))),
        ),
    ),
]
LEARNED = Learned(by=(), sightings=2, span=10, most=9, alone=9, memory=300)
PAST = [
    rule("country", FirstSeen(LET_IN, ("presented_id",), 30, ("country",), LEARNED, 5)),
    rule("journey", Travel(LET_IN, ("presented_id",), 60, 300, 20_000, 50, (), LEARNED, 5)),
    rule("more", Baseline(FAILED, FAILED, ("client_ip",), 20, 4, 1.5, 2, 20, 4, 15, 5)),
    rule("silent", Silence(FAILED, ("client_ip",), 15, 10, 1.5, 3, 15, 300, 5)),
]


def alerts(box: Collector, one: Rule) -> list[Episode]:
    """What the query over the whole lake makes of it, as alerts."""
    found = box.lake.reading(None, None, lambda relation: batch(one, box.con, relation))
    return [
        Episode(
            id="0" * 32,
            rule=one.name,
            rule_version=one.version,
            title=one.title,
            level=one.level,
            key=dict(zip(one.group_by, each.key, strict=True)),
            first_hit=each.first,
            last_hit=each.last,
            opened_at=each.first,
            peak=each.peak,
            hits=each.hits,
        )
        for each in found
    ]


def traffic(seed: int) -> list[Any]:
    rnd = random.Random(seed)
    places = [("DE", 52.5, 13.4), ("DE", 48.1, 11.6), ("JP", 35.7, 139.7), ("US", 40.7, -74.0)]
    found = []
    for _ in range(300):
        at = rnd.choice([rnd.uniform(0, 200), rnd.uniform(300, 310)])
        country, lat, lon = rnd.choice([places[0]] * 9 + places)
        found.append(
            event(
                at,
                rnd.choice(["invalid", "success", "success", "missing"]),
                client_ip=rnd.choice(["192.0.2.1", "192.0.2.2"]),
                service=rnd.choice(["shop", "bank"]),
                presented_id=f"k00000000:{rnd.randrange(2):032x}",
                duration_us=rnd.randrange(40),
                country=country,
                lat=lat,
                lon=lon,
            )
        )
    return found


@pytest.mark.parametrize("one", [*MEASURES, *PAST], ids=lambda one: one.name)
def test_every_kind_of_rule_is_explained(collector: Make, one: Rule) -> None:
    """The hits and the peak are those of the query over everything, though only the key's events are read."""
    box = collector()
    box.append([*traffic(3), event(600, "success", client_ip="198.51.100.1")])
    box.commit()
    found = alerts(box, one)[:2]
    assert found
    for episode in found:
        why = explain(one, episode, asking(box))
        assert why is not None
        assert (why.hits, why.peak.n, why.first.at) == (episode.hits, episode.peak, episode.first_hit)
        assert why.remarks == []
        assert why.first.parts
        assert why.unless
    if one.name == "sum":
        part = why.peak.parts[0]
        assert sum(int(value) * number for value, number in part.values.items()) == why.peak.n
    if one.name == "few":
        assert sum(part.counted for part in why.peak.parts) == why.peak.n
    if one.name == "bursts":
        assert why.peak.parts[0].counted == why.peak.n


@pytest.mark.parametrize("one", load_rules(), ids=lambda one: one.name)
def test_the_rules_that_come_with_us_are_explained(collector: Make, one: Rule) -> None:
    assert one.path is not None
    scenario = next(each for each in read_scenarios(scenario_file(one.path)) if each.expect)
    box = collector()
    box.append(scenario.events)
    box.commit()
    for episode in alerts(box, one):
        why = explain(one, episode, asking(box))
        assert why is not None
        assert (why.hits, why.peak.n) == (episode.hits, episode.peak)
        assert all(part.counted >= (part.needed or 0) for part in why.first.parts)
