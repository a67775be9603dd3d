"""The rules told once more, event by event, in the plainest Python: what every query must agree with.

No windows, no SQL, no sharing of code with the detector beyond the IR it is given.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

from bearerwatch.detect import ir
from bearerwatch.detect.ir_windows import Bound, Formula, Measure, Met, Temporal
from bearerwatch.event import AuthEvent


class Episode(NamedTuple):
    key: tuple[str, ...]
    first: datetime
    last: datetime
    peak: int
    hits: int


def episodes(rule: ir.Rule, events: Sequence[AuthEvent]) -> set[Episode]:
    """What *rule* must make of *events*, in whatever order they are given."""
    by_key: dict[tuple[str, ...], list[tuple[datetime, int]]] = {}
    for hit in hits(rule.correlation, events):
        by_key.setdefault(hit.key, []).append((hit.ts, hit.n))
    found = set()
    for key, anchors in by_key.items():
        group: list[tuple[datetime, int]] = []
        for anchor in sorted(anchors):
            if group and anchor[0] - group[-1][0] > timedelta(seconds=rule.window):
                found.add(_episode(key, group))
                group = []
            group.append(anchor)
        if group:
            found.add(_episode(key, group))
    return found


def _episode(key: tuple[str, ...], group: list[tuple[datetime, int]]) -> Episode:
    return Episode(key, group[0][0], group[-1][0], max(n for _, n in group), len(group))


class Hit(NamedTuple):
    key: tuple[str, ...]
    ts: datetime
    n: int


class Taken(NamedTuple):
    """Something in a window: an event, or the hit of another correlation."""

    key: tuple[str, ...]
    ts: datetime
    count: int
    value: Any


def hits(part: ir.Windowed, events: Sequence[AuthEvent]) -> list[Hit]:
    """Where and when *part* holds."""
    match part:
        case ir.EventCount():
            return _over(part, [_taken(part.selection, part.group_by, None, events)], "count", [part.at_least])
        case ir.ValueCount():
            return _over(part, [_taken(part.selection, part.group_by, part.field, events)], "distinct", [part.at_least])
        case Measure():
            taken = [_taken(source, part.group_by, part.field, events) for source in part.sources]
            return _over(part, taken, part.function.value, [], part.bounds, part.percentile)
        case ir.Sequence():
            return _ordered(part, events)
        case Temporal():
            return _together(part, events)
    raise AssertionError(part)


def _taken(
    source: ir.Part, names: tuple[str, ...], field: str | None, events: Sequence[AuthEvent]
) -> dict[tuple[object, tuple[str, ...]], Taken]:
    """What *source* gives, by event (or number of the hit) and key, so that one event is not taken twice for a key."""
    found: dict[tuple[object, tuple[str, ...]], Taken] = {}
    if isinstance(source, ir.Selection):
        fields = [source.field(name) for name in names]
        for number, e in enumerate(events):
            key = key_of(fields, e)
            wanted = None if field is None else value(e, source.field(field))
            if key is not None and matches(source.where, e) and (field is None or wanted is not None):
                found[number, key] = Taken(key, e.ts, e.count, wanted)
        return found
    for number, hit in enumerate(hits(source, events)):
        mine = dict(zip(source.group_by, hit.key, strict=True))
        key = tuple(mine[name] for name in names)
        found[(id(source), number), key] = Taken(key, hit.ts, 1, None if field is None else mine[field])
    return found


def _over(
    part: ir.EventCount | ir.ValueCount | Measure,
    sources: Sequence[dict[tuple[object, tuple[str, ...]], Taken]],
    function: str,
    at_least: Sequence[int],
    bounds: Sequence[Bound] = (),
    percentile: int | None = None,
) -> list[Hit]:
    every: dict[tuple[object, tuple[str, ...]], Taken] = {}
    for source in sources:
        every = source | every
    mine: dict[tuple[str, ...], list[Taken]] = {}
    for taken in every.values():
        mine.setdefault(taken.key, []).append(taken)
    found = []
    for anchor in every.values():
        start = anchor.ts - timedelta(seconds=part.seconds)
        window = [t for t in mine[anchor.key] if start <= t.ts <= anchor.ts]
        number = _made(function, window, percentile)
        holds = all(number >= least for least in at_least)
        holds = holds and all(_bound(b.relation.value, number, Fraction(b.number)) for b in bounds)
        if holds:
            found.append(Hit(anchor.key, anchor.ts, int(number)))
    return found


def _made(function: str, window: Sequence[Taken], percentile: int | None) -> Fraction:
    if function == "count":
        return Fraction(sum(t.count for t in window))
    if function == "distinct":
        return Fraction(len({t.value for t in window}))
    exact = sorted(Fraction(round(t.value * 10**6), 10**6) for t in window)
    if function == "sum":
        return sum(exact, Fraction())
    if function == "average":
        return sum(exact, Fraction()) / len(exact)
    if function == "median":
        return (exact[(len(exact) - 1) // 2] + exact[len(exact) // 2]) / 2
    assert percentile is not None
    return next(v for v in exact if 100 * sum(w <= v for w in exact) >= percentile * len(exact))


def _bound(relation: str, number: Fraction, other: Fraction) -> bool:
    return {
        "gt": number > other,
        "gte": number >= other,
        "lt": number < other,
        "lte": number <= other,
        "eq": number == other,
        "neq": number != other,
    }[relation]


def _step(part: ir.Part, names: tuple[str, ...], events: Sequence[AuthEvent]) -> list[Hit]:
    """Hits over *names*; those of a selection count nothing."""
    if isinstance(part, ir.Selection):
        return [Hit(t.key, t.ts, 0) for t in _taken(part, names, None, events).values()]
    found = []
    for hit in hits(part, events):
        mine = dict(zip(part.group_by, hit.key, strict=True))
        found.append(Hit(tuple(mine[name] for name in names), hit.ts, hit.n))
    return found


def _by_key(
    parts: Sequence[ir.Part], names: tuple[str, ...], events: Sequence[AuthEvent]
) -> dict[tuple[str, ...], list[list[Hit]]]:
    """Key to the hits of each step."""
    found: dict[tuple[str, ...], list[list[Hit]]] = {}
    for number, part in enumerate(parts):
        for hit in _step(part, names, events):
            found.setdefault(hit.key, [[] for _ in parts])[number].append(hit)
    return found


def _most(steps: Sequence[Sequence[Hit]], parts: Sequence[ir.Part], start: datetime, end: datetime) -> int:
    counting = [step for step, part in zip(steps, parts, strict=True) if not isinstance(part, ir.Selection)]
    return max((hit.n for step in counting for hit in step if start <= hit.ts <= end), default=1)


def _ordered(sequence: ir.Sequence, events: Sequence[AuthEvent]) -> list[Hit]:
    found = []
    for key, steps in _by_key(sequence.steps, sequence.group_by, events).items():
        for anchor in steps[-1]:
            start = anchor.ts - timedelta(seconds=sequence.seconds)
            reached = start  # the earliest time the next step may be at: greedy is enough to say whether a chain exists
            for step in steps[:-1]:
                later = [hit.ts for hit in step if reached <= hit.ts <= anchor.ts]
                if not later:
                    break
                reached = min(later)
            else:
                found.append(Hit(key, anchor.ts, _most(steps, sequence.steps, start, anchor.ts)))
    return found


def _together(temporal: Temporal, events: Sequence[AuthEvent]) -> list[Hit]:
    positive = sorted(_under_no_negation(temporal.formula))
    parts = [temporal.steps[i] for i in positive]
    found = []
    for key, steps in _by_key(temporal.steps, temporal.group_by, events).items():
        mine = [steps[i] for i in positive]
        for anchor in [hit for step in mine for hit in step]:
            start = anchor.ts - timedelta(seconds=temporal.seconds)
            met = [any(start <= hit.ts <= anchor.ts for hit in step) for step in steps]
            if _holds(temporal.formula, met):
                found.append(Hit(key, anchor.ts, _most(mine, parts, start, anchor.ts)))
    return found


def _holds(formula: Formula, met: Sequence[bool]) -> bool:
    if isinstance(formula, Met):
        return met[formula.step]
    each = [_holds(item, met) for item in formula.items]
    return {"all": all(each), "any": any(each), "none": not any(each)}[formula.quantor.value]


def _under_no_negation(formula: Formula, *, negations: int = 0) -> set[int]:
    if isinstance(formula, Met):
        return {formula.step} if negations % 2 == 0 else set()
    deeper = negations + (formula.quantor.value == "none")
    return {number for item in formula.items for number in _under_no_negation(item, negations=deeper)}


def key_of(group_by: Sequence[str], event: AuthEvent) -> tuple[str, ...] | None:
    values = [value(event, name) for name in group_by]
    if any(v is None for v in values):
        return None
    return tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)


def value(event: AuthEvent, field: str) -> Any:
    if field == "network":
        return network(event.client_ip)
    found = getattr(event, field)
    if field == "presented_id" and found is None:
        found = event.token_id
    return found.value if hasattr(found, "value") else found


def network(text: str | None) -> str | None:
    """The /24 or /48 of an address."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    if address.version == 4:
        return f"{str(address).rpartition('.')[0]}.0/24"
    return (
        None
        if "." in str(text)
        else ":".join(f"{int(part, 16):x}" for part in address.exploded.split(":")[:3]) + "::/48"
    )


