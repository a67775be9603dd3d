# ruff: noqa: S608 - made of names and numbers of ours and the dialect's text
"""Why an alert fired: the very events that were counted, at its first hit and where it was at its highest.

The rule's own query says at which anchors it holds; what lay in the window of an anchor is read with the condition
that query has for the step. So what is named here is what was counted, and where the two disagree it is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import singledispatch
from typing import Any

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir import EventCount, Rule, Selection, Sequence, Step, ValueCount, reach, selections_of
from bearerwatch.detect.islands import SECOND, instant, micros
from bearerwatch.detect.words import length, sentence
from bearerwatch.store.episodes import Episode

__all__ = ["Explanation", "Moment", "Part", "Query", "explain"]

Query = Callable[..., list[dict[str, Any]]]
"""As :meth:`bearerwatch.store.reader.Reader.query`."""

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
    needed: int
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
    moments = [Moment(instant(at), n, parts(rule.correlation, ask, at)) for at, n in when]
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
        self._rule, self._episode, self._query, self.limit = rule, episode, query, limit
        self.since = micros(episode.first_hit) - reach(rule.correlation) * SECOND
        key = [f"{sql.key_column(name)} = {sql.literal(value)}" for name, value in episode.key.items()]
        span = f"ts BETWEEN make_timestamp({self.since}) AND make_timestamp({micros(episode.last_hit)})"
        self._where = " AND ".join([span, *key])

    def held(self) -> dict[str, Any]:
        """Of the alert's hits: how many, when (µs) the first and what it counted, the most and when that was."""
        first = micros(self._episode.first_hit)
        (row,) = self._ask(
            "SELECT count(*) AS hits, epoch_us(min(ts)) AS first, max(n) AS peak, "
            "max(n) FILTER (ts = (SELECT min(ts) FROM held)) AS n, "
            "epoch_us(min(ts) FILTER (n = (SELECT max(n) FROM held))) AS highest FROM held",
            f", held AS (SELECT ts, n FROM ({sql.hits(self._rule.correlation, _ALL)}) "
            f"WHERE ts >= make_timestamp({first}))",
        )
        return row

    def holding(self, step: Step, since: int, until: int) -> list[tuple[int, int]]:
        """When *step* was met from *since* to *until* (µs), and what it counted there."""
        if isinstance(step, Selection):
            group_by = self._rule.group_by
            found = f"SELECT ts, 1 AS n FROM {_ALL} WHERE {sql.step_where(step, group_by)}"
        else:
            found = f"SELECT ts, n FROM ({sql.hits(step, _ALL)})"
        rows = self._ask(
            f"SELECT epoch_us(ts) AS ts, n FROM ({found}) "
            f"WHERE ts BETWEEN make_timestamp({since}) AND make_timestamp({until}) ORDER BY ts"
        )
        return [(row["ts"], row["n"]) for row in rows]

    def part(self, step: Step, since: int, until: int, *, needed: int = 1) -> Part:
        """What *step* counts from *since* to *until* (µs)."""
        counted = step.field if isinstance(step, ValueCount) else None
        where = (
            f"{sql.step_where(step, self._rule.group_by)} "
            f"AND ts BETWEEN make_timestamp({since}) AND make_timestamp({until})"
        )
        number = (
            f"least(sum({sql.WEIGHT}), {sql.CEILING})" if counted is None else f"count(DISTINCT {sql.column(counted)})"
        )
        (total,) = self._ask(f"SELECT count(*) AS events, CAST({number} AS BIGINT) AS n FROM {_ALL} WHERE {where}")
        values: dict[str, int] = {}
        if counted is not None:
            rows = self._ask(
                f"SELECT CAST({sql.column(counted)} AS VARCHAR) AS v, count(*) AS events FROM {_ALL} WHERE {where} "
                f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_MOST_VALUES}"
            )
            values = {row["v"]: row["events"] for row in rows}
        return Part(
            step=step.name if isinstance(step, Selection) else step.selection.name,
            says=sentence(step),
            since=instant(since),
            until=instant(until),
            counted=total["n"] or 0,
            needed=needed,
            field=counted,
            rows=total["events"],
            events=self._ask(f"SELECT {_SHOWN} FROM {_ALL} WHERE {where} ORDER BY ts, event_id LIMIT {self.limit}"),
            values=values,
            spread=self._spread(where, since, until),
        )

    def _spread(self, where: str, since: int, until: int) -> list[int]:
        if since == until:
            return []
        slot = f"least((epoch_us(ts) - {since}) * {_SLOTS} // {until - since}, {_SLOTS - 1})"
        rows = self._ask(f"SELECT {slot} AS slot, count(*) AS events FROM {_ALL} WHERE {where} GROUP BY 1")
        found = {row["slot"]: row["events"] for row in rows}
        return [found.get(place, 0) for place in range(_SLOTS)]

    def _ask(self, text: str, more: str = "") -> list[dict[str, Any]]:
        text = f"WITH {_ALL} AS (SELECT * FROM \0 WHERE {self._where}){more} {text}"
        text = text.replace("{", "{{").replace("}", "}}").replace("\0", "{events}")
        return self._query(text, since=instant(self.since), until=self._episode.last_hit + timedelta(microseconds=1))


