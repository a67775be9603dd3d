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
