# ruff: noqa: S608 - every part is made here, or by duckdb_sql, which quotes
"""Windows in DuckDB's SQL: counts, measures, what happened in order, and what happened together.

Each kind becomes common table expressions that end in one of its hits: ``(k0 …, ts, n)``. No join is made: a window is
always a frame over rows of one key in order of time, which DuckDB answers by trees in n log n, whatever the key's share
of the events. Aggregates that only ask for the latest run over all that came before, which takes n.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Several

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.fields import TYPES
from bearerwatch.detect.ir import EventCount, Part, Selection, Sequence, ValueCount, Windowed, leaves
from bearerwatch.detect.ir_windows import Bound, Formula, Function, Measure, Met, Quantor, Relation, Temporal

__all__ = ["hits", "keyings", "keys_of", "looked_at"]

_PLACES = 1_000_000
"""Numbers with decimal places are compared as whole numbers of millionths."""
_OPS = {
    Relation.GT: ">",
    Relation.GTE: ">=",
    Relation.LT: "<",
    Relation.LTE: "<=",
    Relation.EQ: "=",
    Relation.NEQ: "<>",
}
_JOINT = {Quantor.ALL: " AND ", Quantor.ANY: " OR ", Quantor.NONE: " OR "}


def hits(correlation: Windowed, relation: str) -> str:
    """As :func:`bearerwatch.detect.duckdb_sql.hits`, for windows."""
    query = _Query(relation)
    found = query.hits(correlation)
    return f"WITH {', '.join(query.ctes)} SELECT {keys_of(correlation.group_by)}, ts, n FROM {found}"


def keys_of(group_by: tuple[str, ...]) -> str:
    """``k0, k1 …``."""
    return ", ".join(f"k{i}" for i in range(len(group_by)))


Leaf = tuple[Selection, tuple[str, ...]]


def keyings(correlation: Windowed, only: Iterable[Leaf] | None = None) -> dict[tuple[str, ...], str]:
    """The fields that are the key, with the WHERE clause of the events for which they are: several only by aliases.

    Args:
        correlation: whose.
        only: of these leaves; of all unless told.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for selection, names in dict.fromkeys(leaves(correlation) if only is None else only):
        fields = tuple(map(selection.field, correlation.group_by))
        found.setdefault(fields, []).append(f"({sql.part_where(selection, names)})")
    return {fields: f"({' OR '.join(wheres)})" for fields, wheres in found.items()}


def looked_at(correlation: Windowed, relation: str, columns: str, only: Iterable[Leaf] | None = None) -> str:
    """The events that *correlation* (or *only* some of its leaves) looks at as ``(k0 …, columns)``, once for a key."""
    parts: list[str] = []
    before: list[tuple[tuple[str, ...], str]] = []
    for fields, where in keyings(correlation, only).items():
        mine = [where]
        for others, theirs in before:
            same = [f"{sql.key_column(a)} = {sql.key_column(b)}" for a, b in zip(fields, others, strict=True)]
            mine.append(f"NOT coalesce({' AND '.join([theirs, *same])}, FALSE)")
        parts.append(f"SELECT {sql.key_columns(fields)}, {columns} FROM {relation} WHERE {' AND '.join(mine)}")
        before.append((fields, where))
    return " UNION ALL ".join(parts)


