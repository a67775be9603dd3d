"""What a rule means, free of any query language: conditions on one event, and windows over many.

Semantics every dialect must keep:

* An event takes part only if all its group-by fields (and the field of a ``ValueCount``) are known.
* The window of an anchor ``a`` is every event of the same key with ``a.ts - seconds <= ts <= a.ts``: both ends
  belong to it, and so do events at the very same instant, whichever came first.
* An event stands for ``count`` events in an ``EventCount``; it is one value in a ``ValueCount``.
* A ``Sequence`` step may be met at the same instant as the one before it.
* A field that is not known compares false, and the negation of that is true.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from pathlib import Path

from bearerwatch.detect.fields import DERIVED, FALLBACK
from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Keyed, Silence, Travel
from bearerwatch.detect.ir_windows import Measure, Temporal

__all__ = [
    "And",
    "Before",
    "Compare",
    "Condition",
    "Correlation",
    "EventCount",
    "Excepted",
    "Not",
    "Op",
    "Or",
    "Part",
    "Rule",
    "Scalar",
    "Selection",
    "Sequence",
    "Step",
    "ValueCount",
    "Wildcard",
    "Windowed",
    "compared_of",
    "fields_of",
    "leaves",
    "outcomes_of",
    "reach",
    "selections_of",
]

Scalar = str | int | float | bool


class Op(StrEnum):
    """How a field is compared."""

    IN = "in"
    """Equal to one of ``value``, a tuple of scalars."""
    LIKE = "like"
    """Matches ``value``, a tuple of literal strings and :class:`Wildcard`."""
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    CIDR = "cidr"
    """An address within the network ``value`` (a string such as ``10.0.0.0/8``)."""
    EXISTS = "exists"
    """``value`` is a bool: whether the field must be known."""
    RE = "re"
    """``value`` is an RE2 expression, found anywhere in the field."""


class Wildcard(Enum):
    """A part of a pattern that is not literal."""

    MANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Compare:
    """One field against a value. Text is compared without regard to case unless ``cased``."""

    field: str
    op: Op
    value: Scalar | tuple[Scalar, ...] | tuple[str | Wildcard, ...]
    cased: bool = False


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of them."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not so; also true where the fields are not known."""

    item: Condition


@dataclass(frozen=True, slots=True)
class Before:
    """The event happened before the instant ``at``, in microseconds since 1970: what ends, ends by event time."""

    at: int


Condition = And | Or | Not | Compare | Before


@dataclass(frozen=True, slots=True)
class Selection:
    """Which single events take part."""

    name: str
    where: Condition
    aliases: tuple[tuple[str, str], ...] = ()
    """Names that stand for a field of these events, such as ``(("address", "peer_ip"),)``."""

    def field(self, name: str) -> str:
        """The field that *name* stands for here: itself unless it is an alias."""
        return dict(self.aliases).get(name, name)


@dataclass(frozen=True, slots=True)
class EventCount:
    """At least ``at_least`` events within ``seconds``."""

    selection: Selection
    group_by: tuple[str, ...]
    seconds: int
    at_least: int


@dataclass(frozen=True, slots=True)
class ValueCount:
    """At least ``at_least`` different values of ``field`` within ``seconds``."""

    selection: Selection
    group_by: tuple[str, ...]
    seconds: int
    at_least: int
    field: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """Every step, in this order, from the first to the last within ``seconds``.

    A step is an event, or an anchor at which another correlation held, that groups by these fields and perhaps more.
    """

    steps: tuple[Part, ...]
    group_by: tuple[str, ...]
    seconds: int


Step = Selection | EventCount | ValueCount
Windowed = EventCount | ValueCount | Sequence | Measure | Temporal
"""What windows say."""
Part = Selection | Windowed
"""What a correlation is made of."""
Correlation = Windowed | Keyed


@dataclass(frozen=True, slots=True)
class Excepted:
    """Events that take no part in a rule, from a file of the user's.

    The rule's correlation has them taken out already; this is what is said of them.
    """

    name: str
    """The file's name without its ending."""
    where: Condition
    until: datetime | None
    """Events from this instant on take part again; aware UTC. None for never."""
    author: str
    because: str
    path: Path


