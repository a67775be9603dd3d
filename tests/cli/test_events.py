from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import fakes
from bearerwatch.event import Outcome

Run = Callable[..., Any]


def test_events_are_lines_oldest_first(run: Run, story: Any) -> None:
    ran = run("events", "--since", "1d")
    lines = ran.out.splitlines()
    assert (ran.code, len(lines), ran.err) == (0, 6, "")
    assert [line.split()[2] for line in lines] == ["success", "success", "invalid", "invalid", "invalid", "success"]
    assert "GET /orders/{id}" in lines[2]
    assert "401" in lines[2]
    assert "203.0.113.7     NL  billing" in lines[2]
    assert f"{story.ring.token_id(story.guesses[0])[:18]}…" in lines[2]
    assert "unknown_token" in lines[2]
    assert "req-0004" in lines[2]


def test_json_is_one_whole_event_a_line(run: Run, story: Any) -> None:
    rows = run("events", "--since", "1d", "--json").rows
    assert len(rows) == 6
    assert rows[0]["token_id"] == story.token_id
    assert rows[0]["country"] == "DE"
    ts = datetime.fromisoformat(rows[0]["ts"])
    assert ts == story.now - timedelta(hours=4)
    assert rows[0]["ts"].endswith("Z")


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["--outcome", "invalid"], 3),
        (["--outcome", "invalid", "--outcome", "success"], 6),
        (["--ip", "192.0.2.9"], 1),
        (["--service", "billing"], 3),
        (["--request-id", "req-0004"], 1),
        (["--until", "2h"], 2),
        (["--ip", "192.0.2.9", "--service", "billing"], 0),
    ],
)
def test_filters(run: Run, story: Any, filters: list[str], count: int) -> None:
    ran = run("events", "--since", "1d", "--json", *filters)
    assert len(ran.rows) == count
    assert ("no event fits" in ran.err) is (count == 0)


def test_by_fingerprint_whole_begun_or_as_logs_print_it(run: Run, story: Any) -> None:
    begun = story.token_id[:18]
    for text in (story.token_id, begun, f"[token {story.token_id}]", f"{begun}…", f"token {begun}..."):
        assert len(run("events", "--since", "1d", "--json", "--token", text).rows) == 3


def test_by_a_token_on_standard_input(run: Run, story: Any) -> None:
    ran = run("events", "--since", "1d", "--json", "--token", "-", stdin=f"Bearer {story.token}\n")
    assert [row["token_id"] for row in ran.rows] == [story.token_id] * 3
    assert fakes.leaked(story.token, ran.out, ran.err) == []


def test_the_newest_are_shown_and_it_is_said(run: Run, story: Any) -> None:
    ran = run("events", "--since", "1d", "--limit", "2", "--json")
    assert [row["request_id"] for row in ran.rows] == ["req-0006", "req-0003"]
    assert "only the newest 2 are shown" in ran.err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--outcome", "invlid"], "--outcome is one of success, anonymous"),
        (["--since", "noon"], "--since is a length of time"),
        (["--since", "1h", "--until", "2h"], "--until lies before --since"),
        (["--token", "k1a2b3c4d"], "--token takes a fingerprint"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_wrong_usage_is_explained(run: Run, story: Any, argv: list[str], says: str) -> None:
    ran = run("events", *argv)
    assert ran.code == 2
    assert says in ran.err
    assert ran.out == ""


def test_without_a_collector_it_says_how_to_start_one(run: Run, tmp_path: Any) -> None:
    ran = run("events", "--state", tmp_path)
    assert ran.code == 2
    assert "start one with" in ran.err


def test_hostile_values_reach_the_terminal_as_text(run: Run, story: Any) -> None:
    hostile = "/x\x1b]0;owned\x07[red]\u202e\n2026-01-01 FAKE"
    story.add(story.event(timedelta(seconds=5), Outcome.SUCCESS, route=hostile, service="a\x1b[2Jb"))
    for argv in (["events"], ["timeline", "--ip", "198.51.100.1"], ["events", "--json"]):
        ran = run(*argv)
        assert "\x1b" not in ran.out
        assert "\u202e" not in ran.out
        assert not any("FAKE" in line[:20] for line in ran.out.splitlines())
    assert "/x\\x1b]0;owned\\x07[red]\\u202e\\x0a2026-01-01 FAKE" in run("events").out
    assert run("events", "--json").rows[-1]["route"] == hostile


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What a shell starts in the background ignores SIGINT, and so does what that starts: this test run, say."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("interruptible")
def test_following_shows_what_arrives_until_interrupted(story: Any) -> None:
    kept = ("PATH", "HOME", "BEARERWATCH_STATE", "BEARERWATCH_KEYS")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    command = [sys.executable, "-m", "bearerwatch.cli", "events", "--follow", "--json", "--since", "20m"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(15, process.kill)
        watchdog.start()
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        first = json.loads(line)
        # the history was told when the session began, which may be minutes ago: this one is of now
        story.add(story.event(story.now - datetime.now(UTC), Outcome.EXPIRED))
        second = json.loads(process.stdout.readline())
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        errors = process.stderr.read()
        code = process.wait()
        watchdog.cancel()
    assert (first["outcome"], second["outcome"]) == ("success", "expired")
    assert (code, rest, errors) == (130, "", "")
