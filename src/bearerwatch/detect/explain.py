# ruff: noqa: S608 - made of names and numbers of ours and the dialect's text
"""Why an alert fired: the very events that were counted, at its first hit and where it was at its highest.

The rule's own query says at which anchors it holds; what lay in the window of an anchor is read with the condition
that query has for the step. So what is named here is what was counted, and where the two disagree it is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import singledispatch
from typing import Any

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir import EventCount, Rule, Selection, Sequence, ValueCount, reach, selections_of
from bearerwatch.detect.ir import Part as IRPart
from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Keyed, Silence, Travel
from bearerwatch.detect.ir_windows import Function, Measure, Temporal
from bearerwatch.detect.islands import SECOND, instant, micros
from bearerwatch.detect.unless import unless
from bearerwatch.detect.words import sentence
from bearerwatch.store.episodes import Episode

__all__ = ["Explanation", "Moment", "Part", "Query", "explain"]

Query = Callable[..., list[dict[str, Any]]]
"""As :meth:`bearerwatch.store.reader.Reader.query`."""

Key = dict[str, str]
"""Group-by field to value."""

_ALL = "explained"
_SHOWN = (
    "event_id, ts, kind, outcome, reason, service, method, route, path, status, client_ip, country, asn, user_agent, "
    "token_id, presented_id, subject_id, request_id, verified, count"
)
_MOST_VALUES = 1000
_SLOTS = 60


@dataclass(frozen=True, slots=True)
class Part:
    """What one step of a rule counted within one stretch of time."""

    step: str
    """The base rule's name."""
    says: str
    since: datetime
    until: datetime
    """Both ends belong to it."""
    counted: int
    """Events (aggregated ones as many as they stand for), or different values of :attr:`field`."""
    needed: int | None
    """The threshold; None where the rule asks for something else than at least so many."""
    field: str | None
    rows: int
    """Events that were counted, an aggregated one as one."""
    events: list[dict[str, Any]]
    """The first of them, as many as were asked for."""
    values: dict[str, int]
    """Of :attr:`field`: value to events; the most frequent, at most a thousand."""
    spread: list[int]
    """Events in each sixtieth of the stretch; empty if it is an instant."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant at which the rule held."""

    at: datetime
    n: int
    """What the rule's query counted."""
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an alert fired."""

    sentence: str
    hits: int
    """Events at which the rule holds, by the lake as it is now."""
    first: Moment
    peak: Moment
    unless: str
    """What would have to be otherwise for it not to fire."""
    remarks: list[str] = field(default_factory=list)


def explain(rule: Rule, episode: Episode, query: Query, *, limit: int = 100) -> Explanation | None:
    """Explain *episode*.

    Args:
        rule: the rule that made it, as it is now.
        episode: the alert.
        query: asks the lake.
        limit: at most so many events of each step and moment.

    Returns:
        None if no event of the lake makes the rule fire at that time any more.
    """
    ask = _Asking(rule, episode, query, limit)
    held = ask.held()
    if not held["hits"]:
        return None
    when = dict.fromkeys(((held["first"], held["n"]), (held["highest"], held["peak"])))
    moments = [Moment(instant(at), n, parts(rule.correlation, ask, at, episode.key)) for at, n in when]
    return Explanation(
        sentence=sentence(rule.correlation),
        hits=held["hits"],
        first=moments[0],
        peak=moments[-1],
        unless=unless(rule.correlation, held["peak"]),
        remarks=_remarks(rule, episode, held["hits"], held["peak"]),
    )


def _remarks(rule: Rule, episode: Episode, hits: int, peak: int) -> list[str]:
    remarks = []
    if rule.version != episode.rule_version:
        remarks.append(
            f"The alert is of version {episode.rule_version} of the rule; this is what version {rule.version} sees."
        )
    if episode.superseded_by:
        remarks.append(f"It turned out to be part of the alert {episode.superseded_by[:12]}: explain that one as well.")
    if (hits, peak) != (episode.hits, episode.peak) and rule.version == episode.rule_version:
        remarks.append(
            f"The alert told of {episode.hits} hits and a peak of {episode.peak}, the lake has {hits} and {peak}: "
            "events came late or were deleted since, or exceptions have changed."
        )
    return remarks


class _Asking:
    """The events of one alert's key, around the time of the alert."""

    def __init__(self, rule: Rule, episode: Episode, query: Query, limit: int) -> None:
        self._rule, self._episode, self._query, self._limit = rule, episode, query, limit
        correlation = rule.correlation
        self.since: int | None = micros(episode.first_hit) - reach(correlation) * SECOND
        self._until: int | None = micros(episode.last_hit)
        self._where = [self._of_key(selection, episode.key) for selection in selections_of(correlation)]
        if isinstance(correlation, Keyed):
            self.since = None  # the past of a key is as long as what is kept
            if by := getattr(getattr(correlation, "learned", None), "by", ()):
                fields = ", ".join(f'"{name}"' for name in by)
                same = f"SELECT {fields} FROM \0 WHERE {self._of_key(correlation.selection, episode.key)}"
                self._where.append(f"({fields}) IN ({same})")
        if isinstance(correlation, Silence):
            self._where, self._until = ["TRUE"], None  # that a key is silent is heard from the others, and later

    def held(self) -> dict[str, Any]:
        """Of the alert's hits: how many, when (µs) the first and what it counted, the most and when that was."""
        first, last = micros(self._episode.first_hit), micros(self._episode.last_hit)
        (row,) = self._ask(
            "SELECT count(*) AS hits, epoch_us(min(ts)) AS first, max(n) AS peak, "
            "max(n) FILTER (ts = (SELECT min(ts) FROM held)) AS n, "
            "epoch_us(min(ts) FILTER (n = (SELECT max(n) FROM held))) AS highest FROM held",
            f", held AS (SELECT ts, n FROM ({sql.hits(self._rule.correlation, _ALL)}) WHERE {_between(first, last)} "
            f"AND {_is_key(self._rule.group_by, self._episode.key)})",
        )
        return row

    def holding(self, part: IRPart, since: int, until: int, key: Key) -> list[tuple[int, int, Key]]:
        """When (µs) *part* was met from *since* to *until*, what it counted there, and of what key."""
        if isinstance(part, Selection):
            names = tuple(key)
            found = f"SELECT ts, 1 AS n FROM {_ALL} WHERE {sql.step_where(part, names)} AND {self._of_key(part, key)}"
            keys = ""
        else:
            names = part.group_by
            keys = "".join(f", k{place}" for place in range(len(names)))
            found = f"SELECT ts, n{keys} FROM ({sql.hits(part, _ALL)}) WHERE {_is_key(names, key)}"
        rows = self._ask(
            f"SELECT epoch_us(ts) AS ts, n{keys} FROM ({found}) WHERE {_between(since, until)} ORDER BY ts, n"
        )
        inner = [(row, key if not keys else {n: row[f"k{i}"] for i, n in enumerate(names)}) for row in rows]
        return [(row["ts"], row["n"], own) for row, own in inner]

    def part(
        self,
        selection: Selection,
        since: int,
        until: int,
        key: Key,
        *,
        says: str,
        field: str | None = None,
        needed: int | None = 1,
        distinct: bool = True,
    ) -> Part:
        """The events of *selection* from *since* to *until* (µs); how many, or how many values of *field*."""
        names = (*key, field) if field is not None else tuple(key)
        where = f"{sql.step_where(selection, names)} AND {self._of_key(selection, key)} AND {_between(since, until)}"
        counted = None if field is None else sql.column(selection.field(field))
        number = f"least(coalesce(sum({sql.WEIGHT}), 0), {sql.CEILING})"
        if counted is not None:
            number = f"count(DISTINCT {counted})" if distinct else "count(*)"
        (total,) = self._ask(f"SELECT count(*) AS events, CAST({number} AS BIGINT) AS n FROM {_ALL} WHERE {where}")
        values: dict[str, int] = {}
        if counted is not None:
            rows = self._ask(
                f"SELECT CAST({counted} AS VARCHAR) AS v, count(*) AS events FROM {_ALL} WHERE {where} "
                f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_MOST_VALUES}"
            )
            values = {row["v"]: row["events"] for row in rows}
        return Part(
            step=selection.name,
            says=says,
            since=instant(since),
            until=instant(until),
            counted=total["n"] or 0,
            needed=needed,
            field=field,
            rows=total["events"],
            events=self._ask(f"SELECT {_SHOWN} FROM {_ALL} WHERE {where} ORDER BY ts, event_id LIMIT {self._limit}"),
            values=values,
            spread=self._spread(where, since, until),
        )

    def hits_of(self, inner: IRPart, since: int, until: int, key: Key, field: str | None) -> Part:
        """The hits of a correlation that another counts, each as one event with nothing but its key."""
        met = self.holding(inner, since, until, key)
        values: dict[str, int] = {}
        if field is not None:
            for _, _, own in met:
                values[own[field]] = values.get(own[field], 0) + 1
        return Part(
            step="hits",
            says=sentence(inner),
            since=instant(since),
            until=instant(until),
            counted=len(values) if field is not None else len(met),
            needed=None,
            field=field,
            rows=len(met),
            events=[{"ts": instant(ts), "n": n, **own} for ts, n, own in met[: self._limit]],
            values=dict(sorted(values.items(), key=lambda item: (-item[1], item[0]))[:_MOST_VALUES]),
            spread=[],
        )

    def oldest(self) -> int:
        """Time (µs) of the oldest event that is looked at."""
        (row,) = self._ask(f"SELECT epoch_us(min(ts)) AS ts FROM {_ALL}")
        return int(row["ts"])

    def _of_key(self, selection: Selection, key: Key) -> str:
        parts = [f"{sql.key_column(selection.field(name))} = {sql.literal(value)}" for name, value in key.items()]
        return " AND ".join(parts) or "TRUE"

    def _spread(self, where: str, since: int, until: int) -> list[int]:
        if since == until:
            return []
        slot = f"least((epoch_us(ts) - {since}) * {_SLOTS} // {until - since}, {_SLOTS - 1})"
        rows = self._ask(f"SELECT {slot} AS slot, count(*) AS events FROM {_ALL} WHERE {where} GROUP BY 1")
        found = {row["slot"]: row["events"] for row in rows}
        return [found.get(place, 0) for place in range(_SLOTS)]

    def _ask(self, text: str, more: str = "") -> list[dict[str, Any]]:
        where = [" OR ".join(f"({one})" for one in dict.fromkeys(self._where))]
        if self.since is not None:
            where.append(f"ts >= make_timestamp({self.since})")
        if self._until is not None:
            where.append(f"ts <= make_timestamp({self._until})")
        mine = " AND ".join(f"({one})" for one in where)
        text = f"WITH {_ALL} AS (SELECT * FROM \0 WHERE {mine}){more} {text}"
        return self._query(
            text.replace("{", "{{").replace("}", "}}").replace("\0", "{events}"),
            since=None if self.since is None else instant(self.since),
            until=None if self._until is None else instant(self._until + 1),
        )


