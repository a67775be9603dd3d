"""Correlation rules: how many events, of what key, within which time, in which order."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from sigma.correlations import SigmaCorrelationRule, SigmaCorrelationType, SigmaExtendedCorrelationCondition
from sigma.rule import SigmaRule

from bearerwatch.detect.documents import Document
from bearerwatch.detect.fields import CLOSED
from bearerwatch.detect.ir import (
    And,
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
    Windowed,
    fields_of,
)
from bearerwatch.detect.ir_windows import Bound, Function, Measure, Relation, Temporal
from bearerwatch.detect.sigma.bounds import written
from bearerwatch.detect.sigma.complaints import CANNOT, said
from bearerwatch.detect.sigma.conditions import Refusal, condition
from bearerwatch.detect.sigma.expressions import judge
from bearerwatch.detect.sigma.formulas import formula
from bearerwatch.detect.sigma.names import Names, Parsed
from bearerwatch.event import REPEATED, Kind

__all__ = ["Parsed", "Translation"]

_MAX_WINDOW = 7 * 86_400
_MAX_STEPS = 8
_MAX_DEPTH = 5
_RULES = ("correlation", "rules")
_CONDITION = ("correlation", "condition")
_FUNCTIONS = {
    SigmaCorrelationType.EVENT_COUNT: Function.COUNT,
    SigmaCorrelationType.VALUE_COUNT: Function.DISTINCT,
    SigmaCorrelationType.VALUE_SUM: Function.SUM,
    SigmaCorrelationType.VALUE_AVG: Function.AVERAGE,
    SigmaCorrelationType.VALUE_PERCENTILE: Function.PERCENTILE,
    SigmaCorrelationType.VALUE_MEDIAN: Function.MEDIAN,
}
_COUNTS = {Function.COUNT, Function.DISTINCT}
_ONCE = Not(Compare("reason", Op.IN, (REPEATED,), cased=True))
"""A request that a service and the gateway before it both told of is one."""


class Translation:
    """From pySigma's correlation rules to ours."""

    def __init__(self, document: Callable[[Parsed], Document]) -> None:
        """Remember where each rule stands.

        Args:
            document: tells the document a rule was read from.
        """
        self._document = document
        self.used: set[int] = set()
        """The rules (their ``id()``) that were come upon."""

    def __call__(self, rule: SigmaCorrelationRule) -> Windowed:
        """Translate *rule* and all it refers to."""
        return self._correlation(rule, ())

    def _correlation(self, rule: SigmaCorrelationRule, around: tuple[SigmaCorrelationRule, ...]) -> Windowed:
        document = self._document(rule)
        self.used.add(id(rule))
        if any(one is rule for one in around):
            raise document.error("refers to itself by way of its 'rules': take that reference out", _RULES)
        if len(around) >= _MAX_DEPTH:
            raise document.error(
                f"is a correlation within {_MAX_DEPTH} others, which is too deep: flatten the rules", _RULES
            )
        if rule.generate:
            raise document.error(
                "uses generate, which is not supported: to have a base rule fire by itself, copy it to a file of its "
                "own with an event_count of gte: 1",
                ("correlation", "generate"),
            )
        seconds = rule.timespan.seconds
        if seconds > _MAX_WINDOW:
            raise document.error("has a timespan beyond 7d: use a shorter one", ("correlation", "timespan"))
        names = Names(document, rule)
        referenced = [reference.rule for reference in rule.referenced_rules]
        if len({id(one) for one in referenced}) != len(referenced):
            raise document.error("names a rule twice: name each once", _RULES)
        if not 1 <= len(referenced) <= _MAX_STEPS:
            raise document.error(f"needs 1 to {_MAX_STEPS} different rules: mend its 'rules'", _RULES)
        parts = [self._part(one, names, (*around, rule)) for one in referenced]
        match rule.type:
            case SigmaCorrelationType.TEMPORAL:
                steps = self._steps(document, parts, "")
                return Temporal(steps, names.group_by, seconds, formula(document, rule, referenced))
            case SigmaCorrelationType.TEMPORAL_ORDERED:
                steps = self._steps(document, parts, ", in the order they must happen")
                self._check_order(document, rule, len(parts))
                return Sequence(steps, names.group_by, seconds)
        return self._measure(document, rule, names, parts)

    def _part(self, rule: Parsed, names: Names, around: tuple[SigmaCorrelationRule, ...]) -> Part:
        """A base rule or a correlation, of which every group-by field must be known."""
        if isinstance(rule, SigmaRule):
            self.used.add(id(rule))
            selection = self._selection(rule, names.group_by)
            return names.applied(rule, selection)
        inner = self._correlation(rule, around)
        names.check(rule, inner.group_by)
        return inner

    def _steps(self, document: Document, parts: list[Part], order: str) -> tuple[Part, ...]:
        if len(parts) < 2:
            raise document.error(f"needs 2 to {_MAX_STEPS} different rules{order}: mend its 'rules'", _RULES)
        return tuple(parts)

    def _check_order(self, document: Document, rule: SigmaCorrelationRule, steps: int) -> None:
        if isinstance(rule.condition, SigmaExtendedCorrelationCondition):
            raise document.error(
                "has a condition other than all rules in order: remove the condition, or use type temporal", _CONDITION
            )
        if "condition" in document.data["correlation"]:
            bounds = written(document, Function.COUNT).bounds
            if bounds != (Bound(Relation.GTE, Decimal(steps)),):
                raise document.error("has a condition other than all rules in order: remove the condition", _CONDITION)

    def _measure(self, document: Document, rule: SigmaCorrelationRule, names: Names, parts: list[Part]) -> Windowed:
        function = _FUNCTIONS[rule.type]
        condition = written(document, function)
        field = names.counted(document, function, condition.field, parts)
        least = _plain(condition.bounds) if function in _COUNTS else None
        sources = _merged(parts)
        match sources:
            case [Selection() as selection] if least is not None and field is None:
                return EventCount(selection, names.group_by, rule.timespan.seconds, least)
            case [Selection() as selection] if least is not None and field is not None:
                return ValueCount(selection, names.group_by, rule.timespan.seconds, least, field)
        return Measure(
            tuple(sources),
            names.group_by,
            rule.timespan.seconds,
            function,
            condition.bounds,
            field,
            condition.percentile,
        )

    def _selection(self, rule: SigmaRule, keys: tuple[str, ...]) -> Selection:
        document = self._document(rule)
        source = rule.logsource
        if source.product != "bearerwatch" or source.service not in CLOSED["kind"] or source.category is not None:
            raise document.error(
                "is not about our events: write 'logsource: {product: bearerwatch, service: auth}' "
                f"(service is the kind of event: {', '.join(sorted(CLOSED['kind']))})",
                ("logsource",),
            )
        kind, where = Compare("kind", Op.IN, (source.service,)), _where(document, rule)
        selection = Selection(str(rule.name or rule.title), And((kind, where)))
        if source.service != Kind.AUTH or "service" in fields_of(EventCount(selection, keys, 0, 0)):
            return selection  # what asks for services counts what each of them saw
        return Selection(selection.name, And((kind, where, _ONCE)))


