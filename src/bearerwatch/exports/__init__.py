"""Exports: what the lake holds, written or sent in the formats of others.

``run`` reads batches and hands them to a target: a file, an HTTP endpoint, a syslog receiver. A ``Checkpoint`` keeps
how far that came, so that the next run goes on there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bearerwatch.errors import BearerwatchError

if TYPE_CHECKING:
    from bearerwatch.event import AuthEvent

__all__ = ["ExportError", "Target"]


class ExportError(BearerwatchError):
    """An export could not be brought to its end. The message says what to do; what was taken is not sent again."""


class Target(Protocol):
    """Where events go."""

    lasting: bool
    """Whether events are safe as soon as :meth:`send` returns, rather than after :meth:`finish`."""

    def send(self, events: list[AuthEvent]) -> int:
        """Hand over events, in order; returns how many of them the receiver refused for good.

        Raises:
            ExportError: they could not be delivered.
        """

    def finish(self) -> None:
        """All were sent: make what was written last.

        Raises:
            ExportError: it does not.
        """

    def close(self) -> None:
        """Let go of everything; what is not finished leaves nothing behind. May follow :meth:`finish`."""