def _between(since: int, until: int) -> str:
    return f"ts BETWEEN make_timestamp({since}) AND make_timestamp({until})"


def _is_key(names: tuple[str, ...], key: Key) -> str:
    """Of a query's ``k0 …``, that they are *key*, as far as that says."""
    parts = [f"k{place} = {sql.literal(key[name])}" for place, name in enumerate(names) if name in key]
    return " AND ".join(parts) or "TRUE"


@singledispatch
def parts(correlation: object, _ask: _Asking, _at: int, _key: Key) -> list[Part]:
    """What *correlation* had counted at the anchor at that time (µs), step by step: one function for each kind."""
    raise TypeError(f"no way to explain a {type(correlation).__name__}")


@parts.register
def _(step: Selection, ask: _Asking, at: int, key: Key) -> list[Part]:
    return [ask.part(step, at, at, key, says=sentence(step))]


@parts.register
def _(step: EventCount, ask: _Asking, at: int, key: Key) -> list[Part]:
    since = at - step.seconds * SECOND
    return [ask.part(step.selection, since, at, key, says=sentence(step), needed=step.at_least)]


@parts.register
def _(step: ValueCount, ask: _Asking, at: int, key: Key) -> list[Part]:
    since = at - step.seconds * SECOND
    return [ask.part(step.selection, since, at, key, says=sentence(step), field=step.field, needed=step.at_least)]


