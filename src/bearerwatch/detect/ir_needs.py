"""What must at least have come for a rule to hold: what sketches can count, and more events can only add to.

A rule is *monotone* if further events never end what holds. Others are judged exactly too, but what rules keys out for
them is only the part of their condition that is monotone: "guessed and not let in" needs guesses.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from bearerwatch.detect.ir import (
    Correlation,
    EventCount,
    Or,
    Part,
    Selection,
    Sequence,
    Step,
    ValueCount,
    Windowed,
    leaves,
)
from bearerwatch.detect.ir_keyed import Keyed
from bearerwatch.detect.ir_windows import Formula, Function, Measure, Met, Quantor, Relation, Temporal

__all__ = ["Means", "makers", "monotone", "needs", "path_of", "scheduled"]


class Means(StrEnum):
    """By which a rule is evaluated as events arrive. What it means is the same by each."""

    SKETCHES = "sketches"
    """Counters that rule keys out, and the exact query for the rest."""
    SCHEDULED = "scheduled"
    """The exact query once a second, for keys that had events."""
    KEYED = "keyed"
    """What is remembered of every key."""


def path_of(correlation: Correlation) -> Means:
    """By which means *correlation* is evaluated live."""
    if isinstance(correlation, Keyed):
        return Means.KEYED
    return Means.SCHEDULED if scheduled(correlation) else Means.SKETCHES


def needs(correlation: Windowed) -> tuple[Step, ...]:
    """Steps over the group-by fields of *correlation*, each of which is met around every hit.

    Each is met by what lies within :func:`~bearerwatch.detect.ir.reach` before the hit. They are never too strict; how
    near they come to the rule decides what it costs, not what it finds.
    """
    found = tuple(dict.fromkeys(_needs(correlation, correlation.group_by)))
    return found or (_any(correlation),)


def monotone(part: Part) -> bool:
    """Whether further events can never end what holds."""
    match part:
        case Selection() | EventCount() | ValueCount():
            return True
        case Sequence(steps=steps):
            return all(map(monotone, steps))
        case Temporal(steps=steps, formula=formula):
            return all(map(monotone, steps)) and not _negates(formula)
        case Measure(function=function, bounds=bounds, sources=sources):
            counts = function in {Function.COUNT, Function.DISTINCT}
            return counts and all(map(monotone, sources)) and all(b.relation in _MORE for b in bounds)


def makers(part: Part, names: tuple[str, ...] = ()) -> tuple[tuple[Selection, tuple[str, ...]], ...]:
    """Those of :func:`~bearerwatch.detect.ir.leaves` whose events can make an anchor hold that did not.

    What must not have happened can only end what holds, if more of it does not end itself.
    """
    match part:
        case Measure(sources=parts, group_by=keys, field=field):
            inner = [makers(source, keys if field is None else (*keys, field)) for source in parts]
        case Sequence(steps=parts, group_by=keys):
            inner = [makers(step, keys) for step in parts]
        case Temporal(steps=parts, group_by=keys, anchors=anchors):
            inner = [makers(step, keys) for i, step in enumerate(parts) if i in anchors or not monotone(step)]
        case _:
            inner = [tuple(leaves(part, names))]
    return tuple(dict.fromkeys(leaf for several in inner for leaf in several))


def scheduled(correlation: Windowed) -> bool:
    """Whether sketches are of no use for *correlation*: any event could be an anchor, or keys go by aliases."""
    if any(selection.aliases for selection, _ in leaves(correlation)):
        return True
    if isinstance(correlation, EventCount | ValueCount | Sequence):
        return False
    found = needs(correlation)
    return len(found) == 1 and (isinstance(found[0], Selection) or found[0].at_least <= 1)


_MORE = frozenset({Relation.GT, Relation.GTE})


def _negates(formula: Formula) -> bool:
    if isinstance(formula, Met):
        return False
    return formula.quantor is Quantor.NONE or any(map(_negates, formula.items))


def _any(part: Part) -> Selection:
    """Any event that could be an anchor."""
    found = tuple(dict.fromkeys(_anchors(part)))
    return found[0] if len(found) == 1 else Selection("any", Or(tuple(one.where for one in found)))


def _anchors(part: Part) -> Iterator[Selection]:
    match part:
        case Selection():
            yield part
        case EventCount(selection=selection) | ValueCount(selection=selection):
            yield selection
        case Measure(sources=sources):
            for source in sources:
                yield from _anchors(source)
        case Sequence(steps=steps):
            yield from _anchors(steps[-1])
        case Temporal(steps=steps, anchors=numbers):
            for number in sorted(numbers):
                yield from _anchors(steps[number])


def _needs(part: Part, keys: tuple[str, ...]) -> Iterator[Step]:
    """Likewise, over *keys*, which *part* groups by among others: what is enough for fewer fields is never less."""
    match part:
        case Selection():
            yield part
        case EventCount(selection=selection, seconds=seconds, at_least=at_least):
            yield EventCount(selection, keys, seconds, at_least)
        case ValueCount(selection=selection, seconds=seconds, at_least=at_least, field=field):
            yield ValueCount(selection, keys, seconds, at_least, field)
        case Sequence(steps=steps):
            for step in steps:
                yield from _needs(step, keys)
        case Temporal(steps=steps, formula=formula):
            yield from _formula(formula, steps, keys)
        case Measure():
            yield from _measured(part, keys)


def _formula(formula: Formula, steps: tuple[Part, ...], keys: tuple[str, ...]) -> Iterator[Step]:
    if isinstance(formula, Met):
        yield from _needs(steps[formula.step], keys)
    elif formula.quantor is Quantor.ALL or (formula.quantor is Quantor.ANY and len(formula.items) == 1):
        for item in formula.items:
            yield from _formula(item, steps, keys)
    elif formula.quantor is Quantor.ANY:
        each = [dict.fromkeys(_formula(item, steps, keys)) for item in formula.items]
        yield from (step for step in each[0] if all(step in others for others in each[1:]))


def _measured(measure: Measure, keys: tuple[str, ...]) -> Iterator[Step]:
    least, span = _least(measure), measure.seconds  # hits are where their anchors are
    distinct = measure.field if measure.function is Function.DISTINCT and least >= 1 else None
    if len(measure.sources) > 1:
        yield _any(measure)
        return
    (source,) = measure.sources
    if not isinstance(source, Selection):
        yield from _needs(source, keys)
    elif measure.function is Function.COUNT and least >= 1:
        yield EventCount(source, keys, span, least)
    elif distinct is None:
        yield source
    anchors = tuple(_anchors(source))
    if distinct is not None and len(set(anchors)) == 1:
        yield ValueCount(anchors[0], keys, span, least, distinct)
    elif measure.function is Function.COUNT and least >= 1 and len(anchors) == 1:
        yield EventCount(anchors[0], keys, span, least)  # of whatever is inside, an event is one hit at most


def _least(measure: Measure) -> int:
    """The least count that all lower bounds let through; 0 if there is none."""
    least = 0
    for bound in measure.bounds:
        whole = int(bound.number.to_integral_value(rounding="ROUND_CEILING"))
        if bound.relation in {Relation.GTE, Relation.EQ}:
            least = max(least, whole)
        elif bound.relation is Relation.GT:
            least = max(least, int(bound.number.to_integral_value(rounding="ROUND_FLOOR")) + 1)
    return least
