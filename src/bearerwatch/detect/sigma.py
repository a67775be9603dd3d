"""The one door to pySigma: a rule file in, a :class:`~bearerwatch.detect.ir.Rule` out.

A file holds base rules (which events) and exactly one correlation rule nothing else refers to (how many, of what key,
within which time): that one is the rule. What bearerwatch adds to Sigma stands in it under one key::

    bearerwatch:
      version: 1          # raise it when the rule's meaning changes; needed
      advice: ...         # what to do when it fires
      notes: [...]        # how to tell false positives, how to tune

Sigma: https://github.com/SigmaHQ/sigma-specification, rules 2.1.0 and correlation rules 2.1.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from sigma.collection import SigmaCollection
from sigma.correlations import (
    SigmaCorrelationCondition,
    SigmaCorrelationConditionOperator,
    SigmaCorrelationRule,
    SigmaCorrelationType,
)
from sigma.exceptions import SigmaError, SigmaRuleLocation
from sigma.rule import SigmaRule

from bearerwatch.detect.conditions import Refusal, condition
from bearerwatch.detect.documents import Document, at, read
from bearerwatch.detect.fields import CLOSED, TYPES, near
from bearerwatch.detect.ir import (
    And,
    Compare,
    Condition,
    Correlation,
    EventCount,
    Op,
    Or,
    Rule,
    Selection,
    Sequence,
    Step,
    ValueCount,
)

__all__ = ["read_rule"]

_COMMON = frozenset(
    [
        "title",
        "id",
        "name",
        "taxonomy",
        "related",
        "status",
        "description",
        "license",
        "references",
        "tags",
        "author",
        "date",
        "modified",
        "fields",
        "falsepositives",
        "level",
        "scope",
        "bearerwatch",
    ]
)
_BASE = _COMMON | {"logsource", "detection"}
_CORRELATION = _COMMON | {"correlation"}
_CORRELATION_BODY = frozenset({"type", "rules", "group-by", "timespan", "condition", "aliases", "generate"})
_OURS = frozenset({"version", "advice", "notes"})
_NEEDED = ("title", "id", "status", "level", "description", "falsepositives", "bearerwatch")
_MAX_WINDOW = 7 * 86_400
_MAX_COUNT = 1_000_000
_MAX_KEY = 8
_MAX_STEPS = 8

# pySigma meets odd YAML with whatever Python raises.
_CANNOT = (SigmaError, TypeError, ValueError, AttributeError, LookupError, RecursionError)


def read_rule(path: Path) -> Rule:
    """Read one rule file.

    Args:
        path: ``<name>.yml``; the name becomes the rule's.

    Returns:
        The rule.

    Raises:
        RuleError: the message begins with ``file:line`` and says how to mend the file.
    """
    return _File(path).rule()


class _File:
    """One file's documents, parsed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.documents: dict[int, Document] = {}
        parsed = [self._parsed(document) for document in read(path)]
        if not parsed:
            raise at(path, 1, "is empty: write a base rule and a correlation rule")
        self._check_names(parsed)
        try:
            self.rules: list[SigmaRule | SigmaCorrelationRule] = SigmaCollection(list(parsed)).rules
        except _CANNOT as error:
            raise at(
                path, 1, f"refers to a rule it does not have ({_said(error)}): name one of its base rules"
            ) from None

    def document(self, rule: SigmaRule | SigmaCorrelationRule) -> Document:
        return self.documents[id(rule)]

    def _parsed(self, document: Document) -> SigmaRule | SigmaCorrelationRule:
        data = document.data
        if "action" in data or "filter" in data:
            raise document.error("uses a global action or a filter: write each rule out in full", ("action",))
        kind: type[SigmaRule | SigmaCorrelationRule] = SigmaCorrelationRule if "correlation" in data else SigmaRule
        known = _CORRELATION if kind is SigmaCorrelationRule else _BASE
        _only(document, data, known, ())
        if isinstance(data.get("correlation"), dict):
            _only(document, data["correlation"], _CORRELATION_BODY, ("correlation",))
        try:
            rule = kind.from_dict(data, source=SigmaRuleLocation(self.path, document.line))
        except _CANNOT as error:
            raise document.error(f"is no Sigma rule: {_said(error)}", _blamed(data, error)) from None
        self.documents[id(rule)] = document
        return rule

    def _check_names(self, parsed: Iterable[SigmaRule | SigmaCorrelationRule]) -> None:
        seen: set[object] = set()
        for rule in parsed:
            for name in (rule.name, rule.id):
                if name is not None and name in seen:
                    raise self.document(rule).error(f"has the name or id {name} a second time: give each its own")
                seen.add(name)

    def rule(self) -> Rule:
        correlations = [rule for rule in self.rules if isinstance(rule, SigmaCorrelationRule)]
        roots = [rule for rule in correlations if not rule._backreferences]  # noqa: SLF001 - pySigma has no other way
        if len(roots) != 1:
            found = "none" if not correlations else f"{len(roots)}"
            where = self.document(roots[1]) if len(roots) > 1 else self.document(self.rules[0])
            raise where.error(
                f"has {found} correlation rule(s) that no other refers to, and needs exactly one: "
                "add a document with 'correlation:' (type, rules, group-by, timespan, condition), or split the file"
            )
        for rule in self.rules:
            if not rule._backreferences and rule is not roots[0]:  # noqa: SLF001
                raise self.document(rule).error(
                    f"is not used by any correlation: add {rule.name or rule.id or 'a name'} to its 'rules', or remove it"
                )
        return self._described(roots[0], self._correlation(roots[0]))

    def _described(self, root: SigmaCorrelationRule, correlation: Correlation) -> Rule:
        document = self.document(root)
        for key in _NEEDED:
            if document.data.get(key) in (None, "", []):
                raise document.error(f"has no '{key}': add it")
        if not isinstance(root.id, UUID):
            raise document.error("has an id that is no UUID: make one with 'uuidgen'", ("id",))
        version, advice, notes = _ours(document)
        return Rule(
            name=self.path.name.removesuffix(".yml"),
            uuid=str(root.id),
            version=version,
            title=root.title,
            level=str(root.level),
            status=str(root.status),
            description=(root.description or "").strip(),
            correlation=correlation,
            advice=advice,
            falsepositives=tuple(str(item) for item in root.falsepositives),
            notes=notes,
            tags=tuple(str(tag) for tag in root.tags),
            references=tuple(str(item) for item in root.references),
            path=self.path,
        )

    def _correlation(self, rule: SigmaCorrelationRule) -> Correlation:
        document = self.document(rule)
        if rule.generate:
            raise document.error("uses generate, which is not supported: remove it", ("correlation", "generate"))
        if len(rule.aliases):
            raise document.error(
                "uses aliases; every event has the same fields: remove them", ("correlation", "aliases")
            )
        seconds = rule.timespan.seconds
        if seconds > _MAX_WINDOW:
            raise document.error("has a timespan beyond 7d: use a shorter one", ("correlation", "timespan"))
        keys = self._keys(document, rule.group_by or [])
        if rule.type is SigmaCorrelationType.TEMPORAL_ORDERED:
            return self._sequence(rule, keys, seconds)
        if rule.type not in {SigmaCorrelationType.EVENT_COUNT, SigmaCorrelationType.VALUE_COUNT}:
            raise document.error(
                f"is a {rule.type.name.lower()} correlation, which is not supported: "
                "use event_count, value_count or temporal_ordered",
                ("correlation", "type"),
            )
        selection = self._union(rule)
        at_least, counted = _threshold(document, rule)
        if rule.type is SigmaCorrelationType.VALUE_COUNT:
            return ValueCount(selection, keys, seconds, at_least, self._counted(document, counted, keys))
        if counted is not None:
            raise document.error(
                "counts events, which needs no 'field': remove it, or use value_count", ("correlation", "condition")
            )
        return EventCount(selection, keys, seconds, at_least)

    def _keys(self, document: Document, names: list[str]) -> tuple[str, ...]:
        where = ("correlation", "group-by")
        if not names or len(names) > _MAX_KEY or len(set(names)) != len(names):
            raise document.error(f"needs a 'group-by' of one to {_MAX_KEY} different fields, such as client_ip", where)
        for name in names:
            if name not in TYPES:
                raise document.error(f"groups by {name!r}, which no event has{near(name, TYPES)}", where)
        return tuple(names)

    def _counted(self, document: Document, counted: str | list[str] | None, keys: tuple[str, ...]) -> str:
        where = ("correlation", "condition", "field")
        if not isinstance(counted, str):
            raise document.error("counts values of several fields at once: name one field", where)
        if counted not in TYPES:
            raise document.error(f"counts values of {counted!r}, which no event has{near(counted, TYPES)}", where)
        if counted in keys:
            raise document.error(f"counts values of {counted}, by which it groups: there is only ever one", where)
        return counted

    def _sequence(self, rule: SigmaCorrelationRule, keys: tuple[str, ...], seconds: int) -> Sequence:
        document = self.document(rule)
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

    def _step(self, rule: SigmaRule | SigmaCorrelationRule, keys: tuple[str, ...]) -> Step:
        if isinstance(rule, SigmaRule):
            return self._selection(rule)
        step = self._correlation(rule)
        if isinstance(step, Sequence):
            raise self.document(rule).error("is an ordered correlation within another: put all steps into one")
        if step.group_by != keys:
            raise self.document(rule).error(
                f"groups otherwise than the correlation it is a step of: group by {', '.join(keys)} in both",
                ("correlation", "group-by"),
            )
        return step

    def _union(self, rule: SigmaCorrelationRule) -> Selection:
        bases = []
        for reference in rule.referenced_rules:
            if not isinstance(reference.rule, SigmaRule):
                raise self.document(rule).error(
                    "counts the hits of another correlation, which is not supported: refer to base rules",
                    ("correlation", "rules"),
                )
            bases.append(self._selection(reference.rule))
        if len(bases) == 1:
            return bases[0]
        return Selection("+".join(base.name for base in bases), Or(tuple(base.where for base in bases)))

    def _selection(self, rule: SigmaRule) -> Selection:
        document = self.document(rule)
        source = rule.logsource
        if source.product != "bearerwatch" or source.service not in CLOSED["kind"] or source.category is not None:
            raise document.error(
                "is not about our events: write 'logsource: {product: bearerwatch, service: auth}' "
                f"(service is the kind of event: {', '.join(sorted(CLOSED['kind']))})",
                ("logsource",),
            )
        return Selection(
            str(rule.name or rule.title), And((Compare("kind", Op.IN, (source.service,)), self._where(document, rule)))
        )

    def _where(self, document: Document, rule: SigmaRule) -> Condition:
        if len(rule.detection.parsed_condition) != 1:
            raise document.error("has several conditions: join them with 'or'", ("detection", "condition"))
        try:
            return condition(rule.detection.parsed_condition[0].parsed)
        except Refusal as refusal:
            raise document.error(str(refusal), _place_of(document, refusal.field)) from None
        except _CANNOT as error:
            raise document.error(f"has a detection that cannot be read: {_said(error)}", ("detection",)) from None


