"""The condition of a correlation, as it is written: pySigma takes one comparison alone, and version 1 whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from bearerwatch.detect.documents import Document
from bearerwatch.detect.fields import near
from bearerwatch.detect.ir_windows import Bound, Function, Relation

__all__ = ["MAX_COUNT", "Written", "stand_in", "written"]

MAX_COUNT = 1_000_000
"""No threshold of events or values may be higher: it would never be reached by anything that can be alerted on."""
_RELATIONS = {relation.value for relation in Relation}
_KEYS = frozenset({*_RELATIONS, "field", "percentile"})
_PLACE = ("correlation", "condition")
_MOST = 2**53
_PLACES = 6
_WHOLE = {Function.COUNT, Function.DISTINCT}


@dataclass(frozen=True, slots=True)
class Written:
    """A condition that is a mapping."""

    bounds: tuple[Bound, ...]
    field: str | None
    percentile: int | None


def stand_in(condition: dict[str, Any]) -> dict[str, Any]:
    """What pySigma is given in the place of *condition*; of a missing field it would say less than we do."""
    return {"gte": 1, "field": "status"} | {key: condition[key] for key in ("field", "percentile") if key in condition}


def written(document: Document, function: Function) -> Written:
    """The condition in *document*, which is known to be a mapping.

    Raises:
        RuleError: it cannot be met, is always met, or is no condition.
    """
    data = document.data["correlation"]["condition"]
    for key in data:
        if key not in _KEYS:
            mend = near(str(key), _KEYS) or f"; there are: {', '.join(sorted(_KEYS))}"
            raise document.error(f"has an unknown key {str(key)!r}{mend}", (*_PLACE, str(key)))
    bounds = tuple(Bound(Relation(key), _number(document, key, data[key])) for key in data if key in _RELATIONS)
    if not bounds:
        raise document.error("has a condition without a comparison: write 'gte: 10', say", _PLACE)
    _check(document, bounds, function)
    return Written(bounds, _field(document, data), _percentile(document, data, function))


def _number(document: Document, key: str, value: Any) -> Decimal:
    number = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = None
    if number is None or not number.is_finite() or abs(number) > _MOST:
        raise document.error(f"compares with something that is no number, or none within 53 bits: mend '{key}'", _PLACE)
    if number != round(number, _PLACES):
        raise document.error(f"has a threshold with more than {_PLACES} decimal places: round it", (*_PLACE, key))
    return number


def _field(document: Document, data: dict[str, Any]) -> str | None:
    field = data.get("field")
    if field is not None and not isinstance(field, str):
        raise document.error("counts values of several fields at once: name one field", (*_PLACE, "field"))
    return field


def _percentile(document: Document, data: dict[str, Any], function: Function) -> int | None:
    percentile = data.get("percentile")
    if function is not Function.PERCENTILE:
        if percentile is not None:
            raise document.error("has a percentile, which only value_percentile takes: remove it", _PLACE)
        return None
    if not isinstance(percentile, int) or isinstance(percentile, bool) or not 1 <= percentile <= 100:
        raise document.error("needs a percentile, a whole number from 1 to 100: write 'percentile: 95'", _PLACE)
    return percentile


def _check(document: Document, bounds: tuple[Bound, ...], function: Function) -> None:
    """That some window meets *bounds*, and some does not."""
    step = Decimal(1) if function in _WHOLE else Decimal(1).scaleb(-_PLACES)
    low, high = _range(bounds, step)
    if function not in _WHOLE:
        if low > high:
            raise document.error("has a condition that nothing can meet: mend the numbers", _PLACE)
        return
    if low > MAX_COUNT:
        raise document.error(f"has a threshold that is not between 1 and {MAX_COUNT}: lower it", _PLACE)
    # the anchor itself is in the window: there is never none
    out = {b.number for b in bounds if b.relation is Relation.NEQ}
    if max(low, Decimal(1)) > high or (low == high and low in out):
        raise document.error(
            "has a condition that nothing can meet: where nothing happens nothing is judged, so the least count is 1",
            _PLACE,
        )
    if low < 1 and high > MAX_COUNT and not any(number >= 1 for number in out):
        raise document.error(
            f"has a threshold that is not between 1 and {MAX_COUNT}: every event would meet it", _PLACE
        )


def _range(bounds: tuple[Bound, ...], step: Decimal) -> tuple[Decimal, Decimal]:
    """The least and the greatest multiple of *step* that meet *bounds*, ``neq`` left aside."""
    low, high = Decimal(-_MOST), Decimal(_MOST)
    for bound in bounds:
        up = (bound.number / step).to_integral_value(rounding="ROUND_CEILING") * step
        down = (bound.number / step).to_integral_value(rounding="ROUND_FLOOR") * step
        match bound.relation:
            case Relation.GT:
                low = max(low, down + step)
            case Relation.GTE:
                low = max(low, up)
            case Relation.LT:
                high = min(high, up - step)
            case Relation.LTE:
                high = min(high, down)
            case Relation.EQ:
                low, high = max(low, up), min(high, down)
            case Relation.NEQ:
                pass
    return low, high
