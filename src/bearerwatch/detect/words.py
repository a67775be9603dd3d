"""What a rule means, in a sentence: for people who are told that it fired and have not read its file."""

from __future__ import annotations

from functools import singledispatch

from bearerwatch.detect.ir import (
    And,
    Before,
    Compare,
    Condition,
    EventCount,
    Not,
    Op,
    Or,
    Part,
    Selection,
    Sequence,
    ValueCount,
    Wildcard,
    selections_of,
)
from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Keyed, Silence, Travel
from bearerwatch.detect.ir_windows import Formula, Function, Measure, Met, Quantor, Relation, Temporal
from bearerwatch.detect.islands import instant
from bearerwatch.event import REPEATED, Kind

__all__ = ["bounded", "condition", "formula", "length", "outline", "sentence"]

_MOST = 12
"""Values that are listed; of more the number is told."""
_ORDER = {Op.GT: "is over", Op.GTE: "is at least", Op.LT: "is under", Op.LTE: "is at most"}
_ORDER_NOT = {Op.GT: "is not over", Op.GTE: "is not at least", Op.LT: "is not under", Op.LTE: "is not at most"}
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_ONCE = Not(Compare("reason", Op.IN, (REPEATED,), cased=True))
_AUTH = Compare("kind", Op.IN, (Kind.AUTH.value,))


