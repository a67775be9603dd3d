"""What each rule wants to see of an event that has just arrived, and which of its keys might have crossed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import duckdb

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.fields import TYPES
from bearerwatch.detect.ir import (
    EventCount,
    Rule,
    Selection,
    Step,
    ValueCount,
    compared_of,
    moments_of,
    outcomes_of,
    reach,
    selections_of,
)
from bearerwatch.detect.ir import Sequence as Ordered
from bearerwatch.detect.islands import SECOND, Key
from bearerwatch.detect.rows import TS, WEIGHT, Columns, Row, Touched
from bearerwatch.detect.sketch import CountSketch, DistinctSketch, Sketch
from bearerwatch.detect.tally import Tally

__all__ = ["Stage", "Watch", "Watches"]

_SLACK = timedelta(seconds=30)
"""Kept beyond what is needed, so that forgetting can be seldom."""
_MICROSECOND = timedelta(microseconds=1)
_MOST_KNOWN = 50_000
_EVER = -(2**62)


@dataclass(slots=True, eq=False)
class Stage:
    """One step of one rule: which events it takes, and its sketch (None where one event is enough)."""

    watch: Watch
    step: Step
    selection: int
    """Number of its selection; steps with the same one share it."""
    key: Callable[[Row], Key]
    value: int | None
    """Where the counted value is found in a row; None if events are counted."""
    sketch: Sketch | None

    @property
    def at_least(self) -> int:
        """The least it takes of events, or of values, each of which needs an event."""
        return 1 if isinstance(self.step, Selection) else self.step.at_least

    @property
    def window(self) -> int:
        """Within how many µs; 0 where one event is enough."""
        return 0 if isinstance(self.step, Selection) else self.step.seconds * SECOND

    def taking(self, row: Row) -> Key | None:
        """The key of *row*, if all that this step needs of it is known."""
        key = self.key(row)
        if None in key or (self.value is not None and row[self.value] is None):
            return None
        return key


@dataclass(slots=True, eq=False)
class Watch:
    """One rule at work. Times in µs."""

    rule: Rule
    number: int
    reach: int
    """How long one event can change what holds."""
    horizon: int
    """How far its sketches look back from the newest event."""
    outcomes: frozenset[str] | None
    """The only outcomes its events can have; None if any."""
    stages: list[Stage] = field(default_factory=list)
    known_from: int = _EVER
    """Around events from here on the sketches know everything."""
    unsure: set[Key] = field(default_factory=set)
    """Keys with new events from before."""
    likely: set[Key] = field(default_factory=set)
    """Keys with new events and perhaps enough of them for one step."""
    touched: dict[Key, Touched] = field(default_factory=dict)
    """What has arrived for the keys that may matter."""

    def may_matter(self) -> set[Key]:
        """The keys worth a second look; forgets which they were."""
        keys = {key for key in self.likely if all(s.sketch is None or s.sketch.likely(key) for s in self.stages)}
        keys |= self.unsure
        self.unsure.clear()
        self.likely.clear()
        return keys

    def might_hold(self, first: int, last: int, key: Key) -> bool:
        """Whether every step might be met around events of *key* between *first* and *last*."""
        low, high = first - self.reach, last + self.reach
        return all(stage.sketch is None or stage.sketch.crossed(key, low, high) for stage in self.stages)

    def tally(self) -> Tally:
        """An empty tally of the steps."""
        return Tally([(stage.window, stage.at_least) for stage in self.stages])

    @property
    def degraded(self) -> bool:
        """Whether keys share counters because there are too many."""
        return any(isinstance(stage.sketch, DistinctSketch) and stage.sketch.degraded for stage in self.stages)

    def forget(self, before: int) -> None:
        """Let the sketches go of what lies before that time."""
        self.known_from = max(self.known_from, before + self.reach)
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
        moments = sorted({at for watch in self.all for at in moments_of(watch.rule.correlation)})
        if moments:  # of an event's time it is enough to know between which of them it lies
            known = " ".join(f"WHEN ts < make_timestamp({at}) THEN {at - 1}" for at in moments)
            self._place.append(self.columns.index(f"CASE {known} ELSE {moments[-1]} END"))
        self._moments = bool(moments)
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
                watch=watch,
                step=step,
                selection=self._wheres.setdefault(sql.predicate(selection.where), len(self._wheres)),
                key=_key_of(keys),
                value=self.columns.index(sql.column(step.field)) if isinstance(step, ValueCount) else None,
                sketch=_sketch(step, correlation.seconds, alone=len(steps) == 1),
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
        lists = [f'unnest(${i + 1}::{TYPES[name]}[]) AS "{name}"' for i, name in enumerate(self._compared)]
        if self._moments:
            lists.append(f"make_timestamp(unnest(${len(place)}::BIGINT[])) AS ts")
        columns = ", ".join(lists)
        matches = ", ".join(f"coalesce({where}, FALSE)" for where in self._wheres)
        found = self._con.execute(
            f"SELECT {matches} FROM (SELECT {columns})",  # noqa: S608 - made by the dialect; values are parameters
            [[values[i] for values in new] for i in range(len(place))],
        ).fetchall()
        stages = [stage for watch in self.all for stage in watch.stages]
        for values, matched in zip(new, found, strict=True):
            known[values] = [stage for stage in stages if matched[stage.selection]]

    def take(self, rows: Sequence[Row], focused: Mapping[int, Collection[Key]]) -> None:
        """Count new events, and note in ``touched`` those of keys that may matter.

        Args:
            rows: the events.
            focused: by number of the watch, the keys whose events are wanted in any case.
        """
        if not self.all:
            return
        self._learn(rows)
        known, place = self._stages, self._place
        wanted: list[list[Stage]] = []
        for row in rows:
            stages = known[tuple([row[i] for i in place])]
            wanted.append(stages)
            for stage in stages:
                key = stage.taking(row)
                if key is None:
                    continue
                watch, sketch = stage.watch, stage.sketch
                if sketch is None or sketch.add(key, row[TS], row[WEIGHT], stage.value and row[stage.value]):
                    watch.likely.add(key)
                if row[TS] < watch.known_from:
                    watch.unsure.add(key)
        self._pick(rows, wanted, focused)

    def add_to(self, tally: Tally, watch: Watch, rows: Iterable[Row]) -> None:
        """Add *rows*, which are of the latest :meth:`take` and of one key, to the tally of that key."""
        for row in rows:
            stages = self._stages[tuple([row[i] for i in self._place])]
            for i, stage in enumerate(watch.stages):
                if stage in stages and stage.taking(row) is not None:
                    tally.add(i, row[TS], row[WEIGHT])

    def _pick(self, rows: Sequence[Row], wanted: list[list[Stage]], focused: Mapping[int, Collection[Key]]) -> None:
        """A second look at the few keys that may matter, now that all is counted."""
        keys = {watch.number: watch.may_matter() for watch in self.all}
        if not any(keys.values()) and not any(focused.values()):
            return
        for row, stages in zip(rows, wanted, strict=True):
            for stage in stages:
                watch = stage.watch
                mine, others = keys[watch.number], focused[watch.number]
                if not mine and not others:
                    continue
                key = stage.taking(row)
                if key is None or not (key in mine or key in others):
                    continue
                ts, touched = row[TS], watch.touched.get(key)
                if touched is None:
                    watch.touched[key] = Touched(ts, ts, [row])
                    continue
                if touched.rows[-1] is not row:
                    touched.rows.append(row)
                touched.first = min(touched.first, ts)
                touched.last = max(touched.last, ts)


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
