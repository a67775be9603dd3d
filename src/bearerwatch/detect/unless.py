"""What would have to be otherwise for an alert not to fire: the other half of an explanation."""

from __future__ import annotations

from functools import singledispatch

from bearerwatch.detect.ir import EventCount, Sequence, ValueCount
from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Silence, Travel
from bearerwatch.detect.ir_windows import Measure, Temporal
from bearerwatch.detect.words import bounded, formula, length

__all__ = ["unless"]


@singledispatch
def unless(correlation: object, _n: int) -> str:
    """What would have to be otherwise for the rule not to fire, at most that many having been counted."""
    raise TypeError(f"no words for a {type(correlation).__name__}")


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
    return (
        f"It needs each of its {len(steps.steps)} steps, in order, within {length(steps.seconds)}: without any one of "
        "them, or with them further apart, it would not have fired"
    )


@unless.register
def _(together: Temporal, _n: int) -> str:
    return f"It needs {formula(together)} within {length(together.seconds)}: were that not so, it would not have fired"


@unless.register
def _(measure: Measure, n: int) -> str:
    return f"It needs {bounded(measure)} within {length(measure.seconds)}, and it was up to {n}"


@unless.register
def _(keyed: FirstSeen, n: int) -> str:
    return (
        f"The key was known from {n} panes of {length(keyed.settle)} before: with under {keyed.learned.sightings}, "
        f"or had {keyed.fields[0]} been seen since {length(keyed.learned.memory)} before, it would not have fired"
    )


@unless.register
def _(keyed: Travel, n: int) -> str:
    return (
        f"The places are {n} km apart: under {keyed.kilometres} km, or with time for a journey at {keyed.speed} km/h, "
        "it would not have fired"
    )


@unless.register
def _(keyed: Baseline, n: int) -> str:
    return (
        f"It had {n} within two panes of {length(keyed.settle)}: with under {keyed.floor}, or no more than "
        f"{keyed.ratio:g} times what is usual for it, it would not have fired"
    )


@unless.register
def _(keyed: Silence, n: int) -> str:
    return (
        f"It was silent for {length(n * keyed.settle)}: heard of again within {length(keyed.floor)}, or within "
        f"{keyed.ratio:g} times its longest pause before, it would not have fired"
    )
