"""Rules tested on their own events, through the same lake, detector and SQL as live ones."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

import duckdb
import msgspec

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.detector import Detector
from bearerwatch.detect.documents import at
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.islands import SECOND, Key, instant, islands
from bearerwatch.detect.scenario import START, Expected, Scenario, read_scenarios, scenario_file
from bearerwatch.event import AuthEvent
from bearerwatch.store.engine import connect
from bearerwatch.store.episodes import Episode
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State, default_url

__all__ = ["Found", "RuleTestResult", "batch", "line", "run_rule_tests"]

_TICK = timedelta(milliseconds=250)
_MOST_TICKS = 12


@dataclass(frozen=True, slots=True)
class RuleTestResult:
    """What became of one test of one rule."""

    rule: str
    test: str
    passed: bool
    hit: bool
    """Whether it expects an episode; otherwise it is a near miss."""
    problem: str = ""
    """What was expected and what came, beginning with ``file:line``; empty if it passed."""


@dataclass(frozen=True, slots=True)
class Found:
    """An episode as the batch query finds it."""

    key: Key
    first: datetime
    last: datetime
    peak: int
    hits: int


def run_rule_tests(rule: Rule) -> list[RuleTestResult]:
    """Run the test file beside *rule*'s own.

    Returns:
        One result per test, in order.

    Raises:
        RuleError: there is no test file, it cannot be read, or it lacks a hit or a near miss.
    """
    if rule.path is None:
        raise at(Path(f"{rule.name}.yml"), 1, "was not read from a file: there are no tests beside it")
    path = scenario_file(rule.path)
    if not path.is_file():
        raise at(
            rule.path, 1, f"has no test file: write {path.name} beside it, with at least one hit and one near miss"
        )
    scenarios = read_scenarios(path)
    if all(scenario.expect for scenario in scenarios):
        raise at(path, 1, "has no near miss: add a test that just fails to fire, with 'expect: []'")
    if not any(scenario.expect for scenario in scenarios):
        raise at(path, 1, "has no hit: add a test that fires, with the episode under 'expect'")
    for scenario in scenarios:
        for expected in scenario.expect:
            if set(expected.key) != set(rule.group_by):
                fields = ", ".join(rule.group_by)
                raise at(path, scenario.line, f"expects another key than the rule has: write {fields}")
    with tempfile.TemporaryDirectory(prefix="bearerwatch-") as folder:
        state = State(default_url(Path(folder)))
        try:
            state.migrate()
            return [_run(rule, scenario, path, Path(folder), state) for scenario in scenarios]
        finally:
            state.close()


def _run(rule: Rule, scenario: Scenario, path: Path, folder: Path, state: State) -> RuleTestResult:
    con = connect(folder / "tmp")
    try:
        # Nothing is committed: what one test appends is in its own connection's memory alone.
        lake = Lake(folder / "lake", state, con)
        live = _live(rule, scenario, con, lake, state)
        whole = batch(rule, con, lake.pending())
    finally:
        con.close()
    problem = _compared(scenario.expect, live)
    if not problem and {(f.key, f.first, f.last, f.peak, f.hits) for f in whole} != {
        (tuple(e.key[name] for name in rule.group_by), e.first_hit, e.last_hit, e.peak, e.hits) for e in live
    }:
        problem = "is answered differently tick by tick and as a whole: please report this with the rule"
    return RuleTestResult(
        rule=rule.name,
        test=scenario.name,
        passed=not problem,
        hit=bool(scenario.expect),
        problem=f"{path}:{scenario.line}: {scenario.name!r} {problem}" if problem else "",
    )


def _live(rule: Rule, scenario: Scenario, con: duckdb.DuckDBPyConnection, lake: Lake, state: State) -> list[Episode]:
    detector = Detector([rule], con, lake, state)
    ordered = sorted(scenario.events, key=lambda event: event.ts)
    # What is found does not depend on where ticks begin; a slow scenario need not take as many as live.
    every = max(_TICK, (ordered[-1].ts - START) / _MOST_TICKS) if ordered else _TICK
    for slot, events in groupby(ordered, key=lambda event: (event.ts - START) // every):
        lake.append([line(event) for event in events])
        detector.tick(START + (slot + 1) * every)
    if ordered:
        detector.tick(ordered[-1].ts + every + timedelta(seconds=1))  # what was left for later
    return detector.episodes


def line(event: AuthEvent, source: str = "spool:test") -> bytes:
    """An event as the collector hands it to the lake."""
    return msgspec.json.encode(msgspec.to_builtins(event) | {"received_at": event.ts, "source": source})


def batch(rule: Rule, con: duckdb.DuckDBPyConnection, relation: str) -> list[Found]:
    """The episodes of *rule* over a whole relation, by the exact query alone."""
    width = len(rule.group_by)
    anchors: dict[Key, list[tuple[int, int]]] = {}
    names = ", ".join(f"k{i}" for i in range(width))
    query = f"SELECT {names}, epoch_us(ts), n FROM ({sql.hits(rule.correlation, relation)})"  # noqa: S608 - ours
    for row in con.execute(query).fetchall():
        anchors.setdefault(row[:width], []).append((row[width], row[width + 1]))
    return [
        Found(key, instant(island.first), instant(island.last), island.peak, island.hits)
        for key, hits in sorted(anchors.items())
        for island in islands(hits, (), rule.window * SECOND)
    ]


def _compared(expect: Sequence[Expected], found: Sequence[Episode]) -> str:
    """What is wrong, in words; empty if nothing is."""
    left = list(found)
    missing = []
    for expected in expect:
        match = next((episode for episode in left if _fits(expected, episode)), None)
        if match is None:
            missing.append(expected)
        else:
            left.remove(match)
    words = []
    if missing:
        words.append("misses " + "; ".join(_told(e.key, e.hits, e.peak) for e in missing))
    if left:
        words.append("makes unexpectedly " + "; ".join(_told(e.key, e.hits, e.peak) for e in left))
    return " and ".join(words)


def _fits(expected: Expected, episode: Episode) -> bool:
    pairs = (
        (expected.key, episode.key),
        (expected.hits, episode.hits),
        (expected.peak, episode.peak),
        (expected.first, episode.first_hit),
        (expected.last, episode.last_hit),
    )
    return all(want is None or want == have for want, have in pairs)


def _told(key: dict[str, str], hits: int | None, peak: int | None) -> str:
    shown = ", ".join(f"{name}={value}" for name, value in key.items())
    return f"an episode of {shown} (hits {'any' if hits is None else hits}, peak {'any' if peak is None else peak})"
