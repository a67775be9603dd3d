from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import fakes
from bearerwatch.event import Outcome

Run = Callable[..., Any]


def test_a_token_has_a_story(run: Run, story: Any) -> None:
    ran = run("timeline", "--token", story.token_id[:18])
    assert (ran.code, ran.err) == (0, "")
    lines = [line for line in ran.out.splitlines() if not line.startswith("──")]
    first, alert, second, gap, third, summary = lines
    assert "success" in first
    assert "+0 ms" in first
    assert "▲ LOW A burst of requests with one token" in alert
    assert "closed" in alert
    assert "+2 s" in second
    assert "→" not in second
    assert "3 h 59 min without a request" in gap
    assert "→ 192.0.2.9" in third
    assert summary == "3 events, 2 addresses, 1 service, 1 alert"


def test_an_address_has_one_with_its_alert_behind_the_first_hit(run: Run, story: Any) -> None:
    lines = run("timeline", "--ip", "203.0.113.7").out.splitlines()[1:]
    assert "invalid" in lines[0]
    assert (
        "▲ HIGH Many distinct invalid tokens from one address (client_ip 203.0.113.7)  3 hits in 2 s, open" in lines[1]
    )
    assert lines[-1] == "3 events, 1 address, 1 service, 1 alert"


def test_a_request_has_one(run: Run, story: Any) -> None:
    rows = run("timeline", "--request-id", "req-0004", "--json").rows
    assert [(row["type"], row.get("request_id")) for row in rows] == [("event", "req-0004")]


def test_json_interleaves_events_and_alerts(run: Run, story: Any) -> None:
    rows = run("timeline", "--ip", "203.0.113.7", "--json").rows
    assert [row["type"] for row in rows] == ["event", "alert", "event", "event"]
    assert rows[1]["id"] == story.episode
    assert rows[1]["closed_at"] is None


def test_a_token_on_standard_input_is_fingerprinted_here(run: Run, story: Any) -> None:
    ran = run("timeline", "--token", "-", "--json", stdin=story.token)
    assert [row["type"] for row in ran.rows] == ["event", "alert", "event", "event"]
    assert fakes.leaked(story.token, ran.out, ran.err) == []


def test_a_token_as_an_argument_is_refused_with_the_mend(run: Run, story: Any) -> None:
    ran = run("timeline", "--token", story.token)
    assert ran.code == 2
    assert "bearerwatch timeline --token - < FILE" in ran.err
    assert "revoke it" in ran.err
    assert fakes.leaked(story.token, ran.out, ran.err) == []


def test_another_key_ring_is_noticed(run: Run, story: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEARERWATCH_KEYS", "z" * 32)
    ran = run("timeline", "--token", "-", stdin=story.token)
    assert ran.code == 0
    assert "No event has a fingerprint of key k" in ran.err
    assert story.ring.active_id in ran.err


@pytest.mark.parametrize("argv", [[], ["--ip", "192.0.2.9", "--request-id", "req-0001"]])
def test_it_is_whose_timeline_exactly(run: Run, story: Any, argv: list[str]) -> None:
    ran = run("timeline", *argv)
    assert ran.code == 2
    assert "one of --token, --ip and --request-id" in ran.err


def test_nothing_found_is_said(run: Run, story: Any) -> None:
    ran = run("timeline", "--ip", "192.0.2.77")
    assert (ran.code, ran.out) == (0, "")
    assert "--since looks further back" in ran.err


def test_an_ambiguous_beginning_is_refused(run: Run, story: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = [f"k1a2b3c4d:abcd{n}" + "0" * 27 for n in range(2)]
    story.add(*(story.event(timedelta(minutes=2), Outcome.SUCCESS, token_id=twin) for twin in twins))
    ran = run("timeline", "--token", "k1a2b3c4d:abcd")
    assert ran.code == 2
    assert all(twin in ran.err for twin in twins)


def _of_log(story: Any, ago: timedelta, status: int, request_id: str, service: str = "edge", **fields: Any) -> bytes:
    """A line of a gateway's log, as the collector keeps it."""
    outcome = Outcome.ERROR if status >= 500 else Outcome.ANONYMOUS
    values = {"status": status, "service": service, "request_id": request_id, "duration_us": 1_200_000, "route": None}
    line: bytes = story.event(ago, outcome, **values | fields)
    return line.replace(b"spool:shop", f"access:{service}".encode())


def test_a_gateway_s_line_stands_with_the_service_s_event(run: Run, story: Any) -> None:
    """One entry a request, though the gateway knows no token; another status is shown as such."""
    story.add(
        _of_log(story, timedelta(seconds=60), 504, "req-0003", client_ip="198.51.100.77"),
        _of_log(story, timedelta(hours=4), 200, "req-0001"),
        _of_log(story, timedelta(hours=3), 200, "req-9999"),
    )
    ran = run("timeline", "--token", story.token_id)
    lines = [line for line in ran.out.splitlines() if "req-" in line]
    assert [line.split("  via ")[1].split("  ")[0] if "via" in line else None for line in lines] == [
        "edge 200 in 1.2 s",
        None,
        "edge 504 in 1.2 s",
    ]
    assert "3 events, 2 addresses, 2 services" in ran.out

    rows = [row for row in run("timeline", "--token", story.token_id, "--json").rows if row["type"] == "event"]
    assert [[(seen["status"], seen["differs"]) for seen in row.get("via", ())] for row in rows] == [
        [(200, False)],
        [],
        [(504, True)],
    ]
    assert rows[2]["via"][0]["client_ip"] == "198.51.100.77"
    assert rows[2]["status"] == 200


def test_from_the_gateway_s_side_it_is_the_same_entry(run: Run, story: Any) -> None:
    """Asked for the address that the gateway saw, the service's event is found by the request's id."""
    story.add(_of_log(story, timedelta(seconds=60), 504, "req-0003", client_ip="198.51.100.77"))

    (row,) = run("timeline", "--ip", "198.51.100.77", "--json").rows
    assert (row["service"], row["token_id"], row["via"][0]["service"]) == ("shop", story.token_id, "edge")


def test_a_line_of_which_no_service_tells_stays_by_itself(run: Run, story: Any) -> None:
    """And so does the second with one id: ids can be sent again."""
    story.add(
        _of_log(story, timedelta(seconds=60), 200, "req-0003"),
        _of_log(story, timedelta(seconds=59), 401, "req-0003"),
        _of_log(story, timedelta(seconds=58), 200, "req-0003", service="balancer"),
    )
    rows = run("timeline", "--request-id", "req-0003", "--json").rows
    events = [row for row in rows if row["type"] == "event"]

    assert [(row["service"], [seen["service"] for seen in row.get("via", ())]) for row in events] == [
        ("shop", ["edge", "balancer"]),
        ("edge", []),
    ]


def test_a_request_of_several_services_has_its_gateway_once(run: Run, story: Any) -> None:
    story.add(
        story.event(timedelta(seconds=60), Outcome.SUCCESS, service="stock", request_id="req-0003"),
        _of_log(story, timedelta(seconds=60), 200, "req-0003"),
    )
    rows = [row for row in run("timeline", "--request-id", "req-0003", "--json").rows if row["type"] == "event"]

    assert [(row["service"], "via" in row) for row in rows] == [("shop", True), ("stock", False)]