class _Query:
    """The common table expressions so far."""

    def __init__(self, relation: str) -> None:
        self.ctes: list[str] = []
        self._relation = relation

    def _add(self, query: str) -> str:
        name = f"t{len(self.ctes)}"
        self.ctes.append(f"{name} AS ({query})")
        return name

    def hits(self, part: Windowed) -> str:
        """The name of a table of *part*'s hits: ``(k…, ts, n)``."""
        match part:
            case EventCount():
                return self._counted(part, f"CAST(least(sum(v) {_over(part)}, {sql.CEILING}) AS BIGINT)", None)
            case ValueCount():
                return self._counted(part, f"count(DISTINCT v) {_over(part)}", part.field)
            case Measure():
                return self._measured(part)
            case Sequence():
                return self._ordered(part)
            case Temporal():
                return self._together(part)

    def _step(self, part: Part, names: tuple[str, ...]) -> str:
        """The hits of a step over *names*; ``n`` is NULL where it counts nothing."""
        if isinstance(part, Selection):
            keys = sql.key_columns(tuple(map(part.field, names)))
            where = sql.step_where(part, names)
            return self._add(f"SELECT {keys}, ts, CAST(NULL AS BIGINT) AS n FROM {self._relation} WHERE {where}")
        return self._add(f"SELECT {_chosen(part.group_by, names)}, ts, n FROM {self.hits(part)}")

    def _counted(self, step: EventCount | ValueCount, number: str, field: str | None) -> str:
        keys = keys_of(step.group_by)
        taken = self._add(
            self._rows(step.selection, step.group_by, field, Function.DISTINCT if field else Function.COUNT)
        )
        counted = self._add(f"SELECT {keys}, ts, {number} AS n FROM {taken}")
        return self._add(f"SELECT {keys}, ts, n FROM {counted} WHERE n >= {step.at_least}")

    def _rows(
        self,
        source: Part,
        names: tuple[str, ...],
        field: str | None,
        function: Function,
        *,
        text: bool = False,
        but: Several[Selection] = (),
    ) -> str:
        """The events of *source* as ``(k…, ts, v)``, without those that one of *but* takes for the same key."""
        if not isinstance(source, Selection):
            value = "1" if field is None else f"k{source.group_by.index(field)}"
            kind = "VARCHAR" if text else "HUGEINT"
            value = value if field is None or function is Function.DISTINCT else f"TRY_CAST({value} AS {kind})"
            return f"SELECT {_chosen(source.group_by, names)}, ts, {value} AS v FROM {self.hits(source)}"
        keys = tuple(map(source.field, names))
        where = [sql.step_where(source, names)]
        value = sql.WEIGHT
        if field is not None:
            column = source.field(field)
            value = sql.column(column)
            if function is Function.DISTINCT:
                value = f"CAST({value} AS VARCHAR)" if text else value
            else:
                value = _exact(column)
            where.append(f"{value} IS NOT NULL")
        for other in but:
            theirs = tuple(map(other.field, names))
            pairs = zip(keys, theirs, strict=True)
            same = [f"{sql.key_column(a)} = {sql.key_column(b)}" for a, b in pairs if a != b]
            where.append(f"NOT coalesce({' AND '.join([sql.predicate(other.where), *same])}, FALSE)")
        taken = " AND ".join(where)
        return f"SELECT {sql.key_columns(keys)}, ts, {value} AS v FROM {self._relation} WHERE {taken}"

    def _measured(self, measure: Measure) -> str:
        keys, over = keys_of(measure.group_by), _over(measure)
        several = len(measure.sources) > 1
        parts: list[str] = []
        before: list[Selection] = []
        for source in measure.sources:
            parts.append(
                self._rows(source, measure.group_by, measure.field, measure.function, text=several, but=tuple(before))
            )
            before += [source] if isinstance(source, Selection) else []
        taken = self._add(" UNION ALL ".join(parts))
        number, per = "count(DISTINCT v)", "1"
        match measure.function:
            case Function.COUNT | Function.SUM:
                number = "sum(CAST(v AS HUGEINT))"
            case Function.AVERAGE:
                number, per = "sum(CAST(v AS HUGEINT))", f"count(v) {over}"
            case Function.MEDIAN:
                # the sum of both values in the middle, for halves would not be exact; of an odd number it is one twice
                number, per = f"quantile_disc(v, 0.5) {over} - quantile_disc(-v, 0.5)", "2"
            case Function.PERCENTILE:
                number = f"quantile_disc(v, {(measure.percentile or 0) / 100!r})"
            case Function.DISTINCT:
                pass
        scale = _scale(measure)
        counted = self._add(
            f"SELECT {keys}, ts, CAST({number} {over} AS HUGEINT) AS a, CAST({per} AS HUGEINT) AS b FROM {taken}"
        )
        bounds = " AND ".join(_within(bound, scale) for bound in measure.bounds)
        whole = f"CAST(least(greatest(a // (b * {scale}), -{sql.CEILING}), {sql.CEILING}) AS BIGINT)"
        return self._add(f"SELECT {keys}, ts, {whole} AS n FROM {counted} WHERE {bounds}")

    def _ordered(self, sequence: Sequence) -> str:
        """Anchors of the last step whose latest chain of earlier steps began within the window.

        ``s`` is when the latest chain that ends at a row began: for the first step the row's own time, for each later
        step the greatest ``s`` of the step before within the window. ``n`` is the greatest count any counting step
        reached within the window; 1 if none counts. Both depend on nothing older than
        :func:`~bearerwatch.detect.ir.reach`.
        """
        keys, over = keys_of(sequence.group_by), _over(sequence)
        last = len(sequence.steps) - 1
        counting = [i for i, step in enumerate(sequence.steps) if not isinstance(step, Selection)]
        steps = [self._step(step, sequence.group_by) for step in sequence.steps]
        chain = self._add(f"SELECT {keys}, ts, ts AS s, n FROM {steps[0]}")
        for i in range(1, len(steps)):
            before = f"SELECT {keys}, ts, s, {'n' if i == 1 else 'NULL'} AS n, FALSE AS own FROM {chain}"
            rows = [before, f"SELECT {keys}, ts, NULL, n, TRUE FROM {steps[i]}"]
            if i == last > 1:
                rows += [f"SELECT {keys}, ts, NULL, n, FALSE FROM {steps[j]}" for j in counting if j < last]
            every = self._add(" UNION ALL ".join(rows))
            latest = self._add(f"SELECT {keys}, ts, own, max(s) {over} AS s, max(n) {over} AS n FROM {every}")
            within = f"own AND s >= ts - INTERVAL {sequence.seconds} SECOND"
            chain = self._add(f"SELECT {keys}, ts, s, n FROM {latest} WHERE {within}")
        return self._add(f"SELECT {keys}, ts, coalesce(n, 1) AS n FROM {chain}")

    def _together(self, temporal: Temporal) -> str:
        """Anchors before which the steps were met as the formula says.

        Whether a step was met within the window is told by its latest hit up to the anchor, peers included.
        """
        keys, anchors = keys_of(temporal.group_by), sorted(temporal.anchors)
        rows = [
            f"SELECT {keys}, ts, {i} AS step, {'n' if i in anchors else 'CAST(NULL AS BIGINT)'} AS n "
            f"FROM {self._step(step, temporal.group_by)}"
            for i, step in enumerate(temporal.steps)
        ]
        every = self._add(" UNION ALL ".join(rows))
        so_far = f"OVER (PARTITION BY {keys} ORDER BY ts RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
        latest = ", ".join(f"max(CASE WHEN step = {i} THEN ts END) {so_far} AS m{i}" for i in range(len(rows)))
        counts = any(not isinstance(temporal.steps[i], Selection) for i in anchors)
        most = f"max(n) {_over(temporal)}" if counts else "1"
        seen = self._add(f"SELECT {keys}, ts, step, {most} AS n, {latest} FROM {every}")
        holds = _formula(temporal.formula, temporal.seconds)
        own = ", ".join(map(str, anchors))
        return self._add(f"SELECT {keys}, ts, coalesce(n, 1) AS n FROM {seen} WHERE step IN ({own}) AND {holds}")


