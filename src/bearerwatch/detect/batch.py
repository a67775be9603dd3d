# ruff: noqa: S608 - every part is made here, or by duckdb_sql, which quotes
"""Rules over a whole relation of events at once: for backtests, benchmarks and tests.

The query is the one that is run live, :func:`~bearerwatch.detect.duckdb_sql.hits`, and so are the islands its hits
make. What is done here is to leave out beforehand what cannot matter, never too much:

* what few events are selected by is read once, for all rules together;
* of a windowed rule, only keys take part that have half of what is asked for within one stretch as long as the window,
  for every window lies in two of these; keys are told apart by a hash, and two with the same one both take part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import duckdb

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.book import episode_id
from bearerwatch.detect.ir import (
    Correlation,
    EventCount,
    Rule,
    Selection,
    Step,
    ValueCount,
    fields_of,
    leaves,
    reach,
    selections_of,
)
from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Keyed, Silence, Travel
from bearerwatch.detect.ir_needs import needs
from bearerwatch.detect.islands import SECOND, instant, islands
from bearerwatch.store.engine import COLUMNS

__all__ = ["Batch", "Found", "found", "past"]

_SAMPLE = 50_000
_RARE = 0.05
"""A selection that takes at most this share of the events is read into memory."""
_ALWAYS = frozenset({"kind", "client_ip", "count"})
_ROWS = 50_000
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events one rule needs."""

    hashed: str
    """The hash of a key, in SQL."""
    table: str
    """``(h, since, until)``: the hashes that matter, and when they do, if they are few."""
    where: str
    few: bool
    """Whether they are so few that those of several rules are read together, and told apart by time then."""


@dataclass(frozen=True, slots=True)
class Found:
    """An episode as the query over everything finds it."""

    rule: str
    version: int
    level: str
    key: dict[str, str]
    first_hit: datetime
    last_hit: datetime
    peak: int
    hits: int
    id: str
    """As of one that opened at its first hit."""


def found(rule: Rule, con: duckdb.DuckDBPyConnection, relation: str) -> Iterator[Found]:
    """The episodes of *rule* over *relation*, by the exact query alone, in order of their keys."""
    width = len(rule.group_by)
    names = ", ".join(f"k{i}" for i in range(width))
    query = f"SELECT {names}, epoch_us(ts), n FROM ({sql.hits(rule.correlation, relation)}) ORDER BY {names}"
    rows = _fetched(con.execute(query))
    for key, hits in groupby(rows, key=lambda row: row[:width]):
        for island in islands(((row[width], row[width + 1]) for row in hits), (), rule.window * SECOND):
            yield Found(
                rule=rule.name,
                version=rule.version,
                level=rule.level,
                key=dict(zip(rule.group_by, key, strict=True)),
                first_hit=instant(island.first),
                last_hit=instant(island.last),
                peak=island.peak,
                hits=island.hits,
                id=episode_id(rule, key, island.first),
            )


