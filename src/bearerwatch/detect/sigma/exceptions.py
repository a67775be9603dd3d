"""Exceptions: events that take no part in some rules, as Sigma filters with an author, a reason and an end.

::

    title: Our own scanner
    id: 1f0c9a52-…
    logsource: {product: bearerwatch, service: auth}   # service may be left out: events of every kind
    filter:
      rules: [brute_force_address]                     # names or ids of rules, or any
      scanner:
        client_ip|cidr: 10.20.0.0/16
      condition: not scanner
    bearerwatch:
      author: mara
      because: The security team scans every Monday.
      created: 2026-11-01T09:00:00Z                    # may be left out
      expires: 2026-12-01T00:00:00Z                    # or never

Sigma: https://sigmahq.io/docs/meta/filters.html. What Sigma filters may also do, keep nothing but what is selected,
would switch a rule off for everything else by one forgotten word: conditions say what is taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from sigma.exceptions import SigmaRuleLocation
from sigma.rule import SigmaRule

from bearerwatch.detect.documents import Document, Where, at, read
from bearerwatch.detect.fields import CLOSED, near
from bearerwatch.detect.ir import And, Compare, Condition, Excepted, Not, Op, Or
from bearerwatch.detect.sigma.complaints import CANNOT, POLICY, blamed, quietly, said
from bearerwatch.detect.sigma.conditions import Refusal, condition
from bearerwatch.detect.sigma.expressions import judge
from bearerwatch.redact.engine import find

__all__ = ["ANY", "FINGERPRINTS", "Exemption", "exemption", "read_exemption"]

ANY = "any"
"""Stands for all rules."""

FINGERPRINTS = frozenset({"token_id", "token_id_prev", "presented_id"})
"""Fields that hold the fingerprint of a credential."""

_FINGERPRINT = re.compile(r"k[0-9a-f]{8}:[0-9a-f]{32}|short:[0-9]{1,4}", re.ASCII | re.IGNORECASE)
_KEYS = frozenset(
    {"title", "id", "name", "description", "status", "author", "date", "modified", "references", "license", "tags"}
    | {"logsource", "filter", "bearerwatch"}
)
_OURS = frozenset({"author", "because", "created", "expires"})
_OF_FILTER = frozenset({"rules", "condition"})
_MAX_RULES = 200


@dataclass(frozen=True, slots=True)
class Exemption:
    """An exception, and the rules it is meant for as they are written."""

    excepted: Excepted
    rules: tuple[str, ...]
    """Names or ids; :data:`ANY` alone for all."""
    document: Document


def read_exemption(path: Path) -> Exemption:
    """Read one exception from its file.

    Raises:
        RuleError: the message begins with ``file:line``, says how to mend the file, and echoes no value that may be
            a token.
    """
    documents = read(path)
    if len(documents) != 1:
        raise at(path, 1, "needs exactly one exception: 'title:', 'logsource:', 'filter:' and 'bearerwatch:'")
    return exemption(documents[0])


def exemption(document: Document) -> Exemption:
    """What *document* says. Raises as :func:`read_exemption`."""
    data = document.data
    for place, text in _texts(data, ()):
        if find(text):
            raise document.error(
                "holds what looks like a token: remove it and revoke it; name a token by its fingerprint, which "
                "'bearerwatch fingerprint' tells",
                place,
            )
    _only(document, data, _KEYS, ())
    title = data.get("title")
    if not isinstance(title, str) or not title.strip():
        raise document.error("has no title: say in a few words what is excepted")
    selected = _selected(document)
    author, because, until = _ours(document)
    return Exemption(
        excepted=Excepted(
            name=document.path.name.removesuffix(".yml"),
            where=selected,
            until=until,
            author=author,
            because=because,
            path=document.path,
        ),
        rules=_rules(document),
        document=document,
    )


def _texts(value: Any, place: Where) -> Iterator[tuple[Where, str]]:
    """Every text in *value*, keys as well; aliases have been bounded when the file was read."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*place, str(key)), str(key)
            yield from _texts(inner, (*place, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*place, index))
    elif isinstance(value, str):
        yield place, value


def _only(document: Document, data: Any, known: frozenset[str], place: Where) -> None:
    if not isinstance(data, dict):
        raise document.error(f"is no mapping here: it may have {', '.join(sorted(known))}", place)
    for key in data:
        if key not in known:
            mend = near(str(key), known) or f"; there are: {', '.join(sorted(known))}"
            raise document.error(f"has an unknown key{mend}", (*place, str(key)))


def _rules(document: Document) -> tuple[str, ...]:
    where, rules = ("filter", "rules"), document.data["filter"].get("rules")
    if isinstance(rules, str):
        rules = [rules]
    if not isinstance(rules, list) or not 1 <= len(rules) <= _MAX_RULES or not all(isinstance(r, str) for r in rules):
        raise document.error("does not say for which rules: write 'rules: [name, …]', or 'rules: any'", where)
    names = tuple(dict.fromkeys(rule.strip() for rule in rules))
    if any(name.lower() == ANY for name in names):
        if len(names) > 1:
            raise document.error("names 'any' among other rules: keep one of the two", where)
        return (ANY,)
    return names