def length(seconds: float) -> str:
    """A length of time, in the largest unit that is whole: ``5 minutes``."""
    for unit, name in _UNITS:
        if seconds >= unit and seconds % unit == 0:
            number = int(seconds // unit)
            return f"{number} {name}" + ("s" if number > 1 else "")
    return f"{seconds:g} seconds"


def condition(where: Condition) -> str:
    """A condition on one event: ``outcome is invalid or expired, and client_ip is not in 10.0.0.0/8``.

    That an event is of a request, and of one that no other told of already, goes without saying.
    """
    items = [item for item in _items(where) if item not in (_AUTH, _ONCE)]
    return ", and ".join(dict.fromkeys(_said(item) for item in items)) or "any event fits"


def _items(where: Condition) -> list[Condition]:
    return [inner for item in where.items for inner in _items(item)] if isinstance(where, And) else [where]


def _said(where: Condition, *, negated: bool = False) -> str:
    match where:
        case And(items=items):
            text = " and ".join(_said(item) for item in items)
        case Or(items=items):
            text = " or ".join(_said(item) for item in items)
        case Not(item=item):
            return _said(item) if negated else _said(item, negated=True)
        case Before(at=at):
            return f"it happened {'from' if negated else 'before'} {instant(at):%Y-%m-%d %H:%M} UTC{' on' * negated}"
        case _:
            return _compared(where, negated=negated)
    return f"not ({text})" if negated else f"({text})"


def _compared(compare: Compare, *, negated: bool) -> str:
    value, field = compare.value, compare.field
    isnt = "is not" if negated else "is"
    match compare.op:
        case Op.EXISTS:
            return f"{field} is {'known' if bool(value) is not negated else 'not known'}"
        case Op.CIDR:
            return f"{field} {isnt} in {value}"
        case Op.RE:
            return f"{field} {'does not fit' if negated else 'fits'} the expression {value}"
        case Op.LIKE:
            parts = value if isinstance(value, tuple) else (value,)
            pattern = "".join(part.value if isinstance(part, Wildcard) else str(part) for part in parts)
            return f"{field} {isnt} like {pattern}"
        case Op.IN:
            values = value if isinstance(value, tuple) else (value,)
            shown = [str(one).lower() if isinstance(one, bool) else str(one) for one in values[:_MOST]]
            if len(values) > _MOST:
                return f"{field} {isnt} one of {len(values)} values, such as {shown[0]}"
            return f"{field} {isnt} {_listed(shown)}"
    return f"{field} {(_ORDER_NOT if negated else _ORDER)[compare.op]} {value}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _of(group_by: tuple[str, ...]) -> str:
    return f"of one {' and '.join(group_by)}" if group_by else "of all together"


_RELATIONS = {
    Relation.GT: "over",
    Relation.GTE: "at least",
    Relation.LT: "under",
    Relation.LTE: "at most",
    Relation.EQ: "exactly",
    Relation.NEQ: "other than",
}


def bounded(measure: Measure) -> str:
    """What is made of a window, and what it must be: ``at least 5 events``, ``a sum of duration_us of over 9``."""
    bounds = " and ".join(f"{_RELATIONS[one.relation]} {one.number}" for one in measure.bounds)
    if measure.function is Function.COUNT:
        return f"{bounds} events"
    if measure.function is Function.DISTINCT:
        return f"{bounds} different values of {measure.field}"
    what = {
        Function.SUM: f"a sum of {measure.field}",
        Function.AVERAGE: f"an average of {measure.field}",
        Function.MEDIAN: f"a median of {measure.field}",
        Function.PERCENTILE: f"a percentile {measure.percentile} of {measure.field}",
    }[measure.function]
    return f"{what} of {bounds}"


def formula(together: Temporal) -> str:
    """Which steps must be met, by their numbers: ``(1) and not (2)``."""
    return _formula(together.formula)


def _formula(part: Formula, number: str = "", *, outer: bool = True) -> str:
    if isinstance(part, Met):
        return f"({number}{part.step + 1})"
    inner = [_formula(item, number, outer=False) for item in part.items]
    if part.quantor is Quantor.NONE:
        return "not " + (inner[0] if len(inner) == 1 else f"any of {', '.join(inner)}")
    text = (" and " if part.quantor is Quantor.ALL else " or ").join(inner)
    return text if outer or len(inner) == 1 else f"[{text}]"


Line = tuple[int, str]
"""How deep a line of an outline stands, and what it says."""


def sentence(part: Part | Keyed) -> str:
    """What makes a rule fire, in one sentence without a full stop."""
    (_, first), *others = outline(part)
    return first + (": " + "; ".join(text for _, text in others) if others else "")


def outline(part: Part | Keyed) -> list[Line]:
    """As :func:`sentence`, a line for each of the steps it has; ``(2.1)`` is the first step of the second."""
    return _lines(part, "")


def _nested(number: str, lines: list[Line]) -> list[Line]:
    (_, first), *others = lines
    return [(1, f"({number}) {first}"), *((depth + 1, text) for depth, text in others)]


@singledispatch
def _lines(part: object, number: str) -> list[Line]:
    """One function for each kind."""
    raise TypeError(f"no words for a {type(part).__name__}{number}")


@_lines.register
def _(step: Selection, _number: str) -> list[Line]:
    return [(0, f"an event where {condition(step.where)}")]


@_lines.register
def _(step: EventCount, _number: str) -> list[Line]:
    events = "an event" if step.at_least == 1 else f"{step.at_least} events or more"
    within = "" if step.at_least == 1 else f" within {length(step.seconds)}"
    return [(0, f"{events} {_of(step.group_by)}{within}, where {condition(step.selection.where)}")]


@_lines.register
def _(step: ValueCount, _number: str) -> list[Line]:
    values = "any value" if step.at_least == 1 else f"{step.at_least} different values or more"
    told = f"{values} of {step.field} {_of(step.group_by)} within {length(step.seconds)}"
    return [(0, f"{told}, where {condition(step.selection.where)}")]


@_lines.register
def _(measure: Measure, number: str) -> list[Line]:
    told = f"{bounded(measure)} {_of(measure.group_by)} within {length(measure.seconds)}"
    if all(isinstance(source, Selection) for source in measure.sources):
        return [(0, f"{told}, where " + "; or ".join(condition(s.where) for s in selections_of(measure)))]
    lines = [(0, f"{told}, each an event or a hit of one of these")]
    for place, source in enumerate(measure.sources, start=1):
        lines += _nested(f"{number}{place}", _lines(source, f"{number}{place}."))
    return lines


@_lines.register
def _(steps: Sequence, number: str) -> list[Line]:
    lines = [(0, f"one {' and '.join(steps.group_by)} with these in order, within {length(steps.seconds)}")]
    for place, step in enumerate(steps.steps, start=1):
        lines += _nested(f"{number}{place}", _lines(step, f"{number}{place}."))
    return lines


@_lines.register
def _(together: Temporal, number: str) -> list[Line]:
    key, told = " and ".join(together.group_by), _formula(together.formula, number)
    lines = [(0, f"one {key} with {told} within {length(together.seconds)}")]
    for place, step in enumerate(together.steps, start=1):
        lines += _nested(f"{number}{place}", _lines(step, f"{number}{place}."))
    return lines


@_lines.register
def _(keyed: FirstSeen, _number: str) -> list[Line]:
    what = f"a value of {' and '.join(keyed.fields)} never seen before {_of(keyed.group_by)} that is well known"
    return [(0, f"{what}, where {condition(keyed.selection.where)}")]


@_lines.register
def _(keyed: Travel, _number: str) -> list[Line]:
    what = (
        f"two places {_of(keyed.group_by)} at least {keyed.kilometres} km apart that nobody reaches in the time between"
    )
    return [(0, f"{what} at {keyed.speed} km/h, where {condition(keyed.selection.where)}")]


@_lines.register
def _(keyed: Baseline, _number: str) -> list[Line]:
    what = f"{keyed.floor} events or more {_of(keyed.group_by)} within {length(2 * keyed.settle)}"
    usual = f"and over {keyed.ratio:g} times what is usual for it"
    return [(0, f"{what}, {usual}, where {condition(keyed.selection.where)}")]


@_lines.register
def _(keyed: Silence, _number: str) -> list[Line]:
    what = (
        f"no event {_of(keyed.group_by)} for {length(keyed.floor)} or more, and over {keyed.ratio:g} times its longest"
    )
    return [(0, f"{what} pause before, though it was heard of regularly, where {condition(keyed.selection.where)}")]
