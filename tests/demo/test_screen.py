"""What is shown is shown twice, to people and to a file, and does not obey what attackers send."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bearerwatch.demo.screen import Screen


def test_everything_shown_is_kept(tmp_path: Path) -> None:
    stream, at = io.StringIO(), datetime(2026, 1, 1, 10, tzinfo=UTC)
    with Screen(tmp_path / "terminal.txt", stream) as screen:
        screen.intro("demo", "What this is.")
        screen.phase("Attack 1 of 6", "somebody guesses")
        screen.doing("guessing")
        screen.alert("high", "Token guessing", "client_ip 203.0.113.1", 0.74)
        screen.timeline(
            [
                {"ts": at, "kind": "access", "service": "gateway", "path": "/orders/7"},
                {
                    "ts": at + timedelta(milliseconds=7),
                    "kind": "log",
                    "service": "worker",
                    "detail": "it is \x1b[2Jpacked",
                },
            ]
        )
        screen.table("Attacks", ("attack", "requests#"), [("guessing", "80")])
        screen.checks("Promises", [(True, "Kept.", "all of it"), (False, "Broken.", "a part")])
        screen.lines("Next", [("bearerwatch alerts", "the alerts")])
        screen.verdict(False, "Not all of it is true.")

    kept = (tmp_path / "terminal.txt").read_text()
    assert stream.getvalue() == kept
    for text in (
        "What this is.",
        "HIGH",
        "after 0.7 s",
        "│ guessing │       80 │",
        "✗ Broken.",
        "10:00:00.007      +7 ms  log",
    ):
        assert text in kept
    assert "\x1b" not in kept


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    stream = io.StringIO()
    with Screen(tmp_path / "terminal.txt", stream) as screen:
        screen.alert("high", "x\x1b]0;owned\x07", "client_ip \x1b[2J\u202e[bold]", None)

    assert "\x1b" not in stream.getvalue()
    assert "\u202e" not in stream.getvalue()
    assert "[bold]" in stream.getvalue()
