"""What a correlation calls the fields of its events: group-by, aliases, and the field whose values are counted."""

from __future__ import annotations

import re
from dataclasses import replace

from sigma.correlations import SigmaCorrelationFieldAlias, SigmaCorrelationRule, SigmaRuleReference
from sigma.rule import SigmaRule

from bearerwatch.detect.documents import Document
from bearerwatch.detect.fields import TYPES, near
from bearerwatch.detect.ir import Part, Selection
from bearerwatch.detect.ir_windows import Function

__all__ = ["Names", "Parsed"]

Parsed = SigmaRule | SigmaCorrelationRule

_MAX_KEY = 8
_MAX_ALIASES = 8
_GROUP_BY = ("correlation", "group-by")
_ALIASES = ("correlation", "aliases")
_FIELD = ("correlation", "condition", "field")
_RULES = ("correlation", "rules")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_NUMBERS = frozenset({"BIGINT", "DOUBLE"})
_COUNTS = {Function.COUNT, Function.DISTINCT}


def _names(reference: SigmaRuleReference) -> tuple[str, ...]:
    rule = reference.rule
    return (reference.reference, *(str(name) for name in (rule.name, rule.id) if name is not None))


class Names:
    """Those of one correlation."""

    def __init__(self, document: Document, rule: SigmaCorrelationRule) -> None:
        """Read them.

        Raises:
            RuleError: no group-by, an alias nothing uses or that leaves a rule out, a name that is no field.
        """
        self._document = document
        self._aliases: dict[str, dict[int, str]] = {}
        self._places = {name: one.rule for one in rule.referenced_rules for name in _names(one)}
        for alias in rule.aliases:
            self._aliases[alias.alias] = self._mapped(alias)
            for one in rule.referenced_rules:
                if isinstance(one.rule, SigmaRule) and id(one.rule) not in self._aliases[alias.alias]:
                    raise document.error(
                        f"has an alias {alias.alias} that says nothing of {one.reference}: name its field too", _ALIASES
                    )
        if len(self._aliases) > _MAX_ALIASES:
            raise document.error(f"has more than {_MAX_ALIASES} aliases: use fewer", _ALIASES)
        inner = [one.rule for one in rule.referenced_rules if isinstance(one.rule, SigmaCorrelationRule)]
        self.group_by = self._keys(rule.group_by or [], inner)
        counted = document.data["correlation"].get("condition")
        used = {*self.group_by, counted.get("field") if isinstance(counted, dict) else None}
        for name in self._aliases:
            if name not in used:
                raise document.error(
                    f"has an alias {name} that is neither grouped by nor counted: use or remove it", _ALIASES
                )

    def _mapped(self, alias: SigmaCorrelationFieldAlias) -> dict[int, str]:
        """By rule (its ``id()``) the field that *alias* stands for."""
        name, where, found = alias.alias, (*_ALIASES, str(alias.alias)), {}
        if not _NAME.fullmatch(str(name)) or name in TYPES:
            raise self._document.error(
                f"has an alias {str(name)[:60]!r}, which is a field's name or none at all: call it otherwise", where
            )
        for reference, field in alias.mapping.items():
            rule = self._places.get(str(reference.reference))
            if rule is None:
                raise self._document.error(
                    f"has an alias {name} for {reference.reference}, which is not in its 'rules': mend the name", where
                )
            if not isinstance(rule, SigmaRule):
                raise self._document.error(
                    f"has an alias {name} for a correlation: group by the name that one groups by", where
                )
            if str(field) not in TYPES:
                raise self._document.error(
                    f"has an alias {name} for the field {str(field)!r}, which no event has{near(str(field), TYPES)}",
                    where,
                )
            found[id(rule)] = field
        return found

    def _keys(self, names: list[str], inner: list[SigmaCorrelationRule]) -> tuple[str, ...]:
        if not names or len(names) > _MAX_KEY or len(set(names)) != len(names):
            raise self._document.error(
                f"needs a 'group-by' of one to {_MAX_KEY} different fields, such as client_ip "
                "(kind is the same for all: with it, everything is one key)",
                _GROUP_BY,
            )
        if "event_id" in names:
            raise self._document.error(
                "groups by event_id, of which every event has its own: group by what its events share", _GROUP_BY
            )
        theirs = {name for one in inner for name in one.group_by or []}
        for name in names:
            if name not in TYPES and name not in self._aliases and name not in theirs:
                raise self._document.error(f"groups by {name!r}, which no event has{near(name, TYPES)}", _GROUP_BY)
        return tuple(names)

    def applied(self, rule: SigmaRule, selection: Selection) -> Selection:
        """*selection*, which *rule* came to, with what the names stand for there."""
        for name in self.group_by:
            if name not in TYPES and name not in self._aliases:
                raise self._document.error(
                    f"groups by {name}, which the events of {rule.name or rule.title} do not have: add it to the "
                    "aliases",
                    _GROUP_BY,
                )
        aliases = tuple((name, fields[id(rule)]) for name, fields in self._aliases.items())
        return replace(selection, aliases=aliases) if aliases else selection

    def check(self, rule: SigmaCorrelationRule, group_by: tuple[str, ...]) -> None:
        """That a correlation, which groups by *group_by*, says of each hit what is grouped by here.

        Raises:
            RuleError: it does not.
        """
        missing = [name for name in self.group_by if name not in group_by]
        if missing:
            raise self._document.error(
                f"groups by {', '.join(missing)}, by which {rule.name or rule.title} does not: "
                f"group by {', '.join(self.group_by)} in both",
                _GROUP_BY,
            )

    def counted(self, document: Document, function: Function, name: str | None, parts: list[Part]) -> str | None:
        """The name of the field whose values are counted; None if events are.

        Raises:
            RuleError: there is none, or not in all events, or it is no number where one is needed.
        """
        if function is Function.COUNT:
            if name is not None:
                raise document.error(
                    "counts events, which needs no 'field': remove it, or use value_count", _FIELD[:-1]
                )
            return None
        if name is None:
            raise document.error("counts values of no field: name one ('field: path')", _FIELD[:-1])
        if name in self.group_by:
            raise document.error(f"counts values of {name}, by which it groups: there is only ever one", _FIELD)
        for part in parts:
            self._check_counted(document, function, name, part)
        return name

    def _check_counted(self, document: Document, function: Function, name: str, part: Part) -> None:
        if not isinstance(part, Selection):
            if name not in part.group_by:
                raise document.error(
                    f"counts values of {name}, by which one of its rules does not group: add it to that 'group-by'",
                    _FIELD,
                )
        elif part.field(name) not in TYPES:
            raise document.error(f"counts values of {name!r}, which no event has{near(name, TYPES)}", _FIELD)
        field = part.field(name) if isinstance(part, Selection) else name
        if function not in _COUNTS and TYPES.get(field) not in _NUMBERS:
            raise document.error(f"reckons with {name}, which is no number: count its values instead", _FIELD)
