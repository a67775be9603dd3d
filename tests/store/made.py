"""Events as the collector hands them to the lake, and the means to look at what became of them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bearerwatch.event import AuthEvent, Kind, Outcome

__all__ = ["HOUR", "KEY", "event_id", "line", "lines", "traffic"]

HOUR = datetime(2026, 1, 2, 3, tzinfo=UTC)
"""The hour most events here lie in."""
KEY = "k1a2b3c4d"

_encoder = msgspec.json.Encoder()


def event_id(number: int) -> str:
    """The id of the event of that number."""
    return str(uuid.UUID(int=number))


def line(number: int, ts: datetime | None = None, **fields: Any) -> bytes:
    """One event as it goes into ``Lake.append``; *fields* overwrite those of a success."""
    ts = ts or HOUR + timedelta(milliseconds=number)
    known = {
        "kind": Kind.AUTH,
        "event_id": event_id(number),
        "ts": ts,
        "outcome": Outcome.SUCCESS,
        "service": "orders",
        "token_id": f"{KEY}:{number % 7:032x}",
        "client_ip": f"192.0.2.{number % 5}",
        "request_id": event_id(number),
    } | fields
    row = msgspec.to_builtins(AuthEvent(**known), builtin_types=(datetime,))
    return _encoder.encode(row | {"received_at": ts + timedelta(seconds=1), "source": "spool:orders"})


def lines(start: int, count: int, **fields: Any) -> list[bytes]:
    """*count* events numbered from *start*, a millisecond apart."""
    return [line(number, **fields) for number in range(start, start + count)]


def traffic(count: int, *, seed: int = 7, rate: int = 1000, own_request_ids: bool = False) -> list[bytes]:
    """Events with all fields and ids as random as real ones: nine of ten succeed, 3 % carry a token made up.

    Args:
        count: how many.
        seed: of everything random.
        rate: events a second.
        own_request_ids: whether callers bring request ids of their own.
    """
    rng = random.Random(seed)

    def hexes(digits: int) -> str:
        return f"{rng.getrandbits(4 * digits):0{digits}x}"

    def address() -> str:
        return ".".join(str(rng.randrange(1, 255)) for _ in range(4))

    tokens = [(f"{KEY}:{hexes(32)}", f"{KEY}:{hexes(32)}", f"sub:{KEY}:{hexes(32)}") for _ in range(3000)]
    places = [
        (
            address(),
            rng.choice(["US", "DE", "FR", "IN"]),
            rng.choice(["Berlin", "Paris", "Austin"]),
            rng.randrange(60_000),
        )
        for _ in range(4000)
    ]
    spots = [(round(rng.uniform(-60, 60), 4), round(rng.uniform(-180, 180), 4)) for _ in places]
    agents = ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0", "okhttp/4.12.0", "curl/8.5.0"]
    agents += [f"orders-app/{n}.0 (iPhone; iOS 17.{n})" for n in range(40)]
    routes: Sequence[str] = ["/orders/{id}", "/orders", "/users/{id}", "/users/{id}/keys", "/health"]
    made = []
    for number in range(count):
        ts = HOUR + timedelta(microseconds=int((number + rng.random()) * 1e6 / rate))
        who, good = rng.randrange(len(tokens)), rng.random() < 0.9
        token_id, presented_id, subject = tokens[who]
        if not good and rng.random() < 0.3:
            token_id, presented_id, subject = f"{KEY}:{hexes(32)}", f"{KEY}:{hexes(32)}", None
        where = (who * 7 + rng.randrange(2)) % len(places)
        ip, country, city, asn = places[where]
        route = rng.choice(routes)
        milliseconds = int(ts.timestamp() * 1000)
        number7 = milliseconds << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62)
        identifier = str(uuid.UUID(int=number7))
        event = AuthEvent(
            kind=Kind.AUTH,
            event_id=identifier,
            ts=ts,
            outcome=Outcome.SUCCESS if good else Outcome.INVALID,
            reason=None if good else "bad_signature",
            verified=good,
            status=200 if good else 401,
            duration_us=int(rng.lognormvariate(9, 1)),
            service=rng.choice(["orders", "users", "billing"]),
            instance=f"web-{rng.randrange(4)}:{rng.randrange(100, 108)}",
            method=rng.choice(["GET", "GET", "POST"]),
            route=route,
            path=route.replace("{id}", str(rng.randrange(200_000))),
            token_id=token_id,
            presented_id=presented_id,
            scheme="bearer",
            token_kind="jwt",
            token_source="header",
            subject_id=subject,
            client_id=f"client-{who % 20}",
            issuer="https://id.example.com/",
            scopes="orders:read orders:write",
            expires_at=1_767_200_000 + who * 37,
            client_ip=ip,
            peer_ip=f"10.0.0.{rng.randrange(4)}",
            user_agent=agents[who % len(agents)],
            country=country,
            city=city,
            lat=spots[where][0],
            lon=spots[where][1],
            asn=asn,
            request_id=hexes(32) if own_request_ids else identifier,
            trace_id=hexes(32),
            span_id=hexes(16),
            parent_request_id=hexes(16),
        )
        tick = HOUR + timedelta(milliseconds=250 * (number * 4 // rate + 1), microseconds=number * 4 // rate % 977)
        row = msgspec.to_builtins(event, builtin_types=(datetime,)) | {"received_at": tick, "source": "spool:orders"}
        made.append(_encoder.encode(row))
    return made
