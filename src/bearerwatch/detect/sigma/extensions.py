"""What a rule says beyond Sigma: ``detect`` under the key ``bearerwatch`` of its correlation document.

The correlation beside it is a weaker rule that any other tool can run; of it ``rules``, ``group-by`` and ``timespan``
(within which two hits are one alert) hold for bearerwatch as well. For example::

    bearerwatch:
      version: 1
      detect:
        type: first_seen
        fields: [country, asn]    # new in the first, and not known by any other
        memory: 30d               # everything else may be left out

Durations are a whole number and a unit: ``s``, ``m``, ``h`` or ``d``. What each kind means is told in
:mod:`~bearerwatch.detect.ir_keyed`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bearerwatch.detect.documents import Document
from bearerwatch.detect.fields import CLOSED, TYPES, near
from bearerwatch.detect.ir import And, Compare, Condition, Correlation, EventCount, Op, Selection, ValueCount
from bearerwatch.detect.ir_keyed import Baseline, FirstSeen, Keyed, Learned, Silence, Travel
from bearerwatch.event import Kind

__all__ = ["KINDS", "extended"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,7})(s|m|h|d)")
_MAX_MEMORY = 366 * 86_400
_MOST_BLOCKS = 336
_MOST_LISTED = 1_000


class _Settings:
    """The values of one ``detect``, each asked for once."""

    def __init__(self, document: Document, data: dict[str, Any]) -> None:
        self._document = document
        self._data = data
        self.asked = {"type"}

    def error(self, name: str, message: str) -> Exception:
        return self._document.error(f"has a bearerwatch.detect.{name} {message}", ("bearerwatch", "detect", name))

    def _of(self, name: str, default: Any) -> Any:
        self.asked.add(name)
        return self._data.get(name, default)

    def duration(self, name: str, default: str, least: int, most: int = _MAX_MEMORY) -> int:
        value = self._of(name, default)
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        seconds = int(match[1]) * _UNITS[match[2]] if match else -1
        if not least <= seconds <= most:
            raise self.error(name, f"that is not like {default}, from {least}s to {most}s: mend it")
        return seconds

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        value = self._of(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.error(name, f"that is no whole number from {least} to {most}: {default} is usual")
        return value

    def number(self, name: str, default: float, least: float, most: float) -> float:
        value = self._of(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise self.error(name, f"that is no number from {least} to {most}: {default} is usual")
        return float(value)

    def fields(self, name: str, default: tuple[str, ...], most: int) -> tuple[str, ...]:
        value = self._of(name, list(default))
        if not isinstance(value, list) or len(value) > most or len(set(map(str, value))) != len(value):
            raise self.error(name, f"that is no list of at most {most} different fields: write [country]")
        for one in value:
            if not isinstance(one, str) or one not in TYPES:
                raise self.error(name, f"with {one!r}, which no event has{near(str(one), TYPES)}")
        return tuple(value)

    def outcomes(self, name: str) -> tuple[str, ...]:
        value = self._of(name, [])
        if not isinstance(value, list) or not all(one in CLOSED["outcome"] for one in map(str, value)):
            raise self.error(name, f"that is no list of outcomes: there are {', '.join(sorted(CLOSED['outcome']))}")
        return tuple(map(str, value))

    def networks(self, name: str) -> tuple[int, ...]:
        value = self._of(name, [])
        plain = isinstance(value, list) and len(value) <= _MOST_LISTED
        if not plain or not all(isinstance(v, int) and not isinstance(v, bool) and 0 < v < 2**32 for v in value):
            raise self.error(name, f"that is no list of at most {_MOST_LISTED} AS numbers: write [13335]")
        return tuple(value)

    def learned(self, *, sightings: int, span: str, most: int) -> Learned:
        least = self.whole("sightings", sightings, 1, 10_000)
        return Learned(
            by=self.fields("learn", ("subject_id",), 4),
            sightings=least,
            alone=self.whole("alone", least, 1, 10_000),
            span=self.duration("span", span, 0),
            most=self.whole("most", most, 1, 1_000),
            memory=self.duration("memory", "30d", 3600),
        )


def _first_seen(given: _Settings, rule: EventCount | ValueCount) -> Keyed:
    fields = given.fields("fields", (), 4)
    if not fields:
        raise given.error("fields", "that names none: say what must be new, such as [country]")
    if taken := set(fields) & set(rule.group_by):
        raise given.error("fields", f"with {min(taken)}, by which the rule groups: there is only ever one")
    learned = given.learned(sightings=5, span="3h", most=4)
    return FirstSeen(rule.selection, rule.group_by, rule.seconds, fields, learned, _settle(given, "5m"))


def _travel(given: _Settings, rule: EventCount | ValueCount) -> Keyed:
    return Travel(
        rule.selection,
        rule.group_by,
        rule.seconds,
        kilometres=given.whole("kilometres", 500, 0, 20_000),
        speed=given.whole("speed", 1000, 1, 100_000),
        uncertainty=given.whole("uncertainty", 200, 0, 20_000),
        elsewhere=given.networks("elsewhere"),
        learned=given.learned(sightings=5, span="1h", most=4),
        settle=_settle(given, "2m"),
    )


def _baseline(given: _Settings, rule: EventCount | ValueCount) -> Keyed:
    settle = _settle(given, "1m")
    block, blocks = given.duration("block", "30m", 300, 86_400), given.whole("blocks", 48, 1, _MOST_BLOCKS)
    if block % settle:
        raise given.error("block", "that is no multiple of settle: 30m is one of 1m")
    known: list[Condition] = [Compare("kind", Op.IN, (Kind.AUTH.value,))]
    if outcomes := given.outcomes("known_by"):
        known.append(Compare("outcome", Op.IN, outcomes))
    return Baseline(
        rule.selection,
        Selection("known", And(tuple(known))),
        rule.group_by,
        rule.seconds,
        floor=given.whole("floor", 100, 1, 1_000_000_000),
        ratio=given.number("ratio", 3.0, 1.0, 1_000_000.0),
        rank=given.whole("rank", 3, 1, blocks),
        block=block,
        blocks=blocks,
        span=given.duration("span", "2h", 0),
        settle=settle,
    )


def _silence(given: _Settings, rule: EventCount | ValueCount) -> Keyed:
    return Silence(
        rule.selection,
        rule.group_by,
        rule.seconds,
        floor=given.duration("floor", "5m", 60),
        ratio=given.number("ratio", 3.0, 1.0, 1_000.0),
        sightings=given.whole("sightings", 20, 2, 100_000),
        span=given.duration("span", "1h", 0),
        memory=given.duration("memory", "1d", 3600, 30 * 86_400),
        settle=_settle(given, "1m"),
    )


def _settle(given: _Settings, default: str) -> int:
    return given.duration("settle", default, 1, 3600)


KINDS: dict[str, Callable[[_Settings, EventCount | ValueCount], Keyed]] = {
    "baseline": _baseline,
    "first_seen": _first_seen,
    "silence": _silence,
    "travel": _travel,
}
"""What ``detect.type`` may be."""


def extended(document: Document, correlation: Correlation) -> Correlation:
    """What the rule of *document* means, of which *correlation* is what Sigma alone can say.

    Raises:
        RuleError: ``detect`` is there and cannot be used: ``file:line: what is wrong: the mend``.
    """
    ours = document.data.get("bearerwatch")
    data = ours.get("detect") if isinstance(ours, dict) else None
    if data is None:
        return correlation
    where = ("bearerwatch", "detect")
    kinds = ", ".join(sorted(KINDS))
    if not isinstance(data, dict) or "type" not in data:
        raise document.error(f"has a bearerwatch.detect without a type: write 'type:' and one of {kinds}", where)
    read = KINDS.get(data["type"]) if isinstance(data["type"], str) else None
    if read is None:
        mend = near(str(data["type"]), set(KINDS)) or f"; there are: {kinds}"
        raise document.error(f"has a bearerwatch.detect of unknown type {str(data['type'])!r}{mend}", (*where, "type"))
    if not isinstance(correlation, EventCount | ValueCount):
        raise document.error(
            "has a bearerwatch.detect beside a correlation of several steps: use event_count or value_count there",
            ("correlation", "type"),
        )
    given = _Settings(document, data)
    found = read(given, correlation)
    for name in data:
        if name not in given.asked:
            mend = near(str(name), given.asked) or f"; there are: {', '.join(sorted(given.asked))}"
            raise document.error(f"has an unknown key {str(name)!r} in bearerwatch.detect{mend}", (*where, str(name)))
    return found
