"""Traefik's JSON and text: made up after its documentation."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import Unreadable, open_format
from ingest.access.hostile import survives, told

_JSON = json.dumps(
    {
        "ClientAddr": "[2001:db8::7]:4711",
        "DownstreamStatus": 403,
        "Duration": 1_234_567,
        "RequestMethod": "GET",
        "RequestPath": "/orders/7?page=2",
        "StartUTC": "2026-11-22T11:09:06.123456789Z",
        "StartLocal": "2026-11-22T12:09:06.123456789+01:00",
        "request_User-Agent": "curl/8.1",
        "request_X-Request-Id": "sent-12345678",
        "downstream_X-Request-Id": "given-12345678",
    }
)
_TEXT = '203.0.113.7 - - [22/Nov/2026:11:09:06 +0000] "GET /a HTTP/1.1" 404 19 "-" "-" 3 "shop@docker" "http://10.0.0.2" 12ms'


def test_json() -> None:
    assert told(open_format("traefik")(_JSON)) == {
        "started": datetime(2026, 11, 22, 11, 9, 6, 123_456, tzinfo=UTC),
        "duration_us": 1_235,
        "status": 403,
        "method": "GET",
        "target": "/orders/7?page=2",
        "peer": "[2001:db8::7]:4711",
        "user_agent": "curl/8.1",
        "request_id": "given-12345678",
    }


def test_text() -> None:
    assert told(open_format("traefik")(_TEXT)) == {
        "started": datetime(2026, 11, 22, 11, 9, 6, tzinfo=UTC),
        "duration_us": 12_000,
        "status": 404,
        "method": "GET",
        "target": "/a",
        "peer": "203.0.113.7",
    }


def test_what_is_neither() -> None:
    with pytest.raises(Unreadable, match="traefik"):
        open_format("traefik")("time=now level=info")
    with pytest.raises(ConfigurationError, match="say traefik alone"):
        open_format("traefik:x")


def test_hostile_lines() -> None:
    survives("traefik", _JSON, _TEXT)
