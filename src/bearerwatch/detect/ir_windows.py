"""Windows that say more than "at least so many": sums, averages and percentiles, ranges, and what happened together.

As everywhere, the window of an anchor ``a`` is all of its key with ``a.ts - seconds <= ts <= a.ts``. What the kinds
have in common beyond that:

* Every condition looks back from an anchor, never ahead. Where nothing happens nothing is judged: "fewer than five"
  holds at an event that has fewer than four before it, not in an empty hour.
* A *source* is a selection of events, or another correlation: then each of its hits is one event, whose only fields
  are those it groups by. What is grouped by outside must be grouped by inside.
* An event that several sources of one :class:`Measure` take is one, unless their aliases give it different keys.
* Sums, averages, percentiles and medians are over the values of the events (whole numbers, or numbers to six decimal
  places), each once, whatever ``count`` an event stands for. An event without the value takes no part.
* A percentile is by nearest rank: the least value that at least ``percentile`` per cent of the values do not exceed.
  (The specification speaks of how rare a value is instead, without saying how it is counted; pySigma and its backends
  mean the number.) A median of an even number of values is the mean of the two in the middle.
* What a window has (``n``) is that number, cut to a whole one towards zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bearerwatch.detect.ir import Part

__all__ = ["Bound", "Formula", "Function", "Joint", "Measure", "Met", "Quantor", "Relation", "Temporal"]


class Relation(StrEnum):
    """How a number is compared with another."""

    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EQ = "eq"
    NEQ = "neq"


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison; all of a measure's must hold."""

    relation: Relation
    number: Decimal
    """With at most six decimal places."""


class Function(StrEnum):
    """What is made of a window."""

    COUNT = "count"
    """How many events it has; an event stands for ``count``."""
    DISTINCT = "distinct"
    """How many different values."""
    SUM = "sum"
    AVERAGE = "average"
    PERCENTILE = "percentile"
    MEDIAN = "median"


@dataclass(frozen=True, slots=True)
class Measure:
    """What ``function`` makes of the window lies within all ``bounds``. Anchors are the events of the sources."""

    sources: tuple[Part, ...]
    group_by: tuple[str, ...]
    seconds: int
    function: Function
    bounds: tuple[Bound, ...]
    field: str | None = None
    """Whose values; None for ``COUNT``."""
    percentile: int | None = None
    """1 to 100, for ``PERCENTILE``."""


@dataclass(frozen=True, slots=True)
class Met:
    """The step of that number has a hit in the window."""

    step: int


class Quantor(StrEnum):
    """How many of some formulas must hold."""

    ALL = "all"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Joint:
    """Several formulas in one."""

    quantor: Quantor
    items: tuple[Formula, ...]


Formula = Met | Joint


@dataclass(frozen=True, slots=True)
class Temporal:
    """Within ``seconds`` the steps were met as ``formula`` says, in whatever order.

    Anchors are the hits of the steps that stand under no negation, or under two: what must not have happened is
    looked for before each of them. A hit of two steps at once counts as two. ``n`` is the greatest count a counting
    one of those steps reached within the window; 1 if none counts.
    """

    steps: tuple[Part, ...]
    group_by: tuple[str, ...]
    seconds: int
    formula: Formula

    @property
    def anchors(self) -> frozenset[int]:
        """The numbers of the steps whose hits are anchors."""
        return _positive(self.formula, negated=False)


def _positive(formula: Formula, *, negated: bool) -> frozenset[int]:
    if isinstance(formula, Met):
        return frozenset() if negated else frozenset((formula.step,))
    inner = negated != (formula.quantor is Quantor.NONE)
    return frozenset().union(*(_positive(item, negated=inner) for item in formula.items))
