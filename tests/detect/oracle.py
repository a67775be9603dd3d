"""The rules told once more, event by event, in the plainest Python: what every query must agree with.

No windows, no SQL, no sharing of code with the detector beyond the IR it is given.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bearerwatch.detect import ir
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
    for key in {key for event in events if (key := key_of(rule.group_by, event)) is not None}:
        mine = [event for event in events if key_of(rule.group_by, event) == key]
        by_key[key] = hits(rule.correlation, mine)
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


def hits(step: ir.Correlation | ir.Selection, events: Sequence[AuthEvent]) -> list[tuple[datetime, int]]:
    """Times and counts at which *step* holds, for the events of one key."""
    if isinstance(step, ir.Selection):
        return [(e.ts, 1) for e in events if matches(step.where, e)]
    if isinstance(step, ir.Sequence):
        return _ordered(step, events)
    mine = [e for e in events if matches(step.selection.where, e)]
    if isinstance(step, ir.ValueCount):
        mine = [e for e in mine if value(e, step.field) is not None]
    found = []
    for anchor in mine:
        window = [e for e in mine if anchor.ts - timedelta(seconds=step.seconds) <= e.ts <= anchor.ts]
        n = (
            len({value(e, step.field) for e in window})
            if isinstance(step, ir.ValueCount)
            else sum(e.count for e in window)
        )
        if n >= step.at_least:
            found.append((anchor.ts, n))
    return found


def _ordered(sequence: ir.Sequence, events: Sequence[AuthEvent]) -> list[tuple[datetime, int]]:
    steps = [hits(step, events) for step in sequence.steps]
    counting = [i for i, step in enumerate(sequence.steps) if not isinstance(step, ir.Selection)]
    found = []
    for anchor, _ in steps[-1]:
        start = anchor - timedelta(seconds=sequence.seconds)
        reached = start  # the earliest time the next step may be at: greedy is enough to say whether a chain exists
        for step in steps[:-1]:
            later = [ts for ts, _ in step if reached <= ts <= anchor]
            if not later:
                break
            reached = min(later)
        else:
            found.append((anchor, max((n for i in counting for ts, n in steps[i] if start <= ts <= anchor), default=1)))
    return found


def key_of(group_by: Sequence[str], event: AuthEvent) -> tuple[str, ...] | None:
    values = [value(event, name) for name in group_by]
    if any(v is None for v in values):
        return None
    return tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)


def value(event: AuthEvent, field: str) -> Any:
    found = getattr(event, field)
    return found.value if hasattr(found, "value") else found


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
