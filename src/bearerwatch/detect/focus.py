# ruff: noqa: S608 - made of names and numbers of ours and the dialect's text; keys travel as parameters
"""The events of the keys that might have crossed, and the exact question put to them.

A key comes into focus when its sketches cannot rule it out: its events of the last minutes are loaded once, and new
ones are added before it is asked about, so that a key under attack costs a look at its own rows and nothing else. Keys
with events from before the sketches' memory are looked up in the lake each time (*cold*).

Rows have the number of the tick they came with; *since* is the first tick whose rows are new. Times are µs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import duckdb
import numpy as np

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.evidence import COLUMNS as EVIDENCE
from bearerwatch.detect.evidence import Seen
from bearerwatch.detect.islands import Key, instant
from bearerwatch.detect.marks import Ints
from bearerwatch.detect.recent import TABLE as RECENT
from bearerwatch.detect.recent import Recent
from bearerwatch.detect.rows import Due
from bearerwatch.detect.tally import Tally
from bearerwatch.detect.watch import Watch
from bearerwatch.store.engine import COLUMNS
from bearerwatch.store.lake import INCOMING, Lake
from bearerwatch.store.state import StateBusy

__all__ = ["COLD", "FOCUS", "Focus", "Hits", "Span", "Watched"]

FOCUS = "detect_focus"
COLD = "detect_cold"

Hits = dict[Key, list[tuple[int, int]]]
"""Key to ``(ts, n)`` of its hits."""
Span = tuple[Key, int, int]
"""A key and a stretch of time, both ends included."""
Noted = tuple[int, int, Ints, Ints]
"""Number of a rule that wants rows, number of the tick they came with, their ``rowid`` among those in memory, and for
each how many events it stands for (0: as many as it says itself)."""
T = TypeVar("T")

_FEW = 8
_MOST_NOTED = 5_000
_BRIEF = 5_000_000
_EVER = -(2**62)
_LAST = 2**62


@dataclass(slots=True)
class Watched:
    """A key in focus."""

    start: int
    """Its rows are complete from here on."""
    newest: int
    """None of its old rows is later."""
    used: int
    """When it last could not be ruled out, by event time."""
    mark: int
    """Its hash."""
    tally: Tally | None = None
    """When its rows were, step by step; None if that is not known."""


class Focus:
    """Tables ``detect_focus`` and ``detect_cold``."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Lake, recent: Recent, watches: Iterable[Watch]) -> None:
        """Make the tables, empty."""
        self._con = con
        self._run = lake.run
        self._lake = lake
        self._recent = recent
        self._names = ", ".join(f'"{name}"' for name in recent.columns)
        self._watches = {watch.number: watch for watch in watches}
        self._noted: list[Noted] = []
        self.keys: dict[int, dict[Key, Watched]] = {number: {} for number in self._watches}
        kinds = ", ".join(f'"{name}" {COLUMNS[name]}' for name in recent.columns)
        for table in (FOCUS, COLD):
            self._run.define(f"CREATE OR REPLACE TABLE {table} (rule INTEGER, tick BIGINT, {kinds})")

    # -- rows in -----------------------------------------------------------------------------------------------------

    def note(self, some: Iterable[Noted]) -> None:
        """Take new rows of keys in focus.

        They are copied when somebody asks for them, and before they are committed: that is once a second where an
        attack goes on, and copying a few costs as much as copying many.
        """
        self._noted += some
        if sum(len(ids) for _, _, ids, _ in self._noted) > _MOST_NOTED:
            self.catch_up()

    def catch_up(self) -> None:
        """Copy what was noted; it must still be among the rows in memory."""
        self.add(self._noted)
        self._noted = []

    def add(self, some: Sequence[Noted], table: str = FOCUS) -> None:
        """Copy new rows from those in memory."""
        some = [one for one in some if len(one[2])]
        if not some:
            return
        sizes = [len(ids) for _, _, ids, _ in some]
        columns = {
            "rule": np.repeat([rule for rule, _, _, _ in some], sizes),
            "tick": np.repeat([tick for _, tick, _, _ in some], sizes),
            "id": np.concatenate([ids for _, _, ids, _ in some]),
            "events": np.concatenate([counts for _, _, _, counts in some]),
        }
        # As text: a statement with a list for a parameter cannot be prepared.
        lists = [f"unnest(string_split(${i + 1}, ',')::BIGINT[]) AS {name}" for i, name in enumerate(columns)]
        names = self._names.replace('"count"', 'CASE WHEN events > 0 THEN events ELSE "count" END')
        self._run(
            f"INSERT INTO {table} SELECT p.rule, p.tick, {names} FROM (SELECT {', '.join(lists)}) p "
            f"JOIN {INCOMING} r ON r.rowid = p.id",
            *(",".join(map(str, column.tolist())) for column in columns.values()),
        )

    def watch(
        self,
        watch: Watch,
        due: Mapping[Key, Due],
        *,
        since: int,
        floor: int | None,
        newest: int,
        clock: int,
        until: int | None,
    ) -> None:
        """Bring keys into focus: load their old rows, then add the new ones.

        Args:
            watch: the rule.
            due: the keys, none of them in focus yet.
            since: first tick whose rows are new.
            floor: load from here on; None for everything there ever was.
            newest: no old row is later than this.
            clock: event time now.
            until: the lake's pending rows from this one on are new; None if all are old.

        Raises:
            StateBusy: the lake's manifest cannot be read just now; nothing was done.
        """
        start = _EVER if floor is None else floor
        spans = [(key, start, _LAST) for key in due]
        try:
            if self._recent.complete(watch, floor):
                self._load(watch, spans, f"(SELECT * FROM {RECENT} WHERE tick < {since})", FOCUS)
            else:
                self._from_lake(spans, lambda events: self._load(watch, spans, events, FOCUS), until)
            self.add([(watch.number, entry.since, entry.ids, entry.counts) for entry in due.values()])
        except StateBusy:
            raise  # before the one statement that loads: keys with rows that wait to be evaluated must stay in focus
        except BaseException:
            self.reset()  # half of it may be there: whatever is wanted is loaded again
            raise
        for key, entry in due.items():
            self.keys[watch.number][key] = Watched(start, newest, clock, entry.mark)

    def cold(self, watch: Watch, due: Mapping[Key, Due], until: int | None) -> dict[Key, Due]:
        """Load into ``detect_cold`` what there is around *due*; returns the keys that could have crossed.

        For *until* see :meth:`watch`.
        """
        crossing = dict(due)
        if len(due) > _FEW:
            spans = _around(watch, due)
            found = self._from_lake(spans, lambda events: self._crossing(watch, spans, events), None)
            crossing = {key: due[key] for key in found}
        self._con.execute(f"TRUNCATE {COLD}")
        if crossing:
            near = _around(watch, crossing)
            self._from_lake(near, lambda events: self._load(watch, near, events, COLD), until)
            self.add([(watch.number, entry.since, entry.ids, entry.counts) for entry in crossing.values()], COLD)
        return crossing

    def _from_lake(self, spans: list[Span], work: Callable[[str], T], until: int | None) -> T:
        """Do *work* on the committed events of those times and those in memory before row *until*."""
        low, high = min(span[1] for span in spans), max(span[2] for span in spans)
        bounds = []
        if low != _EVER:
            bounds.append(f"ts >= make_timestamp({low})")
        if high != _LAST:
            bounds.append(f"ts <= make_timestamp({high})")
        where = f" WHERE {' AND '.join(bounds)}" if bounds else ""
        rest = f"SELECT {self._names} FROM {self._lake.pending(until)}{where}"
        return self._lake.reading(
            None if low == _EVER else instant(low),
            None if high == _LAST else instant(high + 1),
            lambda scan: work(f"(SELECT {self._names} FROM {scan}{where} UNION ALL {rest})"),
        )

    def _load(self, watch: Watch, spans: list[Span], events: str, table: str) -> None:
        wanted = sql.taking_where(watch.correlation)
        cte, on, values = _joined(watch, spans)
        self._con.execute(
            f"INSERT INTO {table} WITH {cte} SELECT {watch.number}, -1, {self._names} FROM {events} e "
            f"JOIN spans ON {on} WHERE ({wanted}) AND epoch_us(ts) BETWEEN low AND high",
            values,
        )

    def _crossing(self, watch: Watch, spans: list[Span], events: str) -> list[Key]:
        cte, on, values = _joined(watch, spans)
        near = f"(SELECT e.* FROM {events} e JOIN spans ON {on} WHERE epoch_us(ts) BETWEEN low AND high)"
        query = sql.crossing(watch.correlation, near)
        return list(self._con.execute(f"WITH {cte} SELECT * FROM ({query})", values).fetchall())

    # -- the question ------------------------------------------------------------------------------------------------

    def hits(self, watch: Watch, due: Mapping[Key, Due], table: str, *, before: int | None = None) -> Hits:
        """The hits of *due*'s keys at all anchors its new rows can have changed.

        Args:
            watch: the rule.
            due: the keys.
            table: ``detect_focus`` or ``detect_cold``.
            before: look at rows of earlier ticks alone.
        """
        if table == FOCUS:
            self.catch_up()
        first, last = min(entry.first for entry in due.values()), max(entry.last for entry in due.values())
        names = [f"k{i}" for i in range(len(watch.rule.group_by))]
        keys = ", ".join(f"h.{name}" for name in names)
        if table == FOCUS and last - first <= _BRIEF:
            # The usual case, a third cheaper than joining: keys that are not due are few, and left out below.
            span = "ts BETWEEN make_timestamp($2::BIGINT) AND make_timestamp($3::BIGINT)"
            near = f"(SELECT * FROM {table} WHERE rule = {watch.number} AND tick < $1::BIGINT AND {span})"
            hits = sql.hits(watch.correlation, near)
            query = f"SELECT {keys}, epoch_us(ts), n FROM ({hits}) h WHERE ts >= make_timestamp($4::BIGINT)"
            until = _LAST if before is None else before
            rows = self._run(query, until, first - watch.reach, last + watch.reach, first)
        else:
            cte, on, values = _joined(watch, _around(watch, due))
            span = "epoch_us(ts) BETWEEN low AND high" + ("" if before is None else f" AND tick < {before}")
            near = f"(SELECT e.* FROM {table} e JOIN spans ON {on} WHERE rule = {watch.number} AND {span})"
            hits = sql.hits(watch.correlation, near)
            same = " AND ".join(f"h.{name} = spans.{name}" for name in names)
            query = f"WITH {cte} SELECT {keys}, epoch_us(h.ts), h.n FROM ({hits}) h JOIN spans ON {same}"
            rows = self._con.execute(query, values).fetchall()
        found: Hits = {}
        for *key, ts, n in rows:
            entry = due.get(tuple(key))
            if entry is not None and entry.first <= ts <= entry.last + watch.reach:
                found.setdefault(tuple(key), []).append((ts, n))
        return found

    def seen(self, watch: Watch, old: list[Span], new: list[Span], since: int, table: str) -> dict[Key, list[Seen]]:
        """Rows as evidence shows them.

        Args:
            watch: the rule.
            old: stretches of time whose rows of ticks before *since* are wanted; no two of one key may overlap.
            new: the same for rows from tick *since* on.
            since: the first tick whose rows are new.
            table: ``detect_focus`` or ``detect_cold``.
        """
        found: dict[Key, list[Seen]] = {}
        if not old and not new:
            return found
        if table == FOCUS:
            self.catch_up()
        width = len(watch.rule.group_by)
        names = ", ".join(f"k{i}" for i in range(width))
        shown = ", ".join(f'"{name}"' for name in EVIDENCE)
        cte, on, values = _joined(watch, [*old, *new], fresh=[False] * len(old) + [True] * len(new))
        rows = self._con.execute(
            f"WITH {cte} SELECT {names}, epoch_us(ts), {sql.WEIGHT}, {shown} FROM {table} e JOIN spans ON {on} "
            f"WHERE rule = {watch.number} AND (tick >= {since}) = fresh AND epoch_us(ts) BETWEEN low AND high "
            f"AND {sql.taking_where(watch.correlation)}",  # a chain's steps may want more than its key known
            values,
        ).fetchall()
        for row in rows:
            found.setdefault(row[:width], []).append(Seen(*row[width:]))
        return found

    def count(self, watch: Watch, keys: Iterable[Key]) -> None:
        """Make a tally of what there is of *keys*, which are in focus."""
        wanted = {key: watch.tally() for key in keys if key in self.keys[watch.number]}
        if not wanted:
            return
        self.catch_up()
        group_by = watch.rule.group_by
        cte, on, values = _joined(watch, [(key, 0, 0) for key in wanted])
        steps = ", ".join(f"coalesce({sql.step_where(stage.step, group_by)}, FALSE)" for stage in watch.stages)
        names = ", ".join(f"k{i}" for i in range(len(group_by)))
        rows = self._con.execute(
            f"WITH {cte} SELECT {names}, epoch_us(ts), {sql.WEIGHT}, {steps} FROM {FOCUS} e JOIN spans ON {on} "
            f"WHERE rule = {watch.number} ORDER BY ts",
            values,
        ).fetchall()
        width = len(group_by)
        for row in rows:
            for i, taken in enumerate(row[width + 2 :]):
                if taken:
                    wanted[row[:width]].add(i, row[width], row[width + 1])
        for key, tally in wanted.items():
            self.keys[watch.number][key].tally = tally

    # -- upkeep ------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget all keys; those that are wanted are loaded again. Always safe."""
        for keys in self.keys.values():
            keys.clear()
        self._noted = []
        self._con.execute(f"TRUNCATE {FOCUS}")

    def drop(self, watch: Watch, keys: list[Key]) -> None:
        """Forget *keys* and their rows."""
        known = self.keys[watch.number]
        if keys:
            self.catch_up()
            cte, on, values = _joined(watch, [(key, 0, 0) for key in keys])
            spans = f"(WITH {cte} FROM spans) spans"
            self._con.execute(f"DELETE FROM {FOCUS} e USING {spans} WHERE rule = {watch.number} AND {on}", values)
        for key in keys:
            known.pop(key, None)

    def prune(self, floors: Mapping[int, int]) -> None:
        """Drop what lies before *floors* (by rule): rows, and keys that could be ruled out ever since."""
        if not any(self.keys.values()):
            return
        keep = ["FALSE"]
        for number, keys in self.keys.items():
            unused = [key for key, watched in keys.items() if watched.used < floors[number]]
            self.drop(self._watches[number], unused)
            for watched in keys.values():
                watched.start = max(watched.start, floors[number])
                if watched.tally is not None:
                    watched.tally.forget(floors[number])
            if keys:
                keep.append(f"(rule = {number} AND ts >= make_timestamp({floors[number]}))")
        self._run.define(f"CREATE OR REPLACE TABLE {FOCUS} AS FROM {FOCUS} WHERE {' OR '.join(keep)}")