def _merged(parts: list[Part]) -> list[Part]:
    """Base rules that name their fields alike are one selection: an event that several take counts once."""
    plain = [part for part in parts if isinstance(part, Selection) and not part.aliases]
    others = [part for part in parts if part not in plain]
    if len(plain) > 1:
        plain = [Selection("+".join(one.name for one in plain), Or(tuple(one.where for one in plain)))]
    return [*plain, *others]


def _plain(bounds: tuple[Bound, ...]) -> int | None:
    """The threshold, if there is a lower one and nothing else."""
    if len(bounds) != 1:
        return None
    (bound,) = bounds
    match bound.relation:
        case Relation.GTE:
            return max(1, math.ceil(bound.number))
        case Relation.GT:
            return max(1, math.floor(bound.number) + 1)
    return None


def _where(document: Document, rule: SigmaRule) -> Condition:
    if len(rule.detection.parsed_condition) != 1:
        raise document.error("has several conditions: join them with 'or'", ("detection", "condition"))
    try:
        found = condition(rule.detection.parsed_condition[0].parsed)
        judge(found)
        return found
    except Refusal as refusal:
        raise document.error(str(refusal), _place_of(document, refusal.field)) from None
    except CANNOT as error:
        raise document.error(f"has a detection that cannot be read: {said(error)}", ("detection",)) from None


def _place_of(document: Document, field: str | None) -> tuple[str | int, ...]:
    for place in document.lines:
        if place[0] == "detection" and isinstance(place[-1], str) and place[-1].split("|")[0] == field:
            return place
    return ("detection",)