def _only(document: Document, data: dict[Any, Any], known: frozenset[str], place: tuple[str, ...]) -> None:
    for key in data:
        if key not in known:
            raise document.error(f"has an unknown key {str(key)!r}{near(str(key), known)}", (*place, str(key)))


def _said(error: BaseException) -> str:
    text = str(error).split(" in ", maxsplit=1)[0] if isinstance(error, SigmaError) else str(error)
    return text.strip().splitlines()[0][:300] if text.strip() else type(error).__name__


def _blamed(data: dict[str, Any], error: BaseException) -> tuple[str, ...]:
    """The top-level key pySigma's complaint is about, as far as its words tell."""
    words = str(error).lower()
    named = [key for key in data if key.lower() in words]
    return (max(named, key=len),) if named else ()


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
    at_least = math.floor(found.count) + 1 if more else math.ceil(found.count)
    if not 1 <= at_least <= _MAX_COUNT:
        raise document.error(f"has a threshold that is not between 1 and {_MAX_COUNT}", where)
    return at_least, found.fieldref


def _ours(document: Document) -> tuple[int, str, tuple[str, ...]]:
    data = document.data["bearerwatch"]
    where = ("bearerwatch",)
    if not isinstance(data, dict):
        raise document.error("has a 'bearerwatch' that is no mapping: write 'bearerwatch: {version: 1}'", where)
    _only(document, data, _OURS, where)
    version, advice, notes = data.get("version"), data.get("advice", ""), data.get("notes", [])
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= _MAX_COUNT:
        raise document.error(
            "needs bearerwatch.version, a whole number from 1: raise it when the meaning changes", where
        )
    if not isinstance(advice, str):
        raise document.error("has a bearerwatch.advice that is no text: write a sentence", (*where, "advice"))
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise document.error("has bearerwatch.notes that are no list of text: write '- …' per note", (*where, "notes"))
    return version, advice.strip(), tuple(note.strip() for note in notes)