def _around(watch: Watch, due: Mapping[Key, Due]) -> list[Span]:
    """All that can matter to the anchors that the new rows of *due* can have changed."""
    return [(key, entry.first - watch.reach, entry.last + watch.reach) for key, entry in due.items()]


def _joined(watch: Watch, spans: list[Span], fresh: list[bool] | None = None) -> tuple[str, str, list[object]]:
    """A CTE ``spans(k…, low, high)``, the condition that joins events with it, and its parameters.

    With *fresh* it has a column of that name, too.
    """
    group_by = watch.rule.group_by
    names = [f"k{i}" for i in range(len(group_by))]
    columns: list[tuple[str, str, object]] = [
        *((name, "VARCHAR", [span[0][i] for span in spans]) for i, name in enumerate(names)),
        ("low", "BIGINT", [span[1] for span in spans]),
        ("high", "BIGINT", [span[2] for span in spans]),
        *([] if fresh is None else [("fresh", "BOOLEAN", fresh)]),
    ]
    lists = [f"unnest(${i + 1}::{kind}[]) AS {name}" for i, (name, kind, _) in enumerate(columns)]
    on = " AND ".join(f"{sql.key_column(field)} = spans.{name}" for field, name in zip(group_by, names, strict=True))
    return f"spans AS (SELECT {', '.join(lists)})", on, [values for _, _, values in columns]