@dataclass(frozen=True, slots=True)
class Rule:
    """One detection rule as read from its file."""

    name: str
    """The file's name without its ending: the rule's id everywhere in bearerwatch."""
    uuid: str
    version: int
    """Raised when the rule's meaning changes; part of every episode's id."""
    title: str
    level: str
    """``informational``, ``low``, ``medium``, ``high`` or ``critical``."""
    status: str
    description: str
    correlation: Correlation
    advice: str = ""
    """What to do when it fires."""
    falsepositives: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """How to tell false positives from true ones, and how to tune the rule: ours, beyond Sigma's own field."""
    tags: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    path: Path | None = None
    exceptions: tuple[Excepted, ...] = ()
    """What is taken out of :attr:`correlation`. Neither the version nor an episode's id depends on it."""

    @property
    def group_by(self) -> tuple[str, ...]:
        """The fields whose values are the key of an episode."""
        return self.correlation.group_by

    @property
    def window(self) -> int:
        """Seconds within which two hits belong to one episode."""
        return self.correlation.seconds


def selections_of(correlation: Correlation) -> tuple[Selection, ...]:
    """The selections of *correlation*, one per step, in order."""
    if isinstance(correlation, Baseline):
        return (correlation.selection, correlation.known_by)
    if isinstance(correlation, Keyed):
        return (correlation.selection,)
    return tuple(selection for selection, _ in leaves(correlation))


def leaves(part: Part, names: tuple[str, ...] = ()) -> Iterator[tuple[Selection, tuple[str, ...]]]:
    """The selections *part* is made of, in order, each with the names of what must be known of its events.

    Args:
        part: what to look into.
        names: what must be known if *part* is a selection itself.
    """
    match part:
        case Selection():
            yield part, names
        case EventCount(selection=selection, group_by=keys):
            yield selection, keys
        case ValueCount(selection=selection, group_by=keys, field=field):
            yield selection, (*keys, field)
        case Measure(sources=parts, group_by=keys, field=field):
            for source in parts:
                yield from leaves(source, keys if field is None else (*keys, field))
        case Sequence(steps=parts, group_by=keys) | Temporal(steps=parts, group_by=keys):
            for step in parts:
                yield from leaves(step, keys)


def reach(correlation: Correlation) -> int:
    """Seconds over which one event can still change what holds later."""
    if isinstance(correlation, Keyed):
        return correlation.seconds
    return _reach(correlation)


def _reach(part: Part) -> int:
    match part:
        case Selection():
            return 0
        case EventCount(seconds=seconds) | ValueCount(seconds=seconds):
            return seconds
        case Measure(seconds=seconds, sources=parts) | Sequence(seconds=seconds, steps=parts):
            return seconds + max(map(_reach, parts))
        case Temporal(seconds=seconds, steps=parts):
            return seconds + max(map(_reach, parts))


def compared_of(correlation: Correlation) -> frozenset[str]:
    """The fields by which *correlation* selects events."""
    return frozenset(name for selection in selections_of(correlation) for name in _compared(selection.where))


def fields_of(correlation: Correlation) -> frozenset[str]:
    """Every field of an event that *correlation* looks at, beside ``ts`` and ``count``."""
    if isinstance(correlation, Keyed):
        named = _asked(correlation) | frozenset(correlation.group_by)
    else:
        named = frozenset(selection.field(name) for selection, names in leaves(correlation) for name in names)
    every = frozenset(DERIVED.get(name, name) for name in compared_of(correlation) | named)
    return every | {FALLBACK[name] for name in every if name in FALLBACK}


def _asked(correlation: Keyed) -> frozenset[str]:
    """The fields whose past is asked for."""
    match correlation:
        case FirstSeen(fields=fields, learned=learned):
            return frozenset((*fields, "user_agent", *learned.by))
        case Travel(learned=learned):
            return frozenset(("country", "asn", "lat", "lon", "user_agent", *learned.by))
        case Baseline() | Silence():
            return frozenset()


def _compared(condition: Condition) -> Iterator[str]:
    match condition:
        case Compare(field=field):
            yield field
        case Not(item=item):
            yield from _compared(item)
        case And(items=items) | Or(items=items):
            for item in items:
                yield from _compared(item)


def outcomes_of(condition: Condition) -> frozenset[str] | None:
    """The outcomes an event must have one of to match; None when any will do. Never too few."""
    match condition:
        case Compare(field="outcome", op=Op.IN, value=tuple(values)):
            return frozenset(str(value).lower() for value in values)
        case And(items=items):
            known = [found for item in items if (found := outcomes_of(item)) is not None]
            return frozenset.intersection(*known) if known else None
        case Or(items=items):
            each = [outcomes_of(item) for item in items]
            return frozenset().union(*(e for e in each if e is not None)) if None not in each else None
    return None
