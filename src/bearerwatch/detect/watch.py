"""What each rule wants to see of an event that has just arrived, and which of its keys might have crossed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect import thinning
from bearerwatch.detect.ir import (
    EventCount,
    Rule,
    Selection,
    Step,
    ValueCount,
    Windowed,
    leaves,
    outcomes_of,
    reach,
    selections_of,
)
from bearerwatch.detect.ir_keyed import Keyed
from bearerwatch.detect.ir_needs import needs
from bearerwatch.detect.islands import SECOND, Key
from bearerwatch.detect.marks import Bools, Ints, Marks
from bearerwatch.detect.rows import Batch, Places, Touched
from bearerwatch.detect.selecting import BITS, Selecting
from bearerwatch.detect.sketch import CountSketch, DistinctSketch, Sketch
from bearerwatch.detect.tally import Tally

__all__ = ["Stage", "Watch", "Watches"]

_SLACK = timedelta(seconds=30)
"""Kept beyond what is needed, so that forgetting can be seldom."""
_BUDGET = 256 << 20
"""Bytes of all sketches together, past which those that count values are folded."""
_MICROSECOND = timedelta(microseconds=1)
_MOST_HELD = 50_000
"""Rows of one key kept in focus when it has too many, as far as thresholds allow."""
_EVER = -(2**62)
_NONE = np.empty(0, np.uint64)


@dataclass(slots=True, eq=False)
class Stage:
    """One step of one rule: which events it takes, and its sketch (None where there is nothing to count)."""

    step: Step
    selection: int
    """Number of its selection; steps with the same one share it."""
    keys: tuple[int, ...]
    """Which columns are the key."""
    value: int | None
    """Which column is counted; None if events are counted."""
    known: tuple[int, ...]
    """Which columns must be known besides."""
    sketch: Sketch | None

    @property
    def at_least(self) -> int:
        """The least it takes of events, or of values, each of which needs an event."""
        return 1 if isinstance(self.step, Selection) else self.step.at_least

    @property
    def window(self) -> int:
        """Within how many µs; 0 where one event is enough."""
        return 0 if isinstance(self.step, Selection) else self.step.seconds * SECOND

    def take(self, batch: Batch) -> Places:
        """Count what it wants of *batch*; returns where that is."""
        known = (*self.keys, *self.known) if self.value is None else (*self.keys, *self.known, self.value)
        here = batch.taken(self.selection, tuple(dict.fromkeys(known)), BITS)
        if self.sketch is not None and len(here):
            values = None if self.value is None else batch.marks(self.value)[here]
            self.sketch.add(batch.keys(self.keys)[here], batch.ts[here], batch.weights[here], values)
        return here


@dataclass(slots=True, eq=False)
class Watch:
    """One rule at work. Times in µs."""

    rule: Rule
    correlation: Windowed
    """What the rule means."""
    number: int
    reach: int
    """How long one event can change what holds."""
    horizon: int
    """How far its sketches look back from the newest event."""
    outcomes: frozenset[str] | None
    """The only outcomes its events can have; None if any."""
    stages: list[Stage] = field(default_factory=list)
    """What must be met for the rule to hold."""
    others: list[Stage] = field(default_factory=list)
    """What it looks at besides, such as events that speak against it."""
    known_from: int = _EVER
    """Around events from here on the sketches know everything."""
    touched: dict[Key, Touched] = field(default_factory=dict)
    """What has arrived for the keys that may matter."""
    thinned: bool = False
    """Whether of late not every event of every key was looked at."""

    def take(self, batch: Batch, focused: Marks) -> None:
        """Count *batch*, and note in ``touched`` what came for keys that may matter, and for those of *focused*."""
        places = [stage.take(batch) for stage in (*self.stages, *self.others)]
        columns = self.stages[0].keys
        here = np.concatenate(places)
        if not len(here):
            return
        steps = np.repeat(np.arange(len(places)), [len(place) for place in places])
        keys = batch.keys(columns)[here]
        wanted = self._likely(steps, keys)
        if self.known_from > _EVER:
            wanted |= batch.ts[here] < self.known_from
        if len(focused):
            wanted |= np.isin(keys, focused)
        if not wanted.any():
            return
        chosen = np.unique(keys[wanted])
        of = np.searchsorted(chosen, keys)
        mine = np.flatnonzero(chosen[np.minimum(of, len(chosen) - 1)] == keys)
        order = mine[np.lexsort((here[mine], of[mine]))]
        begins = np.searchsorted(of[order], np.arange(len(chosen)))
        times = batch.ts[here[order]]
        first, last = np.minimum.reduceat(times, begins), np.maximum.reduceat(times, begins)
        crossing = np.ones(len(chosen), np.bool_)
        for stage in self.stages:
            if stage.sketch is not None:
                crossing &= stage.sketch.crossed(chosen, first - self.reach, last + self.reach)
        kept = crossing | np.isin(chosen, focused) if len(focused) else crossing
        ends = np.append(begins[1:], len(order))
        for i in np.flatnonzero(kept).tolist():
            span = order[begins[i] : ends[i]]
            rows, when = here[span], times[begins[i] : ends[i]]
            left, counts = rows if len(places) == 1 else np.unique(rows), None
            if len(left) > thinning.MOST and self._plain and last[i] - first[i] <= self.reach:
                left, counts = self._thinned(batch, rows, steps[span], when)
            self.touched[batch.key(columns, int(rows[0]))] = Touched(
                first=int(first[i]),
                last=int(last[i]),
                ids=batch.ids[left],
                counts=np.zeros(len(left), np.int64) if counts is None else counts,
                mark=int(chosen[i]),
                crossing=bool(crossing[i]),
                steps=steps[span],
                times=when,
                weights=batch.weights[rows],
            )

    @property
    def _plain(self) -> bool:
        """Whether it only counts, so that some events can stand for others.

        What asks whether a token was let in before must see each that was; and what comes late, many hours at once, is
        no flood.
        """
        return isinstance(self.correlation, EventCount | ValueCount)

    def _thinned(self, batch: Batch, rows: Places, steps: Places, times: Ints) -> tuple[Places, Ints]:
        """Those of *rows*, of one key, that are looked at."""
        self.thinned = True
        values: list[Marks | None] = []
        for step, stage in enumerate((*self.stages, *self.others)):
            told_apart = stage.known if stage.value is None else (stage.value,)
            values.append(batch.keys(told_apart)[rows[steps == step]] if told_apart else None)
        few = max(_MOST_HELD * SECOND // (4 * self.horizon), 4 * max(stage.at_least for stage in self.stages))
        return thinning.thinned(rows, steps, times, batch.weights[rows], values, few=min(few, thinning.MOST))

    def _likely(self, steps: Places, keys: Marks) -> Bools:
        """Which of *keys* perhaps have enough for every step."""
        likely = np.ones(len(keys), np.bool_)
        for number, stage in enumerate(self.stages):
            if stage.sketch is None:
                continue
            if isinstance(stage.step, Selection):  # its own events are enough for it
                doubtful = np.flatnonzero(likely & (steps != number))
            else:
                doubtful = np.flatnonzero(likely)
            likely[doubtful] = stage.sketch.likely(keys[doubtful])
        return likely

    def tally(self) -> Tally:
        """An empty tally of the steps."""
        return Tally([(stage.window, stage.at_least) for stage in self.stages])

    @property
    def degraded(self) -> bool:
        """Whether keys share counters because there are too many, or one has too many events to look at them all."""
        return self.thinned or any(
            isinstance(stage.sketch, DistinctSketch) and stage.sketch.degraded for stage in self.stages
        )

    def forget(self, before: int) -> None:
        """Let the sketches go of what lies before that time."""
        self.known_from = max(self.known_from, before + self.reach)
        self.thinned = False
        for stage in self.stages:
            if stage.sketch is not None:
                stage.sketch.forget(before)


class Watches:
    """All rules at work."""

    def __init__(self, rules: Iterable[Rule], lateness: timedelta, *, budget: int | None = None) -> None:
        """Prepare every rule.

        Args:
            rules: the rules.
            lateness: how late events may be within what the sketches remember.
            budget: bytes of all sketches together; 256 MB unless told.
        """
        self.selecting = Selecting()
        self._budget = _BUDGET if budget is None else budget
        self.all = [self._watch(number, rule, lateness) for number, rule in enumerate(rules)]

    def _watch(self, number: int, rule: Rule, lateness: timedelta) -> Watch:
        correlation = rule.correlation
        if isinstance(correlation, Keyed):
            raise TypeError(f"{rule.name} is about what is remembered of keys, which no sketch holds")
        span = timedelta(seconds=reach(correlation))
        known = [outcomes_of(selection.where) for selection in selections_of(correlation)]
        watch = Watch(
            rule=rule,
            correlation=correlation,
            number=number,
            reach=span // _MICROSECOND,
            horizon=(span + lateness + _SLACK) // _MICROSECOND,
            outcomes=None if None in known else frozenset().union(*(k for k in known if k is not None)),
        )
        steps = needs(correlation)
        taken = {_leaf(step, rule.group_by) for step in steps}
        others = [leaf for leaf in dict.fromkeys(leaves(correlation)) if leaf not in taken]
        for step in steps:
            alone = len(steps) == 1 and not others
            watch.stages.append(self._stage(step, rule, _sketch(step, watch.reach // SECOND, alone=alone)))
        watch.others += [self._stage(selection, rule, None, names) for selection, names in others]
        return watch

    def _stage(self, step: Step, rule: Rule, sketch: Sketch | None, names: tuple[str, ...] = ()) -> Stage:
        found = step if isinstance(step, Selection) else step.selection
        number = self.selecting.selection(found)
        counted = sql.column(step.field) if isinstance(step, ValueCount) else None
        return Stage(
            step=step,
            selection=number,
            keys=tuple(self.selecting.column(sql.key_column(name), number) for name in rule.group_by),
            value=None if counted is None else self.selecting.column(counted, number),
            known=tuple(self.selecting.column(sql.key_column(name), number) for name in names),
            sketch=sketch,
        )

    def take(self, batch: Batch, focused: Mapping[int, Marks]) -> None:
        """Count new events, and note in ``touched`` those of keys that may matter.

        Args:
            batch: the events.
            focused: by number of the watch, the keys whose events are wanted in any case.
        """
        for watch in self.all:
            watch.take(batch, focused.get(watch.number, _NONE))
        self._fit()

    @property
    def size(self) -> int:
        """Bytes of all sketches together."""
        return sum(sketch.size for sketch in self._sketches())

    def _sketches(self) -> list[Sketch]:
        return [stage.sketch for watch in self.all for stage in watch.stages if stage.sketch is not None]

    def _fit(self) -> None:
        """Keep to the budget: the largest of those that count values are folded."""
        while self.size > self._budget:
            largest = sorted(
                (s for s in self._sketches() if isinstance(s, DistinctSketch)), key=lambda s: s.size, reverse=True
            )
            if not any(sketch.fold() for sketch in largest):
                return


def _leaf(step: Step, keys: tuple[str, ...]) -> tuple[Selection, tuple[str, ...]]:
    """The same as :func:`~bearerwatch.detect.ir.leaves` says it."""
    if isinstance(step, Selection):
        return step, keys
    return step.selection, (*step.group_by, step.field) if isinstance(step, ValueCount) else step.group_by


def _sketch(step: Step, seconds: int, *, alone: bool) -> Sketch | None:
    match step:
        case ValueCount():
            return DistinctSketch(step.seconds, step.at_least)
        case EventCount(at_least=1) if alone:
            return None
        case EventCount(at_least=at_least) if at_least > 1:
            return CountSketch(step.seconds, at_least)
    # One event is enough: of nearly every counter that keys share somebody has one.
    return DistinctSketch(seconds, 1, valued=False)
