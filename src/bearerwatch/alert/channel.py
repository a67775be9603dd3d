"""What every channel is, and how it says that it could not deliver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bearerwatch.errors import BearerwatchError

if TYPE_CHECKING:
    from bearerwatch.alert.notice import Notice

__all__ = ["Channel", "DeliveryError"]


class DeliveryError(BearerwatchError):
    """A notice did not arrive. The message never holds the channel's address or secret.

    Args:
        message: what happened and, where it helps, how to mend it.
        retry: whether trying again can help.
        retry_after: seconds the receiver asked us to wait (RFC 9110 §10.2.3).
    """

    def __init__(self, message: str, *, retry: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry = retry
        self.retry_after = retry_after


class Channel(Protocol):
    """One place notices go to. Built from :class:`~bearerwatch.alert.options.Options` by its own file."""

    name: str
    """Names the channel in the outbox: the same after a restart."""

    def deliver(self, notice: Notice) -> None:
        """Send *notice* and return once the receiver has it.

        Raises:
            DeliveryError: it has not.
        """

    def close(self) -> None:
        """Give up what is under way and let go of connections. May be called from another thread."""
