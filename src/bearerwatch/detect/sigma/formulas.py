"""What a temporal correlation wants of its rules: all of them, so many of them, or an expression."""

from __future__ import annotations

import math
from itertools import combinations

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionItem,
    CorrelationConditionNOT,
    CorrelationConditionOR,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from bearerwatch.detect.documents import Document
from bearerwatch.detect.ir_windows import Formula, Function, Joint, Met, Quantor, Relation, Temporal
from bearerwatch.detect.sigma.bounds import written
from bearerwatch.detect.sigma.names import Parsed

__all__ = ["formula"]

_PLACE = ("correlation", "condition")
_QUANTORS: dict[type, Quantor] = {
    CorrelationConditionAND: Quantor.ALL,
    CorrelationConditionOR: Quantor.ANY,
    CorrelationConditionNOT: Quantor.NONE,
}
_MAX_TERMS = 64


def formula(document: Document, rule: SigmaCorrelationRule, referenced: list[Parsed]) -> Formula:
    """What *rule* wants of the rules *referenced*.

    Raises:
        RuleError: a rule is named that is not referenced or left out, or nothing need happen at all.
    """
    if not isinstance(rule.condition, SigmaExtendedCorrelationCondition):
        return _several(document, len(referenced))
    places = {name: i for i, one in enumerate(referenced) for name in (one.name, str(one.id)) if name is not None}
    places |= {reference.reference: i for i, reference in enumerate(rule.referenced_rules)}
    terms: list[int] = []
    found = _read(document, rule.condition.parsed, places, terms)
    if left := [one.name or one.title for i, one in enumerate(referenced) if i not in terms]:
        raise document.error(f"has a condition without {', '.join(left)}: use it, or take it out of 'rules'", _PLACE)
    if not Temporal((), (), 0, found).anchors:
        raise document.error(
            "has a condition of 'not' alone, which holds where nothing happens: add a rule that must be met", _PLACE
        )
    return found


def _read(
    document: Document, node: CorrelationConditionItem | SigmaRuleReference, places: dict[str, int], terms: list[int]
) -> Formula:
    if isinstance(node, SigmaRuleReference):
        if node.reference not in places:
            raise document.error(f"has a condition with {node.reference}, which is not in its 'rules': add it", _PLACE)
        terms.append(places[node.reference])
        if len(terms) > _MAX_TERMS:
            raise document.error(f"has a condition of more than {_MAX_TERMS} terms: shorten it", _PLACE)
        return Met(terms[-1])
    return Joint(_QUANTORS[type(node)], tuple(_read(document, item, places, terms) for item in node.args))


def _several(document: Document, number: int) -> Formula:
    """All of them, or at least so many."""
    least = number
    if isinstance(document.data["correlation"].get("condition"), dict):
        bounds = written(document, Function.COUNT).bounds
        match bounds:
            case (bound,) if bound.relation is Relation.GTE:
                least = math.ceil(bound.number)
            case (bound,) if bound.relation in {Relation.GT, Relation.EQ}:
                least = math.floor(bound.number) + (bound.relation is Relation.GT)
            case _:
                least = 0
        equal = bounds[0].relation is Relation.EQ and least != number
        if not 1 <= least <= number or equal:
            raise document.error(
                f"has a condition that is not about 1 to {number} of its rules: write 'gte: {number}', or an "
                "expression such as 'one and not other'",
                _PLACE,
            )
    each = [Joint(Quantor.ALL, tuple(map(Met, some))) for some in combinations(range(number), least)]
    return each[0] if len(each) == 1 else Joint(Quantor.ANY, tuple(each))