def matches(condition: ir.Condition, event: AuthEvent) -> bool:
    match condition:
        case ir.And(items=items):
            return all(matches(item, event) for item in items)
        case ir.Or(items=items):
            return any(matches(item, event) for item in items)
        case ir.Not(item=item):
            return not matches(item, event)
        case ir.Before(at=at):
            return event.ts < datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at)
    found = value(event, condition.field)
    if condition.op is ir.Op.EXISTS:
        return (found is not None) == condition.value
    return found is not None and _compares(condition, found)


def _compares(compare: ir.Compare, found: Any) -> bool:
    want: Any = compare.value
    fold = (lambda v: v) if compare.cased else (lambda v: v.lower() if isinstance(v, str) else v)
    match compare.op:
        case ir.Op.IN:
            return any((type(found) is type(w) and fold(found) == fold(w)) or _number(found, w) for w in want)
        case ir.Op.LIKE:
            pattern = "".join(p.value if isinstance(p, ir.Wildcard) else _escaped(p) for p in want)
            return re.fullmatch(fnmatch.translate(fold(pattern)), fold(found)) is not None
        case ir.Op.GT:
            return found > want
        case ir.Op.GTE:
            return found >= want
        case ir.Op.LT:
            return found < want
        case ir.Op.LTE:
            return found <= want
        case ir.Op.CIDR:
            try:
                return ipaddress.ip_address(found) in ipaddress.ip_network(want)
            except ValueError:
                return False
        case ir.Op.RE:
            return re.search(want, found) is not None
    raise AssertionError(compare.op)


def _number(found: Any, want: Any) -> bool:
    numbers = (int, float)
    plain = isinstance(found, numbers) and isinstance(want, numbers)
    return plain and not isinstance(found, bool) and not isinstance(want, bool) and found == want


def _escaped(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)
