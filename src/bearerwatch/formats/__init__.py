"""Events in the words of others: one file a format, found by its name, each a pure function of one event.

Each has ``encode(event)``, which gives one record as bytes without a newline in it, and ``MAPPING``, which says where
each field of an event stands. Nothing here waits, keeps anything or reads a clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bearerwatch._units import load, names
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bearerwatch.event import AuthEvent

__all__ = ["encoder"]


def encoder(name: str) -> Callable[[AuthEvent], bytes]:
    """What writes an event in the format *name*: one record, without a newline in it or behind it.

    Raises:
        ConfigurationError: there is no such format.
    """
    try:
        unit = load(__name__, name)
    except LookupError:
        known = ", ".join(names(__name__))
        raise ConfigurationError(f"there is no format {name!r}; there are: {known}") from None
    return cast("Callable[[AuthEvent], bytes]", unit.encode)
