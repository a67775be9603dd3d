"""What the :class:`~bearerwatch.detect.detector.Detector` asks of each means by which rules are evaluated live."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sqlalchemy.engine import Connection

from bearerwatch.detect.book import Happened

__all__ = ["Evaluator"]


class Evaluator(Protocol):
    """Some rules at work. Each takes the lake's batch by itself, once."""

    happened: list[Happened]
    """What happened and has not been told yet."""

    @property
    def degraded(self) -> list[str]:
        """Names of the rules that want more memory than there is."""

    @property
    def unfinished(self) -> bool:
        """Whether a tick was broken off: nothing may be committed."""

    def warm_up(self, newest: datetime, now: datetime) -> None:
        """Remember what is needed of a lake whose newest event is from *newest*."""

    def read_up_to(self, until: datetime) -> None:
        """Take note that what was sent until then has been read."""

    def take(self, now: datetime) -> None:
        """Take in the lake's batch, if it is a new one."""

    def finish(self) -> None:
        """Evaluate what cannot wait."""

    def settle(self) -> None:
        """Evaluate what was waiting, before a commit."""

    def save(self, tx: Connection) -> None:
        """Write what a restart needs, in the transaction that publishes the events it comes from."""

    def committed(self) -> None:
        """That transaction is committed."""

    def start_over(self) -> None:
        """Put in order what running out of memory left half done."""
