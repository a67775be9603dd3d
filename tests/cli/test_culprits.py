"""``bearerwatch leaks --live``: which lines of code tried to log tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bearerwatch.cli._culprits import culprits
from bearerwatch.event import Kind
from bearerwatch.store.reader import Reader

Run = Callable[..., Any]
VIEWS = "/srv/my app/views.py:42 shop.views"


@pytest.fixture
def leaky(story: Any) -> Any:
    """Two lines of one service and one of another, told of by several events; and the story's requests."""
    ids = [story.ring.token_id(guess) for guess in story.guesses]

    def leak(minutes: int, detail: str, **fields: Any) -> bytes:
        values = {"kind": Kind.LEAK, "detail": detail, "token_source": "log", "route": None, "path": None}
        values |= {"method": None, "status": None, "client_ip": None, "country": None}
        return story.event(timedelta(minutes=minutes), None, **values | fields)

    story.add(
        leak(30, VIEWS, token_id=ids[0], reason="jwt"),
        leak(29, VIEWS, count=40, request_id=None),
        leak(5, VIEWS, token_id=ids[1], reason="bearer", request_id="req-late"),
        leak(20, "/srv/x.py:7 shop", token_id=ids[0], reason="live", count=3),
        leak(10, "/srv/pay.py:1 pay", service="billing", reason="password"),
        leak(60 * 24 * 3, "/srv/old.py:9 shop", reason="jwt"),
    )
    story.ids = ids
    return story


def test_places_are_summed_the_most_frequent_first(leaky: Any) -> None:
    with Reader(leaky.folder) as reader:
        found = culprits(reader, datetime.now(UTC) - timedelta(days=1))
    assert [(place["file"], place["line"], place["logger"], place["times"]) for place in found] == [
        ("/srv/my app/views.py", 42, "shop.views", 42),
        ("/srv/x.py", 7, "shop", 3),
        ("/srv/pay.py", 1, "pay", 1),
    ]
    views = found[0]
    assert (views["service"], views["tokens"], views["forms"]) == ("shop", 2, ["bearer", "jwt"])
    assert (views["token_id"], views["request_id"]) == (leaky.ids[1], "req-late")
    assert views["last"] - views["first"] == timedelta(minutes=25)


def test_of_one_service_and_of_another_time(leaky: Any) -> None:
    with Reader(leaky.folder) as reader:
        billing = culprits(reader, datetime.now(UTC) - timedelta(days=1), service="billing")
        every = culprits(reader, datetime.now(UTC) - timedelta(days=7))
        recent = culprits(reader, leaky.now - timedelta(minutes=7))  # the story may be told minutes before this test
    assert [place["file"] for place in billing] == ["/srv/pay.py"]
    assert len(every) == 4
    assert [place["times"] for place in recent] == [1]


def test_the_command_names_lines_and_exits_with_1(run: Run, leaky: Any) -> None:
    ran = run("leaks", "--live")
    lines = ran.out.splitlines()
    assert (ran.code, len(lines)) == (1, 3)
    assert lines[0].startswith("     42 x  /srv/my app/views.py:42  shop  logger shop.views  bearer, jwt  last ")
    assert f"{leaky.ids[1][:18]}…" in lines[0]
    assert "3 lines of code, 46 records redacted" in ran.err
    rows = run("leaks", "--live", "--json", "--service", "shop", "--since", "7d").rows
    assert [(row["file"], row["line"], row["times"]) for row in rows] == [
        ("/srv/my app/views.py", 42, 42),
        ("/srv/x.py", 7, 3),
        ("/srv/old.py", 9, 1),
    ]


def test_where_nothing_leaks_it_says_so_and_exits_with_0(run: Run, story: Any) -> None:
    ran = run("leaks", "--live")
    assert (ran.code, ran.out) == (0, "")
    assert "no line of code tried to log a token" in ran.err


def test_what_stands_in_a_name_reaches_the_terminal_as_text(run: Run, leaky: Any) -> None:
    values = {"kind": Kind.LEAK, "detail": "/srv/\x1b[2J\u202e.py:3 a\nb", "service": "s\x1b]0;x\x07"}
    leaky.add(leaky.event(timedelta(minutes=1), None, **values))
    ran = run("leaks", "--live")
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert len(ran.out.splitlines()) == 4


@pytest.mark.parametrize("argv", [["--live", "x.log"], ["--live", "--redact"], ["--live", "--sarif"], []])
def test_wrong_usage_is_explained(run: Run, story: Any, argv: list[str]) -> None:
    ran = run("leaks", *argv)
    assert (ran.code, ran.out) == (2, "")
    assert "--live" in ran.err


def test_without_a_collector_it_says_how_to_start_one(run: Run, tmp_path: Path) -> None:
    ran = run("leaks", "--live", "--state", tmp_path)
    assert ran.code == 2
    assert "start one with" in ran.err


def test_events_shows_and_counts_them_and_a_timeline_does_not(run: Run, leaky: Any) -> None:
    ran = run("events", "--since", "1d")
    shown = [line for line in ran.out.splitlines() if "  leak " in line]
    assert len(ran.out.splitlines()) == 6 + 5
    assert len(shown) == 5
    assert sum("/srv/my app/views.py:42 shop.views" in line for line in shown) == 3
    assert sum("  x40" in line for line in shown) == 1
    assert len(run("events", "--since", "1d", "--outcome", "invalid", "--json").rows) == 3
    story = run("timeline", "--token", leaky.ids[0])
    assert " leak " not in story.out
