"""Rule files: their documents, parsed by pySigma, and the one rule they come to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaRuleLocation
from sigma.rule import SigmaRule

from bearerwatch.detect.documents import Document, at, read
from bearerwatch.detect.fields import near
from bearerwatch.detect.ir import Correlation, Rule
from bearerwatch.detect.sigma.bounds import stand_in
from bearerwatch.detect.sigma.complaints import CANNOT, POLICY, blamed, quietly, said
from bearerwatch.detect.sigma.correlations import Translation
from bearerwatch.detect.sigma.extensions import extended
from bearerwatch.detect.sigma.names import Parsed

__all__ = ["read_rule"]

_COMMON = frozenset(
    {"title", "id", "name", "taxonomy", "related", "status", "description", "license", "references", "tags"}
    | {"author", "date", "modified", "fields", "falsepositives", "level", "scope", "bearerwatch"}
)
_BASE = _COMMON | {"logsource", "detection"}
_CORRELATION = _COMMON | {"correlation"}
_CORRELATION_BODY = frozenset({"type", "rules", "group-by", "timespan", "condition", "aliases", "generate"})
_OURS = frozenset({"version", "advice", "notes", "detect"})
_NEEDED = ("title", "id", "status", "level", "description", "falsepositives", "bearerwatch")
_MAX_VERSION = 1_000_000


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
            self.rules: list[Parsed] = SigmaCollection(list(parsed)).rules
        except CANNOT as error:
            raise at(
                path, 1, f"refers to a rule it does not have ({said(error)}): name one of its base rules"
            ) from None

    def document(self, rule: Parsed) -> Document:
        return self.documents[id(rule)]

    def _parsed(self, document: Document) -> Parsed:
        data = document.data
        if "action" in data or "filter" in data:
            raise document.error("uses a global action or a filter: write each rule out in full", ("action",))
        kind: type[SigmaRule | SigmaCorrelationRule] = SigmaCorrelationRule if "correlation" in data else SigmaRule
        if not isinstance(data.get("id", ""), str):
            raise document.error("has an id that is no UUID: make one with 'uuidgen'", ("id",))
        known = _CORRELATION if kind is SigmaCorrelationRule else _BASE
        _only(document, data, known, ())
        if isinstance(data.get("correlation"), dict):
            _only(document, data["correlation"], _CORRELATION_BODY, ("correlation",))
        try:
            with quietly():
                rule = kind.from_dict(_taken(data), source=SigmaRuleLocation(self.path, document.line), **POLICY)
        except CANNOT as error:
            raise document.error(f"is no Sigma rule: {said(error)}. Mend it here", blamed(data, error)) from None
        self.documents[id(rule)] = document
        return rule

    def _check_names(self, parsed: Iterable[Parsed]) -> None:
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
        translation = Translation(self.document)
        correlation = extended(self.document(roots[0]), translation(roots[0]))
        for rule in self.rules:
            if id(rule) not in translation.used:
                raise self.document(rule).error(
                    f"is used by no other, beginning with the one correlation that stands for the rule: "
                    f"name {rule.name or rule.id or 'it'} in its 'rules', or remove it"
                )
        return self._described(roots[0], correlation)

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


def _taken(data: dict[str, Any]) -> dict[str, Any]:
    """What pySigma is given of a document: a condition that it can read, where ours are read as written."""
    body = data.get("correlation")
    if not isinstance(body, dict) or not isinstance(body.get("condition"), dict):
        return data
    return data | {"correlation": body | {"condition": stand_in(body["condition"])}}


def _only(document: Document, data: dict[Any, Any], known: frozenset[str], place: tuple[str, ...]) -> None:
    for key in data:
        if key not in known:
            mend = near(str(key), known) or f"; there are: {', '.join(sorted(known))}"
            raise document.error(f"has an unknown key {str(key)!r}{mend}", (*place, str(key)))


def _ours(document: Document) -> tuple[int, str, tuple[str, ...]]:
    data = document.data["bearerwatch"]
    where = ("bearerwatch",)
    if not isinstance(data, dict):
        raise document.error("has a 'bearerwatch' that is no mapping: write 'bearerwatch: {version: 1}'", where)
    _only(document, data, _OURS, where)
    version, advice, notes = data.get("version"), data.get("advice", ""), data.get("notes", [])
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= _MAX_VERSION:
        raise document.error(
            "needs bearerwatch.version, a whole number from 1: raise it when the meaning changes", where
        )
    if not isinstance(advice, str):
        raise document.error("has a bearerwatch.advice that is no text: write a sentence", (*where, "advice"))
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise document.error("has bearerwatch.notes that are no list of text: write '- …' per note", (*where, "notes"))
    return version, advice.strip(), tuple(note.strip() for note in notes)
