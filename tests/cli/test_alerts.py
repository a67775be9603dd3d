from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from bearerwatch.store.tables import episodes

Run = Callable[..., Any]


def test_alerts_are_listed_newest_first_with_their_state(run: Run, story: Any) -> None:
    ran = run("alerts")
    first, second = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert first.startswith("0123456789ab  open   high ")
    assert "Many distinct invalid tokens from one address  client_ip 203.0.113.7  3 hits in 2 s" in first
    assert second.startswith("fedcba987654  closed low ")


@pytest.mark.parametrize(
    ("argv", "count"),
    [
        ([], 2),
        (["--open"], 1),
        (["--level", "medium"], 1),
        (["--level", "informational"], 2),
        (["--rule", "request_burst"], 1),
        (["--rule", "request_burst", "--rule", "token_guessing"], 2),
        (["--since", "1h"], 1),
        (["--limit", "1"], 1),
        (["--open", "--rule", "request_burst"], 0),
    ],
)
def test_filters(run: Run, story: Any, argv: list[str], count: int) -> None:
    assert len(run("alerts", "--json", *argv).rows) == count


def test_json_is_the_alert_as_kept(run: Run, story: Any) -> None:
    row = run("alerts", "--json", "--open").rows[0]
    assert (row["id"], row["rule"], row["closed_at"], row["key"]) == (
        story.episode,
        "token_guessing",
        None,
        {"client_ip": "203.0.113.7"},
    )


def test_one_alert_is_shown_whole_with_who_was_told(run: Run, story: Any) -> None:
    ran = run("alerts", "show", "0123")
    assert ran.code == 0
    assert ran.out.startswith("[HIGH] Many distinct invalid tokens from one address: client_ip 203.0.113.7\n")
    assert "What to do:   Block the address." in ran.out
    assert "Notice:       opened to hook: waiting, 1 tries failed: the receiver answered 500" in ran.out
    assert "Notice:       opened to pager: delivered " in ran.out
    assert all(story.ring.token_id(guess) in ran.out for guess in story.guesses)


def test_one_alert_as_json(run: Run, story: Any) -> None:
    found = run("alerts", "show", story.episode, "--json").json
    assert found["id"] == story.episode
    assert [(notice["channel"], notice["attempts"]) for notice in found["notices"]] == [("hook", 1), ("pager", 0)]


@pytest.mark.parametrize(
    ("wanted", "code", "says"),
    [
        ("9999", 1, "there is no alert 9999"),
        ("xyz", 2, "is made of the digits 0 to 9 and a to f"),
        ("", 2, "is made of"),
    ],
)
def test_an_unknown_alert_is_said(run: Run, story: Any, wanted: str, code: int, says: str) -> None:
    ran = run("alerts", "show", wanted)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err


def test_a_beginning_of_several_is_refused(run: Run, story: Any) -> None:
    with story.state.begin() as tx:
        tx.execute(sa.update(episodes).where(episodes.c.id.startswith("fedc")).values(id="0123" + "f" * 28))
    ran = run("alerts", "show", "0123")
    assert ran.code == 2
    assert "several alerts begin with 0123" in ran.err


def test_nothing_is_said_to_be_nothing(run: Run, story: Any) -> None:
    assert run("alerts", "--since", "1m").err == "no alert since 1m\n"
    assert run("alerts", "--level", "critical").err == "no alert fits since 7d\n"
    assert "'bearerwatch rules list' names the rules" in run("alerts", "--rule", "nosuch").err
    assert "--level is one of" in run("alerts", "--level", "severe").err


def test_without_a_collector_it_says_how_to_start_one(run: Run, tmp_path: Any) -> None:
    ran = run("alerts", "--state", tmp_path)
    assert ran.code == 2
    assert "start one with 'bearerwatch serve'" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_options_may_stand_before_show(run: Run, story: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEARERWATCH_STATE")
    assert run("alerts", "--state", story.folder, "show", "0123").code == 0
    assert run("alerts", "show", "--state", story.folder, "0123").code == 0
