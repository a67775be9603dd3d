"""The test file beside a rule: events written short, and the episodes they must make.

``<name>.test.yml``::

    tests:
      - name: twenty invalid tokens within a minute
        events:
          - repeat: 20          # how many events; 1 if left out
            every: 2s           # between them; 1s if left out
            at: 0s              # from the start of the test; if left out, right after the entry before
            fields: {outcome: invalid, client_ip: 203.0.113.9, presented_id: "k00000000:{i:032x}"}
        expect:
          - key: {client_ip: 203.0.113.9}
            hits: 1             # this and the following may be left out
            peak: 20
            first: 38s
            last: 38s
      - name: nineteen are not enough
        events: [...]
        expect: []              # a near miss

In text ``{i}`` is the event's number from 0, ``{i%5}`` its remainder, ``{i:032x}`` formats it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from bearerwatch.detect.documents import Document, at, read
from bearerwatch.detect.fields import DERIVED, TYPES, near
from bearerwatch.event import AuthEvent

__all__ = ["START", "Expected", "Scenario", "read_scenarios", "scenario_file"]

START = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
"""When every test begins: half past a minute, so that bursts lie across its end."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h)")
_TEMPLATE = re.compile(r"\{i(?:%([1-9]\d{0,5}))?(?::(0?\d{0,3}[dx]))?\}")
_MOST_EVENTS = 20_000
_ENTRY = frozenset({"repeat", "every", "at", "fields"})
_EXPECTED = frozenset({"key", "hits", "peak", "first", "last"})


@dataclass(frozen=True, slots=True)
class Expected:
    """One episode a scenario must make. What is None may be anything."""

    key: dict[str, str]
    hits: int | None = None
    peak: int | None = None
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One test of one rule."""

    name: str
    line: int
    events: tuple[AuthEvent, ...]
    expect: tuple[Expected, ...]


def scenario_file(rule: Path) -> Path:
    """The test file that belongs to a rule file."""
    return rule.with_name(rule.name.removesuffix(".yml") + ".test.yml")


def read_scenarios(path: Path) -> list[Scenario]:
    """Read a test file.

    Raises:
        RuleError: the message begins with ``file:line`` and says how to mend it.
    """
    documents = read(path)
    if len(documents) != 1:
        raise at(path, 1, "needs exactly one document: 'tests:' and a list below it")
    document = documents[0]
    _only(document, document.data, frozenset({"tests"}), ())
    tests = document.data.get("tests")
    if not isinstance(tests, list) or not tests:
        raise document.error("has no tests: write 'tests:' and a list below it", ("tests",))
    return [_scenario(document, test, ("tests", i)) for i, test in enumerate(tests)]


def _scenario(document: Document, test: Any, place: tuple[str | int, ...]) -> Scenario:
    _only(document, test, frozenset({"name", "events", "expect"}), place)
    name, entries, expect = test.get("name"), test.get("events"), test.get("expect")
    if not isinstance(name, str) or not isinstance(entries, list) or not isinstance(expect, list):
        raise document.error("is no test: it needs a name, a list of events and a list 'expect' (may be [])", place)
    events: list[AuthEvent] = []
    after = timedelta()
    for i, entry in enumerate(entries):
        after = _generate(document, entry, (*place, "events", i), after, events)
    return Scenario(
        name=name,
        line=document.lines.get(place, document.line),
        events=tuple(events),
        expect=tuple(_expected(document, item, (*place, "expect", i)) for i, item in enumerate(expect)),
    )


def _generate(
    document: Document, entry: Any, place: tuple[str | int, ...], after: timedelta, events: list[AuthEvent]
) -> timedelta:
    _only(document, entry, _ENTRY, place)
    repeat, fields = entry.get("repeat", 1), entry.get("fields")
    if not isinstance(repeat, int) or isinstance(repeat, bool) or not 1 <= repeat <= _MOST_EVENTS - len(events):
        raise document.error(f"repeats fewer than 1 or makes more than {_MOST_EVENTS} events in one test", place)
    if not isinstance(fields, dict):
        raise document.error("needs 'fields': a mapping of event fields to values", place)
    for name in fields:
        if name not in TYPES or name in DERIVED:
            where = (*place, "fields", str(name))
            raise document.error(f"sets the field {name!r}, which no event has{near(str(name), TYPES)}", where)
    every = _duration(document, entry.get("every", "1s"), (*place, "every"))
    start = _duration(document, entry["at"], (*place, "at")) if "at" in entry else after
    for i in range(repeat):
        values = {name: _filled(value, i) for name, value in fields.items()}
        event = {"kind": "auth", "event_id": str(UUID(int=len(events))), "ts": START + start + i * every} | values
        try:
            events.append(msgspec.convert(event, AuthEvent))
        except msgspec.ValidationError as error:
            raise document.error(f"makes no valid event ({error}): mend the field", (*place, "fields")) from None
    return start + repeat * every


def _filled(value: Any, i: int) -> Any:
    def number(match: re.Match[str]) -> str:
        modulus, form = match.groups()
        return format(i % int(modulus) if modulus else i, form or "d")

    return _TEMPLATE.sub(number, value) if isinstance(value, str) else value


def _expected(document: Document, item: Any, place: tuple[str | int, ...]) -> Expected:
    _only(document, item, _EXPECTED, place)
    key = item.get("key")
    if not isinstance(key, dict) or not key:
        raise document.error("expects an episode without a key: write 'key: {field: value}'", place)
    for name in ("hits", "peak"):
        if not isinstance(item.get(name), int | None):
            raise document.error(f"expects {name} that are no whole number", (*place, name))
    first, last = (
        START + _duration(document, item[name], (*place, name)) if name in item else None for name in ("first", "last")
    )
    texts = {str(name): str(value) for name, value in key.items()}
    return Expected(key=texts, hits=item.get("hits"), peak=item.get("peak"), first=first, last=last)


def _duration(document: Document, value: Any, place: Sequence[str | int]) -> timedelta:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise document.error("has a duration that is not like 250ms, 2s, 5m or 1h: mend it", place)
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _only(document: Document, data: Any, known: frozenset[str], place: tuple[str | int, ...]) -> None:
    if not isinstance(data, dict):
        raise document.error(f"is no mapping: it may have {', '.join(sorted(known))}", place)
    for key in data:
        if key not in known:
            raise document.error(f"has an unknown key {str(key)!r}{near(str(key), known)}", (*place, str(key)))
