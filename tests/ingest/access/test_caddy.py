"""Caddy's JSON: made up after its documentation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import open_format
from ingest.access.hostile import decoded, survives, told


def _line(**changes: Any) -> str:
    headers = {"User-Agent": ["curl/8.1"], "X-Forwarded-For": ["198.51.100.1"]} | changes.pop("headers", {})
    request = {"remote_ip": "10.0.0.1", "remote_port": "4711", "client_ip": "203.0.113.7", "proto": "HTTP/2.0"}
    request |= {"method": "GET", "host": "api.example", "uri": "/orders/7?page=2", "headers": headers}
    fields = {"level": "info", "ts": 1795345746.31, "logger": "http.log.access.log0", "msg": "handled request"}
    return json.dumps(fields | {"request": request, "duration": 0.0125, "status": 401} | changes)


def test_what_it_says() -> None:
    assert told(open_format("caddy")(_line(resp_headers={"X-Request-Id": ["req-12345678"]}))) == {
        "ended": datetime(2026, 11, 22, 11, 9, 6, 310_000, tzinfo=UTC),
        "duration_us": 12_500,
        "status": 401,
        "method": "GET",
        "target": "/orders/7?page=2",
        "peer": "10.0.0.1",
        "client": "203.0.113.7",
        "forwarded_for": "198.51.100.1",
        "user_agent": "curl/8.1",
        "request_id": "req-12345678",
        "asked": True,
    }


def test_all_headers_are_there_so_one_that_is_not_was_not_sent() -> None:
    """And one that Caddy has redacted was sent, whatever it held."""
    without = decoded("caddy", _line().encode()).lines[0]
    hidden = decoded("caddy", _line(headers={"Authorization": ["REDACTED"]}).encode()).lines

    assert b'"outcome":"missing","status"' in without
    assert b'"outcome":"missing","reason":"not_logged"' in hidden[0]
    assert len(hidden) == 1


def test_its_own_affairs_are_passed_over() -> None:
    assert open_format("caddy")('{"level":"info","ts":1795345746.3,"msg":"serving initial configuration"}') is None


def test_a_time_in_words() -> None:
    line = open_format("caddy")(_line(ts="2026/11/22 11:09:06.310"))

    assert line is not None
    assert line.ended == datetime(2026, 11, 22, 11, 9, 6, 310_000, tzinfo=UTC)


def test_it_takes_no_layout() -> None:
    with pytest.raises(ConfigurationError, match="say caddy alone"):
        open_format("caddy:x")


def test_hostile_lines() -> None:
    survives("caddy", _line())
