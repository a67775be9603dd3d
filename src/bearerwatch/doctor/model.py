"""What is examined, and what can be found."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bearerwatch.alert.escape import printable

__all__ = ["Check", "Finding", "Report", "Site", "finding"]

_MAX_WORDS = 1_000


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong."""

    id: str
    """``bearerwatch.W001``: stable."""
    message: str
    hint: str
    """How to mend it."""

    @property
    def is_error(self) -> bool:
        """Whether something does not work, rather than could be better."""
        return self.id.startswith("bearerwatch.E")


Report = Callable[[Finding], None]
"""Takes what a check finds."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check that was made."""

    name: str
    said: str
    """What it looked at."""
    findings: list[Finding]


@dataclass(frozen=True, kw_only=True)
class Site:
    """What is to be examined.

    Args:
        state: the collector's state folder.
        database: URL of the state database, ``None`` for SQLite in *state*.
        spools: folders the collector tails; the default spool if empty.
        mmdb: MaxMind DB files.
        rules: a folder of the user's own rules.
        config: the file that names channels.
        env: the environment settings are read from.
        now: what time it is.
    """

    state: Path
    database: str | None = None
    spools: Sequence[Path] = ()
    mmdb: Sequence[Path] = ()
    rules: Path | None = None
    config: Path | None = None
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


def finding(code: str, message: str, hint: str) -> Finding:
    """A finding: *code* is ``Wnnn`` for what could be better, ``Ennn`` for what does not work."""
    return Finding(
        id=f"bearerwatch.{code}",
        message=printable(message, _MAX_WORDS),
        hint=printable(hint, _MAX_WORDS),
    )
