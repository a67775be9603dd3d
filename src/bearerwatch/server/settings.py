"""What the collector can be told."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from pathlib import Path

from bearerwatch.callers import is_loopback
from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import state_dir
from bearerwatch.ingest.keys import IngestKeys
from bearerwatch.ingest.log_source import LogSource

__all__ = ["CollectorSettings", "parse_duration"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d|w)", re.ASCII)
_LONGEST = timedelta(days=36_500)


def parse_duration(text: str, flag: str = "the duration") -> timedelta:
    """A length of time such as ``30d``, ``12h``, ``1h30m`` or ``250ms``.

    Args:
        text: numbers, each with ``ms``, ``s``, ``m``, ``h``, ``d`` or ``w``.
        flag: what to call it in an error.

    Raises:
        ConfigurationError: it cannot be read, is zero, or is longer than a hundred years.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = _PART.findall(compact)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != compact or seconds <= 0:
        raise ConfigurationError(f"{flag} is a length of time such as 30d, 12h, 90m, 30s or 250ms")
    if seconds > _LONGEST.total_seconds():
        raise ConfigurationError(f"{flag} is longer than a hundred years: give less")
    return timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorSettings:
    """Settings of one collector.

    Args:
        state_dir: the state folder (``--state``); made if need be.
        spools: folders to tail (``--spool``); by default ``BEARERWATCH_SPOOL``, or ``spool`` in the
            state folder.
        tails: access logs to follow (``--tail``).
        log_zone: of times in them that name none (``--log-zone``).
        database: URL of the state database (``--database``); by default SQLite in the state folder.
        host: address the HTTP ingest binds (``--listen``).
        port: its port; 0 goes without.
        retain: how long events are kept (``--retain``); ``None`` for ever.
        mmdb: MaxMind DB files for country and network (``--mmdb``).
        rules: folder of the user's own rules (``--rules``).
        config: TOML file that names alert channels (``--config``).
        tick: seconds between two looks at what is new.
        commit_every: seconds after which what has come in is made durable, unless something waits for it.
        max_pending: events held in memory before nothing more is read.
        min_free: bytes that must be free on the state folder's disk for anything to be read.
        ingest_keys: who may send over HTTP; ``None`` takes ``BEARERWATCH_INGEST_KEYS`` and its file.

    Raises:
        ConfigurationError: a setting cannot be used; the message names its flag.
    """

    state_dir: Path = field(default_factory=state_dir)
    spools: tuple[Path, ...] = ()
    tails: tuple[LogSource, ...] = ()
    log_zone: tzinfo = UTC
    database: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    retain: timedelta | None = timedelta(days=30)
    mmdb: tuple[Path, ...] = ()
    rules: Path | None = None
    config: Path | None = None
    tick: float = 0.25
    commit_every: float = 1.0
    max_pending: int = 80_000
    min_free: int = 16 << 20
    ingest_keys: IngestKeys | None = None

    def __post_init__(self) -> None:
        if self.ingest_keys is None:
            object.__setattr__(self, "ingest_keys", IngestKeys.from_env())
        if not self.spools:  # where an application with the same environment writes
            spool = os.environ.get("BEARERWATCH_SPOOL")
            object.__setattr__(self, "spools", (Path(spool) if spool else self.state_dir / "spool",))
        self._check_folders()
        if not 0 <= self.port <= 65_535:
            raise ConfigurationError("--listen takes a port from 1 to 65535, or 0 to go without HTTP")
        if self.port and not self.ingest_keys and not is_loopback(self.host):
            raise ConfigurationError(
                f"--listen {self.host} can be reached from other machines and there is no ingest key: set "
                "BEARERWATCH_INGEST_KEYS=name:secret, or bind 127.0.0.1"
            )
        if self.retain is not None and self.retain < timedelta(hours=1):
            raise ConfigurationError("--retain is at least 1h: events are dropped by whole hours")
        if not 0.01 <= self.tick <= 60:
            raise ConfigurationError("--tick is 10ms to 60s")
        if not 0 <= self.commit_every <= 60:
            raise ConfigurationError("the time between commits is 0 to 60 s")
        if self.max_pending < 1 or self.min_free < 0:
            raise ConfigurationError("max_pending is at least 1, min_free at least 0")

    def _check_folders(self) -> None:
        seen: set[Path] = set()
        for spool in self.spools:
            place = spool.absolute()
            if place in seen:
                raise ConfigurationError(f"--spool {spool} is named twice: name it once")
            if place == self.state_dir.absolute():
                raise ConfigurationError(f"--spool {spool} is the state folder itself: name a folder of its own")
            if spool.exists() and not spool.is_dir():
                raise ConfigurationError(f"--spool {spool} is not a folder: name the folder applications write to")
            seen.add(place)
        for log in self.tails:
            if log.path.absolute() in seen:
                raise ConfigurationError(f"--tail {log.path} is named twice, or is a spool: name it once")
            seen.add(log.path.absolute())
        if self.state_dir.exists() and not self.state_dir.is_dir():
            raise ConfigurationError(f"--state {self.state_dir} is not a folder: name another")
        if self.rules is not None and not self.rules.is_dir():
            raise ConfigurationError(f"--rules {self.rules} is not a folder: name one that holds *.yml")
        for path, flag in (*((path, "--mmdb") for path in self.mmdb), (self.config, "--config")):
            if path is not None and not path.is_file():
                raise ConfigurationError(f"{flag} {path} is not a file: mend its path")
