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
)
from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Silence, Travel
from bearerwatch.detect.ir_windows import Formula, Function, Measure, Met, Quantor, Relation, Temporal
from bearerwatch.detect.islands import instant
from bearerwatch.event import REPEATED, Kind

__all__ = ["bounded", "condition", "formula", "length", "sentence"]

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
    return ", and ".join(_said(item) for item in items) or "any event fits"


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


@singledispatch
def sentence(correlation: object) -> str:
    """What makes a rule fire, in one sentence without a full stop. One function for each kind of correlation."""
    raise TypeError(f"no words for a {type(correlation).__name__}")


@sentence.register
def _(step: Selection) -> str:
    return f"an event where {condition(step.where)}"


@sentence.register
def _(step: EventCount) -> str:
    events = "1 event" if step.at_least == 1 else f"{step.at_least} events or more"
    return f"{events} {_of(step.group_by)} within {length(step.seconds)}, where {condition(step.selection.where)}"


@sentence.register
def _(step: ValueCount) -> str:
    values = "any value" if step.at_least == 1 else f"{step.at_least} different values or more"
    return (
        f"{values} of {step.field} {_of(step.group_by)} within {length(step.seconds)}, "
        f"where {condition(step.selection.where)}"
    )


@sentence.register
def _(steps: Sequence) -> str:
    told = "; then ".join(sentence(step) for step in steps.steps)
    return f"{_of(steps.group_by)} within {length(steps.seconds)}, in this order: {told}".removeprefix("of ")


_RELATIONS = {
    Relation.GT: "over",
    Relation.GTE: "at least",
    Relation.LT: "under",
    Relation.LTE: "at most",
    Relation.EQ: "exactly",
    Relation.NEQ: "other than",
}


def bounded(measure: Measure) -> str:
    """What is made of a window, and what it must be: ``an average of duration_us of at least 5``."""
    what = {
        Function.COUNT: "a number of events",
        Function.DISTINCT: f"a number of different values of {measure.field}",
        Function.SUM: f"a sum of {measure.field}",
        Function.AVERAGE: f"an average of {measure.field}",
        Function.MEDIAN: f"a median of {measure.field}",
        Function.PERCENTILE: f"a percentile {measure.percentile} of {measure.field}",
    }[measure.function]
    return f"{what} of " + " and ".join(f"{_RELATIONS[one.relation]} {one.number}" for one in measure.bounds)


def formula(together: Temporal) -> str:
    """Which steps must be met, by their numbers: ``(1) and not (2)``."""
    return _formula(together.formula)


def _formula(part: Formula, *, outer: bool = True) -> str:
    if isinstance(part, Met):
        return f"({part.step + 1})"
    inner = [_formula(item, outer=False) for item in part.items]
    if part.quantor is Quantor.NONE:
        return "not " + (inner[0] if len(inner) == 1 else f"any of {', '.join(inner)}")
    text = (" and " if part.quantor is Quantor.ALL else " or ").join(inner)
    return text if outer or len(inner) == 1 else f"[{text}]"


def _numbered(steps: tuple[Part, ...]) -> str:
    return "; ".join(f"({number}) {sentence(step)}" for number, step in enumerate(steps, start=1))


@sentence.register
def _(measure: Measure) -> str:
    sources = "; or ".join(
        condition(source.where) if isinstance(source, Selection) else f"it is a hit of: {sentence(source)}"
        for source in measure.sources
    )
    return f"{bounded(measure)} {_of(measure.group_by)} within {length(measure.seconds)}, where {sources}"


@sentence.register
def _(together: Temporal) -> str:
    return (
        f"one {' and '.join(together.group_by)} with {formula(together)} within {length(together.seconds)}: "
        f"{_numbered(together.steps)}"
    )


@sentence.register
def _(keyed: FirstSeen) -> str:
    return (
        f"a {' and '.join(keyed.fields)} never seen before {_of(keyed.group_by)} that is well known, "
        f"where {condition(keyed.selection.where)}"
    )


@sentence.register
def _(keyed: Travel) -> str:
    return (
        f"two places {_of(keyed.group_by)} at least {keyed.kilometres} km apart that nobody reaches in the time "
        f"between at {keyed.speed} km/h, where {condition(keyed.selection.where)}"
    )


@sentence.register
def _(keyed: Baseline) -> str:
    return (
        f"{keyed.floor} events or more {_of(keyed.group_by)} within {length(2 * keyed.settle)}, and over "
        f"{keyed.ratio:g} times what is usual for it, where {condition(keyed.selection.where)}"
    )


@sentence.register
def _(keyed: Silence) -> str:
    return (
        f"no event {_of(keyed.group_by)} for {length(keyed.floor)} or more, and over {keyed.ratio:g} times its longest "
        f"pause before, though it was heard of regularly, where {condition(keyed.selection.where)}"
    )
