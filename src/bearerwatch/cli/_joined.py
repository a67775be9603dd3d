"""What a gateway's log and a service say of one request, as one entry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bearerwatch.ingest.told import of_log

if TYPE_CHECKING:
    from bearerwatch.store.reader import Reader

__all__ = ["VIA", "joined"]

VIA = ("service", "status", "duration_us", "client_ip", "ts", "event_id", "outcome")
"""What is said of a request by an access log, beside what its service says."""
_AROUND = timedelta(minutes=10)
_MOST_IDS = 10_000


def joined(reader: Reader, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events by time, those of access logs as ``via`` of the service's event of the same request.

    What belongs to a request of *found* and is not in it (for a gateway's log knows no token, and a service perhaps
    not the caller's address) is looked up. An access log's event of which no service tells stays by itself, and so
    does one more than services tell of: ids can be sent again.

    Args:
        reader: of the lake.
        found: events, oldest first.
    """
    mates = _mates(reader, found)
    services: dict[str, list[dict[str, Any]]] = {}
    logs: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for event in mates:
        if of_log(event.get("source") or ""):
            logs.append(event)
        else:
            entries.append(event)
            if event.get("request_id"):
                services.setdefault(event["request_id"], []).append(event)
    for event in logs:
        entry = _entry(services.get(event.get("request_id") or "", ()), event)
        if entry is None:
            entries.append(event)
            continue
        seen = {name: event.get(name) for name in VIA}
        entry.setdefault("via", []).append({**seen, "differs": event.get("status") != entry.get("status")})
    return sorted(entries, key=lambda event: (event["ts"], event["event_id"]))


def _entry(told: Any, event: dict[str, Any]) -> dict[str, Any] | None:
    """The first of the events a service *told* of that this log has not spoken of."""
    for one in told:
        if all(seen["service"] != event.get("service") for seen in one.get("via", ())):
            found: dict[str, Any] = one
            return found
    return None


def _mates(reader: Reader, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """*found*, and what is told of the same requests from the other side: by logs of services', and the reverse."""
    ids = {True: set[str](), False: set[str]()}
    for event in found:
        if event.get("request_id"):
            ids[of_log(event.get("source") or "")].add(event["request_id"])
    if not found or not (ids[True] or ids[False]):
        return found
    since, until = found[0]["ts"] - _AROUND, found[-1]["ts"] + _AROUND
    known = {event["event_id"] for event in found}
    more = reader.query(
        "SELECT * FROM {events} WHERE kind = 'auth' AND ts BETWEEN $since AND $until AND "
        "((starts_with(source, 'access:') AND list_contains($services, request_id)) OR "
        "(NOT starts_with(source, 'access:') AND list_contains($logs, request_id)))",
        {
            "since": since.replace(tzinfo=None),
            "until": until.replace(tzinfo=None),
            "services": sorted(ids[False])[:_MOST_IDS],
            "logs": sorted(ids[True])[:_MOST_IDS],
        },
        since=since,
        until=until,
    )
    return sorted(
        [*found, *(event for event in more if event["event_id"] not in known)],
        key=lambda event: (event["ts"], event["event_id"]),
    )
