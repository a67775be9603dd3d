"""Which change of which episode is told where: changes in, rows for the outbox out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from bearerwatch.alert.channel import Channel
from bearerwatch.alert.config import Route
from bearerwatch.alert.notice import AlertEpisode, Notice
from bearerwatch.store.outbox import OutboxRow

__all__ = ["Change", "Router"]


_TOLD: dict[str, Literal["opened", "closed"]] = {"opened": "opened", "closed": "closed", "merged": "closed"}


class Change(Protocol):
    """What happened to an episode, as the detector tells it."""

    @property
    def transition(self) -> str:
        """``opened``, ``closed``, ``merged`` or ``extended``."""

    @property
    def episode(self) -> AlertEpisode:
        """The episode as it now is."""


class Router:
    """Turns changes of episodes into outbox rows.

    Args:
        routes: channels and what each wants.
        advice: what to do about an alert, by rule id.
    """

    def __init__(self, routes: Sequence[Route], *, advice: Mapping[str, str] | None = None) -> None:
        self._routes = list(routes)
        self._advice = dict(advice or {})

    @property
    def channels(self) -> list[Channel]:
        """The channels, in order."""
        return [route.channel for route in self._routes]

    def rows(self, changes: Iterable[Change], now: datetime) -> list[OutboxRow]:
        """What to enqueue for *changes*, in the transaction that saves them.

        An episode is told of when it opens and when it closes; growth in between is not news. One that
        turns out to be part of another ends there: whoever was told of its opening is told so, or an
        incident would stay open in their pager for ever.

        Args:
            changes: what the detector returned.
            now: the collector's clock, aware UTC.
        """
        rows: list[OutboxRow] = []
        for change in changes:
            episode = change.episode
            transition = _TOLD.get(change.transition)
            if transition is None or (change.transition == "merged" and episode.closed_at is not None):
                continue
            routes = [route for route in self._routes if route.wants(episode.rule, episode.level)]
            if not routes:
                continue
            notice = Notice.of(transition, episode, advice=self._advice.get(episode.rule, ""), at=now)
            payload = notice.dump()
            rows += [
                OutboxRow(
                    key=notice.key,
                    channel=route.channel.name,
                    episode_id=episode.id,
                    transition=transition,
                    payload=payload,
                    created_at=now,
                    next_try_at=now,
                )
                for route in routes
            ]
        return rows
