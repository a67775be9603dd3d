"""Events of every kind with whatever a client can smuggle into one, and with every field told apart."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from bearerwatch.event import REASONS, AuthEvent, Kind, Outcome

__all__ = ["EVENTS", "FULL", "HOSTILE", "full"]

HOSTILE = st.text(st.characters(), max_size=40) | st.sampled_from(
    [
        "\ud800",
        "\udcff\udc80",
        "a\r\nb",
        "<34>1 - - - - - -\n",
        "\u2028\u2029\x85",
        "\x00\x1b[31m",
        '"\\',
        'a"] [x@1 y="',
        "]" * 512,
        "\\" * 511,
        "é" * 512,
        "\U0001f512" * 512,
        "\x00" * 512,
        "",
        " ",
    ]
)
"""Text as hostile headers and paths hold it."""
_PLACES = st.floats(-180, 180) | st.sampled_from([float("nan"), float("inf"), 1e300])
_ADDRESSES = st.ip_addresses().map(str) | st.sampled_from(["::ffff:192.0.2.1", "fe80::1%eth0", "unix", "999.1.1.1", ""])
_HEX = st.integers(0, 2**128 - 1)
_NUMBERS = st.integers(-(2**63), 2**63 - 1)


def _maybe(strategy: Any) -> Any:
    return st.none() | strategy


EVENTS = st.builds(
    AuthEvent,
    kind=st.sampled_from(Kind) | st.just(Kind.AUTH),
    event_id=st.uuids().map(str),
    ts=st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    outcome=_maybe(st.sampled_from(Outcome)),
    reason=_maybe(st.sampled_from(sorted(REASONS)) | HOSTILE),
    verified=st.booleans(),
    status=_maybe(st.integers(100, 599) | _NUMBERS),
    duration_us=_maybe(st.integers(0, 2**53)),
    count=st.just(1) | st.integers(1, 2**40),
    detail=_maybe(HOSTILE),
    service=_maybe(st.sampled_from(["orders", "billing.v2"]) | HOSTILE),
    instance=_maybe(st.sampled_from(["web-1-4711", "host"]) | HOSTILE),
    method=_maybe(st.sampled_from(["GET", "PATCH", "PROPFIND"]) | HOSTILE),
    route=_maybe(HOSTILE),
    path=_maybe(HOSTILE),
    token_id=_maybe(_HEX.map(lambda number: f"k00000000:{number:032x}")),
    token_id_prev=_maybe(_HEX.map(lambda number: f"k00000001:{number:032x}")),
    presented_id=_maybe(_HEX.map(lambda number: f"k00000000:{number:032x}")),
    scheme=_maybe(st.sampled_from(["bearer", "token"]) | HOSTILE),
    token_kind=_maybe(st.sampled_from(["jwt", "opaque"])),
    token_source=_maybe(st.sampled_from(["header", "query"])),
    subject_id=_maybe(HOSTILE),
    client_id=_maybe(HOSTILE),
    issuer=_maybe(HOSTILE),
    scopes=_maybe(HOSTILE),
    required_scopes=_maybe(HOSTILE),
    expires_at=_maybe(st.integers(0, 2**53)),
    client_ip=_maybe(_ADDRESSES),
    peer_ip=_maybe(_ADDRESSES),
    user_agent=_maybe(HOSTILE),
    country=_maybe(st.sampled_from(["DE", "BR"])),
    city=_maybe(HOSTILE),
    lat=_maybe(_PLACES),
    lon=_maybe(_PLACES),
    asn=_maybe(st.integers(0, 2**32 - 1)),
    request_id=_maybe(HOSTILE),
    trace_id=_maybe(_HEX.map(lambda number: f"{number:032x}") | HOSTILE),
    span_id=_maybe(st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}") | HOSTILE),
    parent_request_id=_maybe(HOSTILE),
)
"""Any event the collector takes, and some it does not."""

FULL: dict[str, Any] = {
    "kind": Kind.AUTH,
    "event_id": "0190b6a0-0000-7000-8000-000000000001",
    "ts": datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
    "outcome": Outcome.INVALID,
    "reason": "bad_signature",
    "verified": True,
    "status": 401,
    "duration_us": 12_345,
    "count": 7,
    "detail": "app.py:7 root",
    "service": "orders",
    "instance": "web-1-4711",
    "method": "POST",
    "route": "/orders/{id}",
    "path": "/orders/7",
    "token_id": f"k00000000:{1:032x}",
    "token_id_prev": f"k00000001:{2:032x}",
    "presented_id": f"k00000000:{3:032x}",
    "scheme": "bearer",
    "token_kind": "jwt",
    "token_source": "header",
    "subject_id": f"sub:k00000000:{4:032x}",
    "client_id": "spa",
    "issuer": "https://id.example.com/",
    "scopes": "orders:read orders:list",
    "required_scopes": "orders:write",
    "expires_at": 1_767_323_045,
    "client_ip": "203.0.113.7",
    "peer_ip": "10.0.0.3",
    "user_agent": "curl/8.5.0",
    "country": "NL",
    "city": "Utrecht",
    "lat": 52.09,
    "lon": 5.12,
    "asn": 64_500,
    "request_id": "req-1",
    "trace_id": f"{5:032x}",
    "span_id": f"{6:016x}",
    "parent_request_id": f"{7:016x}",
}
"""A value for each field, no two alike."""


def full(**changes: Any) -> AuthEvent:
    """An event with all its fields, some of them otherwise."""
    return AuthEvent(**(FULL | changes))
