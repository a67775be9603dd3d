"""Marked episodes: what is known to have happened, so that alerts can be judged by it.

One JSON document::

    {"format": 1, "since": "2026-03-02T00:00:00Z", "until": "2026-03-03T00:00:00Z",
     "marked": [{"id": "token_guessing-3", "rules": ["token_guessing"], "also": [], "attack": true,
                 "key": {"client_ip": ["203.0.113.9"]},
                 "first": "2026-03-02T03:12:08.5Z", "last": "2026-03-02T03:20:00Z"}]}
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from bearerwatch.errors import ConfigurationError

__all__ = ["FORMAT", "Marked", "Truth", "read_truth"]

FORMAT = 1
_MOST_BYTES = 256 << 20


class Marked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened."""

    id: str
    rules: list[str] = []
    """Rules that must tell of it: each of them misses it if no episode fits."""
    also: list[str] = []
    """Rules whose alert about it is neither asked for nor false; of an attack every rule's is."""
    attack: bool = True
    key: dict[str, list[str]] = {}
    """Field of an event to the values that alerts about this may name. What is not here may be anything.

    Name all that is known, such as addresses, tokens, services and routes: an alert of a rule that was not asked for
    is put down to an attack only if it names something that stands here.
    """
    first: datetime
    """When its first event was."""
    last: datetime
    kind: str = ""
    shape: str = ""
    events: int = 0
    """How many events it is made of; 0 if that is not known."""


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known to have happened from *since* until *until*."""

    format: int
    since: datetime
    until: datetime
    marked: list[Marked]
    made: dict[str, str | int | float] = {}
    """How it was made, if it was."""


def read_truth(path: Path) -> Truth:
    """Read a file of marked episodes.

    Raises:
        ConfigurationError: it cannot be read or is none; the message says where.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigurationError(f"{path} is larger than {_MOST_BYTES >> 20} MB: mark fewer episodes in one file")
        truth = msgspec.json.decode(path.read_bytes(), type=Truth)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}): name one that can") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} marks no episodes ({error}): see the guide on simulation") from None
    if truth.format != FORMAT:
        raise ConfigurationError(f"{path} has format {truth.format} and only {FORMAT} is known: update bearerwatch")
    naive = next((one.id for one in truth.marked if one.first.tzinfo is None or one.last.tzinfo is None), None)
    if naive is not None:
        raise ConfigurationError(f"{path}: {naive!r} has a time without a zone: write 2026-01-31T12:00:00Z")
    return truth
