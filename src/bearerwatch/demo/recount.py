"""Counts requests against events: every complete response has exactly one event, and no event lacks a request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Recount", "recount"]

_EXAMPLES = 5


@dataclass(slots=True)
class Recount:
    """The books of one run, from both sides."""

    requests: int = 0
    """Requests in the client's log."""
    complete: int = 0
    """Of these, how many were answered completely."""
    cut: int = 0
    """And how many were cut, by the client or by an error."""
    events: int = 0
    """Events of kind ``auth`` in the lake."""
    missing: list[str] = field(default_factory=list)
    """Complete responses without an event."""
    duplicated: list[str] = field(default_factory=list)
    """Requests with more than one."""
    unexplained: list[str] = field(default_factory=list)
    """Events without a request."""
    differing: list[str] = field(default_factory=list)
    """Events that tell another status than the client saw."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Events by outcome."""

    @property
    def holds(self) -> bool:
        """Whether the books agree."""
        return self.complete > 0 and not (self.missing or self.duplicated or self.unexplained or self.differing)

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``: counts, and a few request ids of what does not agree."""
        told: dict[str, Any] = {
            "holds": self.holds,
            "requests": self.requests,
            "complete": self.complete,
            "cut": self.cut,
            "events": self.events,
        }
        for name in ("missing", "duplicated", "unexplained", "differing"):
            found: list[str] = getattr(self, name)
            told[name] = len(found)
            if found:
                told[f"{name}_examples"] = found[:_EXAMPLES]
        told["outcomes"] = dict(self.outcomes.most_common())
        return told


def recount(
    client_log: Path, events: Iterable[Mapping[str, Any]], *, asked: Mapping[tuple[str, str], int] | None = None
) -> Recount:
    """Count *client_log* against *events*.

    Args:
        client_log: one JSON object per request, with ``service``, ``request_id``, ``status`` and ``complete``.
        events: at least ``kind``, ``service``, ``request_id``, ``status``, ``outcome`` and ``count`` of each.
        asked: what services, and no clients, have asked of another, as ``(service asked, request id)``, and the status
            they were answered with: these have one event each, too.
    """
    books = Recount()
    requests: dict[tuple[str, str], dict[str, Any]] = {}
    nameless: Counter[str] = Counter()
    for line in client_log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        books.requests += 1
        books.complete += entry["complete"]
        if entry["request_id"] is None:
            if entry["complete"]:
                books.missing.append(f"{entry['service']} {entry['method']} {entry['path']}: answered without an id")
            else:  # cut before the service could tell its name; it may have an event all the same
                nameless[entry["service"]] += 1
            continue
        requests[entry["service"], entry["request_id"]] = entry
    books.cut = books.requests - books.complete
    requests |= {key: {"complete": True, "status": status} for key, status in (asked or {}).items()}
    seen: Counter[tuple[str, str]] = Counter()
    for event in events:
        if event["kind"] != "auth":
            continue
        books.events += 1
        books.outcomes[str(event["outcome"])] += 1
        key = str(event["service"]), str(event["request_id"])
        seen[key] += int(event.get("count") or 1)
        request = requests.get(key)
        if request is None and nameless[key[0]] > 0:
            nameless[key[0]] -= 1
        elif request is None:
            books.unexplained.append(_named(key))
        elif request["complete"] and request["status"] != event["status"]:
            books.differing.append(f"{_named(key)}: client saw {request['status']}, event says {event['status']}")
    books.missing += [_named(key) for key, entry in requests.items() if entry["complete"] and key not in seen]
    books.duplicated += [_named(key) for key, count in seen.items() if count > 1]
    return books


def _named(key: tuple[str, str]) -> str:
    return " ".join(key)
