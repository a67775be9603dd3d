"""What each rule wants to see of an event that has just arrived, and which of its keys might have crossed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import duckdb

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.book import Key
from bearerwatch.detect.evidence import COLUMNS as EVIDENCE
from bearerwatch.detect.fields import TYPES
from bearerwatch.detect.ir import (
    EventCount,
    Rule,
    Selection,
    Step,
    ValueCount,
    compared_of,
    outcomes_of,
    reach,
    selections_of,
)
from bearerwatch.detect.ir import Sequence as Ordered
from bearerwatch.detect.sketch import CountSketch, DistinctSketch, Sketch

__all__ = ["ID", "OUTCOME", "SEEN", "TS", "WEIGHT", "Columns", "Due", "Row", "Stage", "Touched", "Watch", "Watches"]

Row = tuple[Any, ...]
"""What :meth:`Columns.select` asks for: id, ts (µs), weight, the evidence columns, then keys, values and the rest."""

ID, TS, WEIGHT, OUTCOME = range(4)
SEEN = slice(OUTCOME, OUTCOME + len(EVIDENCE))

_SLACK = timedelta(seconds=30)
"""Kept beyond what is needed, so that forgetting can be seldom."""
_MICROSECOND = timedelta(microseconds=1)
_MOST_KNOWN = 50_000


@dataclass(slots=True)
class Touched:
    """What arrived for one key of one rule. Times in µs."""

    first: int
    last: int
    rows: list[Row]

    def merge(self, other: Touched) -> None:
        """Add what arrived at a later tick."""
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self.rows += other.rows


@dataclass(slots=True)
class Due(Touched):
    """What is still to be evaluated for one key."""

    since: int
    """Number of the tick from which on its rows are new."""
    newest: int
    """No event from before that tick is later than this."""


class Columns:
    """The columns fetched of each new event, and where each is found in a :data:`Row`."""

    def __init__(self) -> None:
        """The fixed ones."""
        self._expressions: list[str] = [
            "id",
            "epoch_us(ts)",
            sql.WEIGHT,
            *(f'"{name}"' for name in EVIDENCE),
            "epoch_us(received_at)",
        ]

    def index(self, expression: str) -> int:
        """Where *expression* is found; added if it is new."""
        if expression not in self._expressions:
            self._expressions.append(expression)
        return self._expressions.index(expression)

    @property
    def select(self) -> str:
        """The SELECT list."""
        return ", ".join(self._expressions)


@dataclass(slots=True)
class Stage:
    """One step of one rule: which events it takes, and its sketch (None where one event is enough)."""

    step: Step
    selection: int
    """Number of its selection; steps with the same one share it."""
    key: Callable[[Row], Key]
    value: int | None
    sketch: Sketch | None
    touched: dict[Key, Touched]


@dataclass(slots=True)
class Watch:
    """One rule at work."""

    rule: Rule
    number: int
    reach: int
    """µs over which one event can change what holds."""
    horizon: int
    """µs its sketches look back from the newest event."""
    outcomes: frozenset[str] | None
    """The only outcomes its events can have; None if any."""
    stages: list[Stage] = field(default_factory=list)
    touched: dict[Key, Touched] = field(default_factory=dict)

    def might_hold(self, first: int, last: int, key: Key) -> bool:
        """Whether every step might be met around events of *key* between *first* and *last*."""
        low, high = first - self.reach, last + self.reach
        return all(stage.sketch is None or stage.sketch.crossed(key, low, high) for stage in self.stages)

    @property
    def degraded(self) -> bool:
        """Whether keys share counters because there are too many."""
        return any(isinstance(stage.sketch, DistinctSketch) and stage.sketch.degraded for stage in self.stages)

    def forget(self, before: int) -> None:
        """Let the sketches go of what lies before that time."""
        for stage in self.stages:
            if stage.sketch is not None:
                stage.sketch.forget(before)


class Watches:
    """All rules at work. Which selections an event matches depends on a few of its fields alone, and is remembered."""

    def __init__(self, con: duckdb.DuckDBPyConnection, rules: Iterable[Rule], lateness: timedelta) -> None:
        """Prepare every rule.

        Args:
            con: what selections are evaluated by, so that they mean here what they mean in every query.
            rules: the rules.
            lateness: how late events may be within what the sketches remember.
        """
        self._con = con
        self.columns = Columns()
        self._wheres: dict[str, int] = {}
        self.all = [self._watch(number, rule, lateness) for number, rule in enumerate(rules)]
        compared = {name for watch in self.all for name in compared_of(watch.rule.correlation)}
        self._compared = [name for name in TYPES if name in compared]
        self._place = [self.columns.index(f'"{name}"') for name in self._compared]
        self._stages: dict[tuple[Any, ...], list[Stage]] = {}

    def _watch(self, number: int, rule: Rule, lateness: timedelta) -> Watch:
        correlation = rule.correlation
        span = timedelta(seconds=reach(correlation))
        known = [outcomes_of(selection.where) for selection in selections_of(correlation)]
        watch = Watch(
            rule=rule,
            number=number,
            reach=span // _MICROSECOND,
            horizon=(span + lateness + _SLACK) // _MICROSECOND,
            outcomes=None if None in known else frozenset().union(*(k for k in known if k is not None)),
        )
        steps: tuple[Step, ...] = correlation.steps if isinstance(correlation, Ordered) else (correlation,)
        keys = [self.columns.index(sql.key_column(name)) for name in rule.group_by]
        for step in steps:
            selection = step if isinstance(step, Selection) else step.selection
            stage = Stage(
                step=step,
                selection=self._wheres.setdefault(sql.predicate(selection.where), len(self._wheres)),
                key=_key_of(keys),
                value=self.columns.index(sql.column(step.field)) if isinstance(step, ValueCount) else None,
                sketch=_sketch(step, correlation.seconds, alone=len(steps) == 1),
                touched=watch.touched,
            )
            watch.stages.append(stage)
        return watch

    def _learn(self, rows: Sequence[Row]) -> None:
        """Find out which steps want events with the field values of *rows*."""
        place, known = self._place, self._stages
        new = list({values: None for row in rows if (values := tuple(row[i] for i in place)) not in known})
        if not new:
            return
        if len(known) + len(new) > _MOST_KNOWN:
            known.clear()
            new = list({tuple(row[i] for i in place): None for row in rows})
        columns = ", ".join(f'unnest(${i + 1}::{TYPES[name]}[]) AS "{name}"' for i, name in enumerate(self._compared))
        matches = ", ".join(f"coalesce({where}, FALSE)" for where in self._wheres)
        found = self._con.execute(
            f"SELECT {matches} FROM (SELECT {columns})",  # noqa: S608 - made by the dialect; values are parameters
            [[values[i] for values in new] for i in range(len(self._compared))],
        ).fetchall()
        stages = [stage for watch in self.all for stage in watch.stages]
        for values, matched in zip(new, found, strict=True):
            known[values] = [stage for stage in stages if matched[stage.selection]]

    def take(self, rows: Sequence[Row]) -> None:
        """Count new events, and note in ``touched`` whose they are."""
        self._learn(rows)
        known, place = self._stages, self._place
        for row in rows:
            for stage in known[tuple([row[i] for i in place])]:
                key = stage.key(row)
                if None in key:
                    continue
                value: Hashable = None
                if stage.value is not None:
                    value = row[stage.value]
                    if value is None:
                        continue
                ts = row[TS]
                if stage.sketch is not None:
                    stage.sketch.add(key, ts, row[WEIGHT], value)
                touched = stage.touched.get(key)
                if touched is None:
                    stage.touched[key] = Touched(ts, ts, [row])
                    continue
                if touched.rows[-1] is not row:
                    touched.rows.append(row)
                if ts < touched.first:
                    touched.first = ts
                elif ts > touched.last:
                    touched.last = ts


def _key_of(indexes: Sequence[int]) -> Callable[[Row], Key]:
    match indexes:
        case [a]:
            return lambda row: (row[a],)
        case [a, b]:
            return lambda row: (row[a], row[b])
    return lambda row: tuple(row[i] for i in indexes)


def _sketch(step: Step, seconds: int, *, alone: bool) -> Sketch | None:
    match step:
        case Selection():
            return CountSketch(seconds, 1)
        case ValueCount():
            return DistinctSketch(step.seconds, step.at_least)
        case EventCount(at_least=1) if alone:
            return None
    return CountSketch(step.seconds, step.at_least)
