"""What an alert shows of the events behind it: small, bounded, and counted once each.

An episode's evidence covers the matching events of its key from one window before its first hit to its last hit.
Two episodes of one key are more than a window apart, so no event is ever in two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["COLUMNS", "LIMIT", "Seen", "joined", "together"]

LIMIT = 10
"""Values kept per list."""

_LISTS = {
    "services": "service",
    "routes": "route",
    "addresses": "client_ip",
    "token_ids": "token_id",
    "event_ids": "event_id",
}

COLUMNS: tuple[str, ...] = ("outcome", "service", "route", "client_ip", "token_id", "event_id")
"""The columns of an event evidence is made of, in the order of :class:`Seen`."""


class Seen(NamedTuple):
    """One event, as far as evidence goes."""

    ts: int
    """Microseconds since 1970."""
    weight: int
    outcome: str | None
    service: str | None
    route: str | None
    client_ip: str | None
    token_id: str | None
    event_id: str | None


def together(evidence: dict[str, Any], seen: Iterable[Seen]) -> dict[str, Any]:
    """*evidence* with *seen* added; the argument is left as it is.

    Returns:
        ``events`` (how many, aggregated ones with what they stand for), ``outcomes`` (outcome to number), the lists
        ``services``, ``routes``, ``addresses``, ``token_ids`` and ``event_ids`` of at most ten each, and
        ``cut``, the names of the lists that could have more.
    """
    outcomes: dict[str, int] = dict(evidence.get("outcomes", {}))
    lists: dict[str, list[str]] = {name: list(evidence.get(name, ())) for name in _LISTS}
    cut: set[str] = set(evidence.get("cut", ()))
    events: int = evidence.get("events", 0)
    for event in sorted(seen, key=lambda event: (event.ts, event.event_id or "")):
        events += event.weight
        if event.outcome is not None:
            outcomes[event.outcome] = outcomes.get(event.outcome, 0) + event.weight
        for name, field in _LISTS.items():
            value = getattr(event, field)
            if value is not None:
                _add(lists[name], value, name, cut)
    return {"events": events, "outcomes": outcomes, **lists, "cut": sorted(cut)}


def joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The evidence of two episodes that turned out to be one."""
    outcomes: dict[str, int] = dict(one.get("outcomes", {}))
    for outcome, number in other.get("outcomes", {}).items():
        outcomes[outcome] = outcomes.get(outcome, 0) + number
    cut: set[str] = {*one.get("cut", ()), *other.get("cut", ())}
    lists: dict[str, list[str]] = {}
    for name in _LISTS:
        lists[name] = list(one.get(name, ()))
        for value in other.get(name, ()):
            _add(lists[name], value, name, cut)
    return {
        "events": one.get("events", 0) + other.get("events", 0),
        "outcomes": outcomes,
        **lists,
        "cut": sorted(cut),
    }


def _add(values: list[str], value: str, name: str, cut: set[str]) -> None:
    if value in values:
        return
    if len(values) < LIMIT:
        values.append(value)
    else:
        cut.add(name)
