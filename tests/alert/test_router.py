from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from bearerwatch.alert.channels.console import Channel
from bearerwatch.alert.config import Route
from bearerwatch.alert.notice import Notice
from bearerwatch.alert.options import Options
from bearerwatch.alert.router import Router

NOW = datetime(2026, 1, 31, 13, tzinfo=UTC)


class Change(NamedTuple):
    transition: str
    episode: Any


def route(name: str, **wants: Any) -> Route:
    return Route(Channel(Options({}, where="test", name=name)), **wants)


def test_opening_and_closing_are_news_and_growth_is_not(episode: Callable[..., Any]) -> None:
    router = Router([route("console")])
    closed = episode(closed_at=NOW)
    changes = [Change("opened", episode()), Change("extended", episode()), Change("closed", closed)]
    assert [row.key.rsplit(":")[1] for row in router.rows(changes, NOW)] == ["opened", "closed"]


def test_an_episode_that_became_part_of_another_ends_for_who_was_told_of_it(episode: Callable[..., Any]) -> None:
    (row,) = Router([route("console")]).rows([Change("merged", episode(superseded_by="f" * 32))], NOW)
    assert (row.transition, row.key) == ("closed", f"{episode().id}:closed")
    notice = Notice.load(row.payload)
    assert (notice.at, notice.superseded_by) == (NOW, "f" * 32)


def test_an_episode_closed_before_it_was_merged_ends_once(episode: Callable[..., Any]) -> None:
    closed = episode(closed_at=NOW, superseded_by="f" * 32)
    assert Router([route("console")]).rows([Change("merged", closed)], NOW) == []


def test_each_channel_gets_what_it_wants(episode: Callable[..., Any]) -> None:
    router = Router([route("all"), route("pager", min_level="critical"), route("guessing", rules=("token_*",))])
    assert [channel.name for channel in router.channels] == ["all", "pager", "guessing"]
    rows = router.rows([Change("opened", episode()), Change("opened", episode(rule="burst", level="critical"))], NOW)
    assert [(row.channel, row.payload["rule"]) for row in rows] == [
        ("all", "token_guessing"),
        ("guessing", "token_guessing"),
        ("all", "burst"),
        ("pager", "burst"),
    ]


def test_a_row_holds_all_that_delivery_needs(episode: Callable[..., Any]) -> None:
    router = Router([route("console")], advice={"token_guessing": "Block it."})
    (row,) = router.rows([Change("opened", episode())], NOW)
    assert (row.key, row.episode_id, row.transition) == (f"{episode().id}:opened", episode().id, "opened")
    assert row.created_at == row.next_try_at == NOW
    assert Notice.load(row.payload) == Notice.of("opened", episode(), advice="Block it.")


@pytest.mark.parametrize("level", ["informational", "low"])
def test_nobody_asked_nothing_enqueued(episode: Callable[..., Any], level: str) -> None:
    assert Router([route("pager", min_level="high")]).rows([Change("opened", episode(level=level))], NOW) == []
