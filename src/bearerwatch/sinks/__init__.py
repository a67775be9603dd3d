"""Where events go from the app. One file a sink, found by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from bearerwatch._units import load, names
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bearerwatch.event import AuthEvent
    from bearerwatch.settings import Settings

__all__ = ["Sink", "open_sinks"]


class Sink(Protocol):
    """Takes events. ``send`` never blocks on a peer and may raise: its caller guards the request."""

    def send(self, event: AuthEvent) -> None:
        """Hand over one event."""

    def close(self) -> None:
        """Let go of files; sending again opens them anew."""


def open_sinks(settings: Settings) -> Sequence[Sink]:
    """The sinks *settings* names, in order.

    Raises:
        ConfigurationError: there is no sink of that name.
    """
    opened: list[Sink] = []
    for name in settings.sinks:
        try:
            unit = load(__name__, name)
        except LookupError:
            raise ConfigurationError(
                f"sinks (BEARERWATCH_SINKS): there is no sink {name!r}; there are: {', '.join(names(__name__))}"
            ) from None
        opened.append(cast("Sink", unit.open_sink(settings)))
    return tuple(opened)
