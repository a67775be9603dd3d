"""Where events go from the app. One file a sink, found by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from bearerwatch._units import load, names
from bearerwatch.errors import ConfigurationError
from bearerwatch.formats import encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    """The sinks *settings* names, in order; ``stdout:ocsf`` is the sink ``stdout`` in the format ``ocsf``.

    Raises:
        ConfigurationError: there is no sink or format of that name, or the sink has a format of its own.
    """
    opened: list[Sink] = []
    for word in settings.sinks:
        name, colon, form = word.partition(":")
        try:
            unit = load(__name__, name)
        except LookupError:
            raise ConfigurationError(
                f"sinks (BEARERWATCH_SINKS): there is no sink {name!r}; there are: {', '.join(names(__name__))}"
            ) from None
        if not colon:
            opened.append(cast("Sink", unit.open_sink(settings)))
        elif hasattr(unit, "open_as"):
            opened.append(cast("Sink", unit.open_as(_encoder(form))))
        else:
            raise ConfigurationError(f"sinks (BEARERWATCH_SINKS): {name} has a format of its own: leave :{form} out")
    return tuple(opened)


def _encoder(form: str) -> Callable[[AuthEvent], bytes]:
    try:
        return encoder(form)
    except ConfigurationError as error:
        raise ConfigurationError(f"sinks (BEARERWATCH_SINKS): {error}") from None
