"""Access logs as events: one file a format, found by its name.

A format is written ``name`` or ``name:layout``, where the layout is what the server itself was told: nginx's
``log_format``, Apache's ``LogFormat``, gunicorn's ``--access-logformat``, Envoy's command operators. Each file has
``open_format(layout, zone)``, which returns what reads one line.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo

from bearerwatch import _units
from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access._line import AccessLine, Unreadable

__all__ = ["AccessLine", "ReadLine", "Unreadable", "format_names", "open_format"]

ReadLine = Callable[[str], AccessLine | None]
"""Reads one line; ``None`` if it is of the server and about no request. Raises :class:`Unreadable`."""


def format_names() -> list[str]:
    """The formats there are, sorted."""
    return _units.names(__name__)


def open_format(text: str, zone: tzinfo = UTC) -> ReadLine:
    """What reads the lines of the format *text*: ``name`` or ``name:layout``.

    Args:
        text: the format.
        zone: of times that name none.

    Raises:
        ConfigurationError: there is no such format, or its layout cannot be told apart; the message says what to do.
    """
    name, _, layout = text.strip().partition(":")
    if name not in format_names():  # it is not repeated: who takes the wrong option for this one may type a token
        raise ConfigurationError(
            f"there is no such access-log format; there are: {', '.join(format_names())}, "
            "each also as NAME:LAYOUT with the layout the server was told"
        )
    read: ReadLine = _units.load(__name__, name).open_format(layout.strip(), zone)
    return read