def _fetched(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    # To the end, always: DuckDB 2.0 keeps a connection busy otherwise.
    rows = result.fetchmany(_ROWS)
    while rows:
        yield from rows
        rows = result.fetchmany(_ROWS)


class Batch:
    """Runs rules over one relation.

    Args:
        con: from :func:`bearerwatch.store.engine.connect`; temporary tables are made in it. Nobody else uses it
            meanwhile.
        relation: an SQL table expression with the columns of an event. It is read some times: files or a table.
        rules: what is run.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, relation: str, rules: Iterable[Rule]) -> None:
        self._con = con
        self._rules = tuple(rules)
        self._whole = f"(SELECT {self._columns()} FROM {relation})"
        self._rare: frozenset[str] = frozenset()
        """Predicates of selections whose events are all in ``batch_few``."""
        self._tables: list[str] = []

    def __call__(self) -> Iterator[Found]:
        """The episodes, rule by rule, by key and time."""
        try:
            self._rare = self._few()
            if self._rare:
                where = " OR ".join(sorted(self._rare))
                self._table("batch_few", f"FROM {self._whole} WHERE {where}")
            wanted = [self._wanted(number, rule) for number, rule in enumerate(self._rules)]
            chosen = [one for one in wanted if one is not None and one.few]
            if chosen:
                # What several rules want is read once for all of them: to read it is what takes the time.
                by_key: dict[str, list[str]] = {}
                for few in chosen:
                    by_key.setdefault(few.hashed, []).append(f"SELECT h FROM {few.table}")
                each = [f"{hashed} IN ({' UNION '.join(tables)})" for hashed, tables in by_key.items()]
                self._table("batch_rows", f"FROM {self._whole} WHERE {' OR '.join(each)}")
            for rule, one in zip(self._rules, wanted, strict=True):
                yield from found(rule, self._con, self._relation(rule, one))
        finally:
            for table in self._tables:
                self._con.execute(f"DROP TABLE IF EXISTS {table}")

    def _table(self, name: str, query: str) -> str:
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
        self._tables.append(name)
        return name

    def _columns(self) -> str:
        fields = {name for rule in self._rules for name in fields_of(rule.correlation)} | _ALWAYS
        return ", ".join(['"ts"', *(f'"{name}"' for name in COLUMNS if name in fields)])

    def _few(self) -> frozenset[str]:
        """Which selections take few events, by a sample: what it says decides on time, never on results."""
        asked = sorted({sql.predicate(one.where) for rule in self._rules for one in selections_of(rule.correlation)})
        if not asked:
            return frozenset()
        counts = ", ".join(f"count(*) FILTER (WHERE {where})" for where in asked)
        sample = f"(FROM {self._whole} USING SAMPLE {_SAMPLE} ROWS (system, 1))"
        ((rows, *each),) = self._con.execute(f"SELECT count(*), {counts} FROM {sample}").fetchall()
        return frozenset(where for where, count in zip(asked, each, strict=True) if count <= _RARE * rows)

    def _all_rare(self, rule: Rule) -> bool:
        return all(sql.predicate(one.where) in self._rare for one in selections_of(rule.correlation))

    def _relation(self, rule: Rule, wanted: Wanted | None) -> str:
        """What *rule* is run over."""
        if self._all_rare(rule):
            return "batch_few"
        if wanted is None:
            return self._whole
        chosen = f"{wanted.hashed} IN (SELECT h FROM {wanted.table})"
        if not wanted.few:
            return self._table("batch_own", f"FROM {self._whole} WHERE {wanted.where} AND {chosen}")
        near = f"EXISTS (FROM {wanted.table} w WHERE w.h = {wanted.hashed} AND e.ts BETWEEN w.since AND w.until)"
        return self._table("batch_own", f"FROM batch_rows e WHERE {wanted.where} AND {near}")

    def _wanted(self, number: int, rule: Rule) -> Wanted | None:
        """The keys that might have a hit, and when; ``None`` where nothing can be left out."""
        correlation = rule.correlation
        if self._all_rare(rule):
            return None
        if isinstance(correlation, Keyed):
            return None  # its own query leaves out who cannot matter
        if any(selection.aliases for selection, _ in leaves(correlation)):
            return None
        names = correlation.group_by
        hashed = f"hash({', '.join(map(sql.key_column, names))})"
        # The step that is met seldomest says when; the others, whether.
        first, *others = sorted(needs(correlation), key=self._cost)
        query = self._near(first, names, hashed, reach(correlation))
        for step in others:
            query = f"SELECT * FROM ({query}) WHERE h IN (SELECT h FROM ({self._near(step, names, hashed, 0)}))"
        few = not self._cost(first)[0]
        return Wanted(hashed, self._table(f"batch_keys_{number}", query), sql.taking_where(correlation), few=few)

    def _cost(self, step: Step) -> tuple[bool, bool, int]:
        where = sql.predicate((step if isinstance(step, Selection) else step.selection).where)
        return where not in self._rare, isinstance(step, Selection), 0 if isinstance(step, Selection) else step.seconds

    def _near(self, step: Step, names: tuple[str, ...], hashed: str, reach: int) -> str:
        """``(h, since, until)``: the keys for which *step* might be met, and around when an anchor could need it.

        A window in which there is enough lies in two panes of its length, one of which has half. So where pane ``p``
        has half, *step* may be met from the beginning of ``p`` to the end of ``p + 1``, an anchor may be *reach* later,
        and what it looks at *reach* before that.
        """
        few = sql.predicate((step if isinstance(step, Selection) else step.selection).where) in self._rare
        relation = "batch_few" if few else self._whole
        where = sql.step_where(step, names)
        if isinstance(step, Selection):
            step = EventCount(step, names, _MINUTE, 1)
        seconds = max(step.seconds, 1)
        value, enough = _counted(step)
        if not few and step.at_least > 1:  # most keys have too few at all, which is cheaper to see
            keys = f"SELECT h FROM (SELECT {hashed} AS h, {value} AS v FROM {relation} WHERE {where}) GROUP BY h "
            keys += f"HAVING {enough.format(step.at_least)}"
            where += f" AND {hashed} IN ({keys})"
        pane = f"epoch_us(ts) // {seconds * SECOND}"
        inner = f"SELECT {hashed} AS h, {pane} AS p, {value} AS v FROM {relation} WHERE {where}"
        half = f"SELECT h, p FROM ({inner}) GROUP BY h, p HAVING {enough.format(-(-step.at_least // 2))}"
        since, until = f"p * {seconds} - {reach}", f"(p + 2) * {seconds} + {reach}"
        return (
            f"SELECT h, make_timestamp(({since}) * {SECOND}) AS since, make_timestamp(({until}) * {SECOND}) AS until "
            f"FROM ({half})"
        )


def _counted(step: EventCount | ValueCount) -> tuple[str, str]:
    if isinstance(step, ValueCount):
        return f"hash({sql.column(step.selection.field(step.field))})", "count(DISTINCT v) >= {0}"
    return sql.WEIGHT, "sum(v) >= {0}"


def past(correlation: Correlation) -> int:
    """Seconds before an event over which others matter to it."""
    match correlation:
        case FirstSeen(learned=learned) | Travel(learned=learned):
            return learned.memory
        case Baseline(block=block, blocks=blocks, span=span):
            return block * (blocks + 1) + span
        case Silence(memory=memory):
            return memory
    return reach(correlation)
