"""The Application Load Balancer's entries: made up after its documentation."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import Unreadable, open_format
from ingest.access.hostile import survives, told

_HEAD = (
    "https 2026-11-22T11:09:06.250000Z app/shop/0123456789abcdef 203.0.113.7:2817 10.0.0.1:8000 0.001 0.048 0.002"
    ' 401 401 34 366 "GET https://api.example:443/orders/7?page=2 HTTP/2.0" "curl/8.1"'
)
_TAIL = (
    " ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/t/0123"
    ' "Root=1-5833728a-1d84f3d73c47ec4e58577259" "api.example" "session-reused" 0 2026-11-22T11:09:06.199000Z'
    ' "forward" "-" "-" "10.0.0.1:8000" "401" "-" "-" TID_0123456789abcdef "-" "-" "-"'
)


def test_an_entry_with_all_fields() -> None:
    assert told(open_format("alb")(_HEAD + _TAIL)) == {
        "started": datetime(2026, 11, 22, 11, 9, 6, 199_000, tzinfo=UTC),
        "ended": datetime(2026, 11, 22, 11, 9, 6, 250_000, tzinfo=UTC),
        "duration_us": 51_000,
        "status": 401,
        "method": "GET",
        "target": "/orders/7?page=2",
        "peer": "203.0.113.7",
        "user_agent": "curl/8.1",
        "request_id": "1-5833728a-1d84f3d73c47ec4e58577259",
        "trace_id": "5833728a1d84f3d73c47ec4e58577259",
    }


@pytest.mark.parametrize("fields", [0, 2, 4, 9, 14])
def test_entries_of_older_versions_have_fewer_fields(fields: int) -> None:
    line = open_format("alb")(" ".join([_HEAD, *_TAIL.split(" ")[1 : fields + 1]]))

    assert line is not None
    assert (line.status, line.target) == (401, "/orders/7?page=2")


def test_entries_of_a_later_version_may_have_more() -> None:
    line = open_format("alb")(f'{_HEAD}{_TAIL} "x" 1 2 3')

    assert line is not None
    assert line.status == 401


def test_a_request_that_came_to_nothing() -> None:
    """Times of -1, no target, no status, and no request to speak of."""
    line = open_format("alb")(
        "http 2026-11-22T11:09:06.250000Z app/shop/0123 2001:db8::7:2817 - -1 -1 -1 - - 0 0"
        ' "- http://api.example:80- -" "-" - - - "-" "-" "-" - 2026-11-22T11:09:06.199000Z "-" "-" "-"'
    )

    assert told(line) == {
        "started": datetime(2026, 11, 22, 11, 9, 6, 199_000, tzinfo=UTC),
        "ended": datetime(2026, 11, 22, 11, 9, 6, 250_000, tzinfo=UTC),
        "peer": "2001:db8::7",
    }


def test_a_connection_log_is_told_apart() -> None:
    with pytest.raises(Unreadable, match="connection log"):
        open_format("alb")(
            "2026-11-22T11:09:06.250000Z 203.0.113.7 2817 443 TLSv1.3 TLS_AES_128 0.004 - - - Success TID"
        )


def test_it_takes_no_layout() -> None:
    with pytest.raises(ConfigurationError, match="say alb alone"):
        open_format("alb:$type")


def test_hostile_lines() -> None:
    survives("alb", _HEAD, _HEAD + _TAIL)
