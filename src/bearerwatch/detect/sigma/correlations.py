"""Correlation rules: how many events, of what key, within which time, in which order."""

from __future__ import annotations

import math
from collections.abc import Callable

from sigma.correlations import (
    SigmaCorrelationCondition,
    SigmaCorrelationConditionOperator,
    SigmaCorrelationRule,
    SigmaCorrelationType,
)
from sigma.rule import SigmaRule

from bearerwatch.detect.documents import Document
from bearerwatch.detect.fields import CLOSED, TYPES, near
from bearerwatch.detect.ir import (
    And,
    Compare,
    Condition,
    Correlation,
    EventCount,
    Not,
    Op,
    Or,
    Selection,
    Sequence,
    Step,
    ValueCount,
    fields_of,
)
from bearerwatch.detect.sigma.complaints import CANNOT, said
from bearerwatch.detect.sigma.conditions import Refusal, condition
from bearerwatch.detect.sigma.expressions import judge
from bearerwatch.event import REPEATED, Kind

__all__ = ["Parsed", "Translation"]

Parsed = SigmaRule | SigmaCorrelationRule

_MAX_WINDOW = 7 * 86_400
_MAX_COUNT = 1_000_000
_MAX_KEY = 8
_MAX_STEPS = 8
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

    def __call__(self, rule: SigmaCorrelationRule) -> Correlation:
        """Translate *rule* and all it refers to."""
        document = self._document(rule)
        if rule.generate:
            raise document.error("uses generate, which is not supported: remove it", ("correlation", "generate"))
        if len(rule.aliases):
            raise document.error(
                "uses aliases; every event has the same fields: remove them", ("correlation", "aliases")
            )
        seconds = rule.timespan.seconds
        if seconds > _MAX_WINDOW:
            raise document.error("has a timespan beyond 7d: use a shorter one", ("correlation", "timespan"))
        keys = _keys(document, rule.group_by or [])
        if rule.type is SigmaCorrelationType.TEMPORAL_ORDERED:
            return self._sequence(rule, keys, seconds)
        if rule.type not in {SigmaCorrelationType.EVENT_COUNT, SigmaCorrelationType.VALUE_COUNT}:
            raise document.error(
                f"is a {rule.type.name.lower()} correlation, which is not supported: "
                "use event_count, value_count or temporal_ordered",
                ("correlation", "type"),
            )
        selection = self._union(rule, keys)
        at_least, counted = _threshold(document, rule)
        if rule.type is SigmaCorrelationType.VALUE_COUNT:
            return ValueCount(selection, keys, seconds, at_least, _counted(document, counted, keys))
        if counted is not None:
            raise document.error(
                "counts events, which needs no 'field': remove it, or use value_count", ("correlation", "condition")
            )
        return EventCount(selection, keys, seconds, at_least)

    def _sequence(self, rule: SigmaCorrelationRule, keys: tuple[str, ...], seconds: int) -> Sequence:
        document = self._document(rule)
        referenced = [reference.rule for reference in rule.referenced_rules]
        if not 2 <= len(referenced) <= _MAX_STEPS or len({id(r) for r in referenced}) != len(referenced):
            raise document.error(
                f"needs 2 to {_MAX_STEPS} different rules, in the order they must happen", ("correlation", "rules")
            )
        plain = isinstance(rule.condition, SigmaCorrelationCondition) and (
            rule.condition.op is SigmaCorrelationConditionOperator.GTE and rule.condition.count == len(referenced)
        )
        if not plain:
            raise document.error(
                "has a condition other than all rules in order: remove the condition", ("correlation", "condition")
            )
        return Sequence(tuple(self._step(r, keys) for r in referenced), keys, seconds)

    def _step(self, rule: Parsed, keys: tuple[str, ...]) -> Step:
        if isinstance(rule, SigmaRule):
            return self._selection(rule, keys)
        if rule.type is SigmaCorrelationType.TEMPORAL_ORDERED:
            raise self._document(rule).error("is an ordered correlation within another: put all steps into one")
        step = self(rule)
        if isinstance(step, Sequence) or step.group_by != keys:
            raise self._document(rule).error(
                f"groups otherwise than the correlation it is a step of: group by {', '.join(keys)} in both",
                ("correlation", "group-by"),
            )
        return step

    def _union(self, rule: SigmaCorrelationRule, keys: tuple[str, ...]) -> Selection:
        bases = []
        for reference in rule.referenced_rules:
            if not isinstance(reference.rule, SigmaRule):
                raise self._document(rule).error(
                    "counts the hits of another correlation, which is not supported: refer to base rules",
                    ("correlation", "rules"),
                )
            bases.append(self._selection(reference.rule, keys))
        if len(bases) == 1:
            return bases[0]
        return Selection("+".join(base.name for base in bases), Or(tuple(base.where for base in bases)))

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


def _keys(document: Document, names: list[str]) -> tuple[str, ...]:
    where = ("correlation", "group-by")
    if not names or len(names) > _MAX_KEY or len(set(names)) != len(names):
        raise document.error(f"needs a 'group-by' of one to {_MAX_KEY} different fields, such as client_ip", where)
    for name in names:
        if name not in TYPES:
            raise document.error(f"groups by {name!r}, which no event has{near(name, TYPES)}", where)
    return tuple(names)


def _counted(document: Document, counted: str | list[str] | None, keys: tuple[str, ...]) -> str:
    where = ("correlation", "condition", "field")
    if not isinstance(counted, str):
        raise document.error("counts values of several fields at once: name one field", where)
    if counted not in TYPES:
        raise document.error(f"counts values of {counted!r}, which no event has{near(counted, TYPES)}", where)
    if counted in keys:
        raise document.error(f"counts values of {counted}, by which it groups: there is only ever one", where)
    return counted


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


def _threshold(document: Document, rule: SigmaCorrelationRule) -> tuple[int, str | list[str] | None]:
    where = ("correlation", "condition")
    found = rule.condition
    if not isinstance(found, SigmaCorrelationCondition) or found.op not in {
        SigmaCorrelationConditionOperator.GTE,
        SigmaCorrelationConditionOperator.GT,
    }:
        raise document.error(
            "has a condition that fewer events can meet, which cannot be decided as events arrive: use gt or gte", where
        )
    more = found.op is SigmaCorrelationConditionOperator.GT
    # as it is written: what pySigma 1 makes of a number is whole
    number = float(document.data["correlation"]["condition"][found.op.name.lower()])
    at_least = math.floor(number) + 1 if more else math.ceil(number)
    if not 1 <= at_least <= _MAX_COUNT:
        raise document.error(f"has a threshold that is not between 1 and {_MAX_COUNT}", where)
    return at_least, found.fieldref