@singledispatch
def parts(correlation: object, ask: _Asking, at: int) -> list[Part]:
    """What *correlation* had counted at the anchor *at* (µs), step by step: one function for each kind.

    Of a kind without its own, every selected event within the rule's reach.
    """
    since = at - getattr(correlation, "seconds", 0) * SECOND
    return [ask.part(selection, since, at) for selection in selections_of(correlation)]  # type: ignore[arg-type]


@parts.register(EventCount)
@parts.register(ValueCount)
def _(step: EventCount | ValueCount, ask: _Asking, at: int) -> list[Part]:
    return [ask.part(step, at - step.seconds * SECOND, at, needed=step.at_least)]


@parts.register
def _(steps: Sequence, ask: _Asking, at: int) -> list[Part]:
    """The latest chain that ends at the anchor, each step as late as the one behind it allows."""
    start, until = at - steps.seconds * SECOND, at
    chain: list[Part] = []
    for place, step in reversed(list(enumerate(steps.steps))):
        last = place == len(steps.steps) - 1
        met = [(at, 0)] if last else ask.holding(step, start, until)
        if not met:  # cannot be: the anchor would be none
            break
        until = met[-1][0]
        if isinstance(step, Selection):
            chain.insert(0, ask.part(step, until, until))
        else:
            chain[:0] = parts(step, ask, until)
    return chain


@singledispatch
def unless(correlation: object, n: int) -> str:
    """What would have to be otherwise for the rule not to fire, at most *n* having been counted."""
    return f"It held at {n} of {getattr(correlation, 'floor', 'what it asks for')}; see the rule for its thresholds"


@unless.register
def _(step: EventCount, n: int) -> str:
    return (
        f"It needs {step.at_least} events within {length(step.seconds)} and had up to {n}: with "
        f"{n - step.at_least + 1} fewer in the fullest {length(step.seconds)} it would not have fired, "
        f"nor with a threshold over {n}"
    )


@unless.register
def _(step: ValueCount, n: int) -> str:
    return (
        f"It needs {step.at_least} different values of {step.field} within {length(step.seconds)} and had up to {n}: "
        f"with {n - step.at_least + 1} fewer it would not have fired, nor with a threshold over {n}"
    )


@unless.register
def _(steps: Sequence, _n: int) -> str:
    names = [step.name if isinstance(step, Selection) else step.selection.name for step in steps.steps]
    return (
        f"It needs {', then '.join(names)} within {length(steps.seconds)}: without any one of these steps, or with "
        "them further apart, it would not have fired"
    )