def _over(part: Windowed) -> str:
    return (
        f"OVER (PARTITION BY {keys_of(part.group_by)} ORDER BY ts "
        f"RANGE BETWEEN INTERVAL {part.seconds} SECOND PRECEDING AND CURRENT ROW)"
    )


def _chosen(inner: tuple[str, ...], names: tuple[str, ...]) -> str:
    """The key columns *names* of a table that has the key columns *inner*."""
    return ", ".join(f"k{inner.index(name)} AS k{i}" for i, name in enumerate(names))


def _exact(column: str) -> str:
    """A number as a whole one, of millionths if it may have decimal places; NULL beyond 64 bits."""
    name = sql.column(column)
    return f"TRY_CAST(round({name} * {_PLACES}) AS BIGINT)" if TYPES[column] == "DOUBLE" else name


def _scale(measure: Measure) -> int:
    """How many times its values a measure's numbers are."""
    if measure.function in {Function.COUNT, Function.DISTINCT} or measure.field is None:
        return 1
    source = measure.sources[0]
    column = source.field(measure.field) if isinstance(source, Selection) else measure.field
    return _PLACES if TYPES.get(column) == "DOUBLE" else 1


def _within(bound: Bound, scale: int) -> str:
    number = int(bound.number * _PLACES)
    return f"a * {_PLACES // scale} {_OPS[bound.relation]} b * CAST({number} AS HUGEINT)"


def _formula(formula: Formula, seconds: int) -> str:
    if isinstance(formula, Met):
        return f"coalesce(m{formula.step} >= ts - INTERVAL {seconds} SECOND, FALSE)"
    joined = _JOINT[formula.quantor].join(_formula(item, seconds) for item in formula.items)
    return f"{'NOT ' if formula.quantor is Quantor.NONE else ''}({joined})"