@parts.register
def _(measure: Measure, ask: _Asking, at: int, key: Key) -> list[Part]:
    since, says = at - measure.seconds * SECOND, sentence(measure)
    distinct = measure.function is Function.DISTINCT
    return [
        ask.part(source, since, at, key, says=says, field=measure.field, needed=None, distinct=distinct)
        if isinstance(source, Selection)
        else ask.hits_of(source, since, at, key, measure.field)
        for source in measure.sources
    ]


@parts.register
def _(steps: Sequence, ask: _Asking, at: int, key: Key) -> list[Part]:
    """The latest chain that ends at the anchor, each step as late as the one behind it allows."""
    start, until = at - steps.seconds * SECOND, at
    chain: list[Part] = []
    for step in reversed(steps.steps):
        met = ask.holding(step, start if chain else at, until, key)
        if not met:  # cannot be: the anchor would be none
            break
        until, _, own = met[-1]
        chain[:0] = parts(step, ask, until, own)
    return chain


@parts.register
def _(together: Temporal, ask: _Asking, at: int, key: Key) -> list[Part]:
    """The latest hit of each step that speaks for it."""
    found: list[Part] = []
    for place, step in enumerate(together.steps):
        if place in together.anchors:
            met = ask.holding(step, at - together.seconds * SECOND, at, key)
            found += parts(step, ask, met[-1][0], met[-1][2]) if met else []
    return found


@parts.register(FirstSeen)
@parts.register(Travel)
@parts.register(Baseline)
@parts.register(Silence)
def _(keyed: Keyed, ask: _Asking, at: int, key: Key) -> list[Part]:
    """What was seen at the anchor and just before it, and the past it was compared with."""
    field = {FirstSeen: "country", Travel: "country"}.get(type(keyed))
    if isinstance(keyed, FirstSeen):
        field = keyed.fields[0]
    near = keyed.seconds if isinstance(keyed, Travel) else 2 * keyed.settle
    edge, oldest = at - near * SECOND, ask.oldest()
    seen = ask.part(keyed.selection, edge, at, key, says="at that time", field=field, needed=None)
    if oldest >= edge:
        return [seen]
    return [seen, ask.part(keyed.selection, oldest, edge - 1, key, says="before", field=field, needed=None)]
