"""What a source of revocations is, and how a URL names one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast
from urllib.parse import urlsplit

from bearerwatch import _units
from bearerwatch.errors import BearerwatchError, ConfigurationError
from bearerwatch.verify.revocations._entry import Revocation

__all__ = ["Found", "Ledger", "Source", "SourceLost", "open_ledger", "open_source", "where"]

_PACKAGE = "bearerwatch.verify.revocations"
_ALIASES = {"rediss": "redis", "valkey": "redis", "valkeys": "redis", "unix": "redis"}


class SourceLost(BearerwatchError):  # noqa: N818 - a state of affairs to wait out, not a mistake
    """A source cannot be read just now; the message says why and what to do, and holds no credential."""


class Found(NamedTuple):
    """The whole of a list, as it is now."""

    entries: dict[str, float]
    """Token id to the Unix time it may be forgotten at; infinity where nobody said."""
    refused: int = 0
    """Lines that were no revocation."""


class Source(Protocol):
    """Where a list is read from, by one thread of ours, which opens it and never shares it."""

    every: float
    """Seconds from one look to the next: at most 1, so that what is revoked is refused within two."""

    def poll(self) -> Found | None:
        """The list if it changed since the last look, else ``None``. Returns within a few seconds.

        Raises:
            SourceLost: it cannot be read just now.
        """


class Ledger(Protocol):
    """Where revocations are written down for others to read. Each call is all or nothing."""

    def add(self, entries: Sequence[Revocation]) -> int:
        """Write *entries* down; returns how many say something new. What is there is never shortened."""

    def remove(self, token_ids: Sequence[str]) -> int:
        """Take back what was revoked; returns how many of *token_ids* had been."""

    def entries(self) -> list[Revocation]:
        """All that is in force, first revoked first."""


def open_source(url: str) -> Source:
    """The source *url* names; nothing is connected yet.

    Raises:
        ConfigurationError: it names none, or its library is not installed.
    """
    return _unit(url).open_source(url)


def open_ledger(url: str) -> Ledger:
    """Where the revocations that *url* names are written down.

    Raises:
        ConfigurationError: it names none, or one that is written to in another way; the message says which.
    """
    return _unit(url).open_ledger(url)


def where(url: str) -> str:
    """*url* as messages show it: without user, password and query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "the source of revocations"
    return f"{parts.scheme}:{'//' if parts.netloc else ''}{host}{port}{parts.path}"


def _unit(url: str) -> _Unit:
    scheme, colon, _ = url.partition(":")
    name = scheme.lower().partition("+")[0].replace("-", "_")
    name = _ALIASES.get(name, name)
    if not colon or name not in _units.names(_PACKAGE):
        raise ConfigurationError(
            "the source of revocations is not one we know (BEARERWATCH_REVOCATIONS): write file:/path, redis://host, "
            "django-cache:alias or collector+https://host"
        )
    return cast("_Unit", _units.load(_PACKAGE, name))


class _Unit(Protocol):
    def open_source(self, url: str, /) -> Source: ...
    def open_ledger(self, url: str, /) -> Ledger: ...