def _selected(document: Document) -> Condition:
    """The events that are taken out."""
    source, body = document.data.get("logsource"), document.data.get("filter")
    if not isinstance(source, dict) or source.get("product") != "bearerwatch" or set(source) - {"product", "service"}:
        raise document.error(
            "is not about our events: write 'logsource: {product: bearerwatch}', with 'service: auth' for those of "
            "one kind",
            ("logsource",),
        )
    kind = source.get("service")
    if kind is not None and kind not in CLOSED["kind"]:
        raise document.error(f"has no such service; there are: {', '.join(sorted(CLOSED['kind']))}", ("logsource",))
    if not isinstance(body, dict) or not body.keys() - _OF_FILTER:
        raise document.error(
            "selects no event: write 'filter:' with 'rules', a selection and 'condition: not <selection>'", ("filter",)
        )
    taken = _taken_out(document, _parsed(document, body))
    return taken if kind is None else And((Compare("kind", Op.IN, (kind,)), taken))


def _parsed(document: Document, body: dict[str, Any]) -> Condition:
    """The filter's condition, as that of a rule that had its selections."""
    detection = {key: value for key, value in body.items() if key != "rules"}
    data = {"title": "exception", "logsource": {"product": "bearerwatch"}, "detection": detection}
    try:
        with quietly():
            rule = SigmaRule.from_dict(data, source=SigmaRuleLocation(document.path, document.line), **POLICY)
            if len(rule.detection.parsed_condition) != 1:
                raise document.error("has several conditions: join them with 'and not'", ("filter", "condition"))
            found = condition(rule.detection.parsed_condition[0].parsed)
        judge(found)
    except Refusal as refusal:
        raise document.error(str(refusal), _place_of(document, refusal.field)) from None
    except CANNOT as error:
        place = ("filter", *(blamed(data, error)[1:] or ("condition",)))
        raise document.error(f"has a filter that cannot be read: {said(error)}", place) from None
    for compare in _compares(found):
        _check_fingerprint(document, compare)
    return found


def _place_of(document: Document, field: str | None) -> Where:
    for place in document.lines:
        if place[0] == "filter" and isinstance(place[-1], str) and place[-1].split("|")[0] == field:
            return place
    return ("filter",)


def _taken_out(document: Document, kept: Condition) -> Condition:
    """From what a filter keeps to what it takes out."""
    match kept:
        case Not(item=item):
            return item
        case And(items=items) if all(isinstance(item, Not) for item in items):
            return Or(tuple(item.item for item in items if isinstance(item, Not)))
    raise document.error(
        "would keep nothing but what it selects: write 'condition: not <selection>', or several joined by 'and'",
        ("filter", "condition"),
    )


def _compares(found: Condition) -> Iterator[Compare]:
    match found:
        case Compare():
            yield found
        case Not(item=item):
            yield from _compares(item)
        case And(items=items) | Or(items=items):
            for item in items:
                yield from _compares(item)


def _check_fingerprint(document: Document, compare: Compare) -> None:
    if compare.field not in FINGERPRINTS or compare.op is Op.EXISTS:
        return
    values = compare.value if isinstance(compare.value, tuple) else (compare.value,)
    if compare.op is not Op.IN or not all(isinstance(v, str) and _FINGERPRINT.fullmatch(v) for v in values):
        raise document.error(
            f"compares {compare.field} with what is no whole fingerprint (it is not repeated here: it may be a token): "
            "write it as events show it, k and 8 digits, a colon and 32 digits",
            _place_of(document, compare.field),
        )


def _ours(document: Document) -> tuple[str, str, datetime | None]:
    ours = document.data.get("bearerwatch")
    where = ("bearerwatch",)
    if ours is None:
        raise document.error("has no 'bearerwatch:': add it with author, because and expires", where)
    _only(document, ours, _OURS, where)
    texts = []
    for name, ask in (("author", "say who answers for it"), ("because", "say why")):
        text = ours.get(name)
        if not isinstance(text, str) or not text.strip():
            raise document.error(f"has no bearerwatch.{name}: {ask}", (*where, name))
        texts.append(text.strip())
    if "expires" not in ours:
        raise document.error("has no bearerwatch.expires: give a day or an instant, or 'never'", where)
    if "created" in ours:
        _instant(document, ours["created"], (*where, "created"))
    until = None if ours["expires"] == "never" else _instant(document, ours["expires"], (*where, "expires"))
    return texts[0], texts[1], until


def _instant(document: Document, value: Any, place: Where) -> datetime:
    """A YAML timestamp, a day or ISO 8601 text; UTC where it names no zone."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise document.error("is no day or instant such as 2026-12-01 or 2026-12-01T00:00:00Z", place)
