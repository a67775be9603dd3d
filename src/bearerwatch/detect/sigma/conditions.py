"""From pySigma's condition tree to ours: every value checked against the type of the field it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from bearerwatch.detect.fields import CLOSED, NETWORK, TYPES, near
from bearerwatch.detect.ir import And, Compare, Condition, Not, Op, Or, Scalar, Wildcard

__all__ = ["Refusal", "condition"]

_MAX_PATTERN = 512
_MAX_WILDCARDS = 16
_INT64 = 2**63 - 1

_COMPARISONS = {
    CompareOperators.GT: Op.GT,
    CompareOperators.GTE: Op.GTE,
    CompareOperators.LT: Op.LT,
    CompareOperators.LTE: Op.LTE,
}
_WILDCARDS = {SpecialChars.WILDCARD_MULTI: Wildcard.MANY, SpecialChars.WILDCARD_SINGLE: Wildcard.ONE}


class Refusal(Exception):  # noqa: N818 - becomes a RuleError once the line is known
    """A part of a condition that cannot be used; ``field`` says where to look for it."""

    def __init__(self, message: str, field: str | None = None) -> None:
        """Keep both."""
        super().__init__(message)
        self.field = field


def condition(node: object) -> Condition:
    """Translate a postprocessed pySigma condition.

    Raises:
        Refusal: an unknown field, a value the field can never have, or a feature of Sigma that is not supported.
    """
    match node:
        case ConditionAND():
            return _joined(And, [condition(arg) for arg in node.args])
        case ConditionOR():
            return _joined(Or, _merged([condition(arg) for arg in node.args]))
        case ConditionNOT():
            return Not(condition(node.args[0]))
        case ConditionFieldEqualsValueExpression():
            return _compare(node.field, node.value)
    raise Refusal("has a keyword search without a field: name the field, such as 'outcome: invalid'")


def _joined(kind: type[And | Or], items: list[Condition]) -> Condition:
    return items[0] if len(items) == 1 else kind(tuple(items))


def _merged(items: list[Condition]) -> list[Condition]:
    """Equalities on one field become one: ``a=1 or a=2`` is ``a in (1, 2)``."""
    merged: dict[tuple[str, bool], list[Scalar]] = {}
    out: list[Condition] = []
    for item in items:
        if isinstance(item, Compare) and item.op is Op.IN and isinstance(item.value, tuple):
            key = item.field, item.cased
            if key not in merged:
                merged[key] = []
                out.append(item)
            merged[key].extend(v for v in item.value if not isinstance(v, Wildcard))
        else:
            out.append(item)
    return [
        Compare(item.field, Op.IN, tuple(dict.fromkeys(merged[item.field, item.cased])), cased=item.cased)
        if isinstance(item, Compare) and item.op is Op.IN
        else item
        for item in out
    ]


def _compare(field: str, value: SigmaType) -> Compare:
    kind = TYPES.get(field)
    if kind is None:
        raise Refusal(_no_field(field), field)
    match value:
        case SigmaNull():
            return Compare(field, Op.EXISTS, value=False)
        case SigmaExists():
            return Compare(field, Op.EXISTS, value=bool(value))
        case SigmaRegularExpression():
            return _regex(field, kind, value)
        case SigmaCIDRExpression():
            if field not in NETWORK:
                raise Refusal(f"uses cidr on {field}, which is no address: use it on {_any(NETWORK)}", field)
            return Compare(field, Op.CIDR, str(value.network))
        case SigmaCompareExpression():
            return _ordered(field, kind, value)
        case SigmaTimestampPart():
            raise Refusal(f"takes a part of a time from {field}, which is not supported: use timespan", field)
        case SigmaString():
            return _string(field, kind, value)
        case SigmaBool():
            return Compare(field, Op.IN, (_READ[kind](field, value.boolean),))
        case SigmaNumber():
            return Compare(field, Op.IN, (_READ[kind](field, value.number),))
    raise Refusal(
        f"compares {field} in a way that is not supported here: use plain values, wildcards, contains, startswith, "
        "endswith, gt, gte, lt, lte, cidr, exists, re, cased, all or neq",
        field,
    )


def _no_field(field: str) -> str:
    if field == "ts":
        return "compares ts: say how events lie in time with the correlation's timespan"
    known = ", ".join(sorted(TYPES))
    return f"names the field {field!r}, which no event has{near(field, TYPES)}; the fields are: {known}"


def _any(names: frozenset[str]) -> str:
    return " or ".join(sorted(names))


def _regex(field: str, kind: str, value: SigmaRegularExpression) -> Compare:
    if kind != "VARCHAR":
        raise Refusal(f"uses re on {field}, which is no text: use gt, gte, lt or lte", field)
    pattern = value.escape(escape_escape_char=False)
    if len(pattern) > _MAX_PATTERN:
        raise Refusal(f"has a regular expression for {field} longer than {_MAX_PATTERN} characters: shorten it", field)
    return Compare(field, Op.RE, pattern)


def _string(field: str, kind: str, value: SigmaString) -> Compare:
    if any(isinstance(part, Placeholder) for part in value.s):
        raise Refusal(f"has a placeholder (%name%) for {field}: write the values out", field)
    if value.contains_special():
        return _pattern(field, kind, value)
    text = "".join(part for part in value.s if isinstance(part, str))
    return Compare(field, Op.IN, (_READ[kind](field, text),), cased=isinstance(value, SigmaCasedString))


def _pattern(field: str, kind: str, value: SigmaString) -> Compare:
    if kind != "VARCHAR":
        raise Refusal(f"has a wildcard for {field}, which is no text: list the values or use gt, gte, lt, lte", field)
    parts = tuple(_WILDCARDS[part] if isinstance(part, SpecialChars) else str(part) for part in value.s)
    if sum(isinstance(part, Wildcard) for part in parts) > _MAX_WILDCARDS:
        raise Refusal(f"has more than {_MAX_WILDCARDS} wildcards in one value of {field}: use fewer", field)
    return Compare(field, Op.LIKE, parts, cased=isinstance(value, SigmaCasedString))


def _ordered(field: str, kind: str, value: SigmaCompareExpression) -> Compare:
    if kind not in {"BIGINT", "DOUBLE"}:
        raise Refusal(f"orders {field}, which is no number: compare it with plain values", field)
    if value.op not in _COMPARISONS or not isinstance(value.number, SigmaNumber):
        raise Refusal(f"orders {field} by an operator that is not supported: use gt, gte, lt or lte", field)
    number = value.number.number
    if abs(number) > _INT64:
        raise Refusal(f"compares {field} with a number beyond 64 bits: no event has one", field)
    return Compare(field, _COMPARISONS[value.op], number)


def _text(field: str, value: Scalar) -> str:
    if isinstance(value, bool):
        raise Refusal(f"compares {field}, which is text, with true or false: put the value in quotes", field)
    text = str(value)
    known = CLOSED.get(field)
    if known is not None and text.lower() not in known:
        raise Refusal(
            f"has the {field} {text!r}, which there is not{near(text.lower(), known)}; {_listed(known)}", field
        )
    return text


def _listed(known: frozenset[str]) -> str:
    return f"there are: {', '.join(sorted(known))}"


def _integer(field: str, value: Scalar) -> int:
    number = None
    with suppress(ValueError):
        number = int(value) if not isinstance(value, bool) and float(value) == int(value) else None
    if number is None or abs(number) > _INT64:
        raise Refusal(f"compares {field}, a whole number, with {value!r}: write a whole number", field)
    return number


def _real(field: str, value: Scalar) -> float:
    number = None
    with suppress(ValueError):
        number = None if isinstance(value, bool) else float(value)
    if number is None:
        raise Refusal(f"compares {field}, a number, with {value!r}: write a number", field)
    return number


def _boolean(field: str, value: Scalar) -> bool:
    if not isinstance(value, bool):
        raise Refusal(f"compares {field} with {value!r}: write true or false, without quotes", field)
    return value


_READ: dict[str, Callable[[str, Scalar], Scalar]] = {
    "VARCHAR": _text,
    "BIGINT": _integer,
    "DOUBLE": _real,
    "BOOLEAN": _boolean,
}
