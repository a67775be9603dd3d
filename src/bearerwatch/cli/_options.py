"""Options several subcommands share, and how their values are read."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import typer

from bearerwatch.callers import address
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.fingerprint import state_dir

__all__ = [
    "DATABASE_ENV",
    "Config",
    "Database",
    "Json",
    "LogFormat",
    "LogZone",
    "Mmdb",
    "OnlyCaller",
    "OnlyOutcomes",
    "OnlyRequest",
    "OnlyService",
    "OnlyToken",
    "Rules",
    "StateFolder",
    "Until",
    "caller",
    "config_file",
    "database_url",
    "duration",
    "mmdb_files",
    "moment",
    "outcomes",
    "rules_folder",
    "span",
    "state_folder",
    "time_zone",
]

DATABASE_ENV = "BEARERWATCH_DATABASE_URL"
"""Names the state database where its URL holds a password."""

Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output, nothing else.")]

StateFolder = Annotated[
    Path | None,
    typer.Option("--state", help="The collector's state folder [env: BEARERWATCH_STATE].", show_default=False),
]

Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help=f"State database other than state.db in the folder; with a password only as [env: {DATABASE_ENV}].",
        show_default=False,
    ),
]

Mmdb = Annotated[
    list[Path] | None,
    typer.Option(
        "--mmdb",
        metavar="FILE",
        help="A MaxMind DB file for country or network; may be repeated [env: BEARERWATCH_MMDB].",
        show_default=False,
    ),
]

Rules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="DIR",
        help="Rules of your own; one named like ours replaces it [env: BEARERWATCH_RULES].",
        show_default=False,
    ),
]

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A TOML file that names alert channels [env: BEARERWATCH_CONFIG].",
        show_default=False,
    ),
]

LogFormat = Annotated[
    list[str] | None,
    typer.Option(
        "--log-format",
        metavar="NAME=FORMAT:LAYOUT",
        help="Names a format with the layout its server was told, for --tail; may be repeated.",
        show_default=False,
    ),
]

LogZone = Annotated[
    str, typer.Option("--log-zone", metavar="ZONE", help="Zone of times in logs that name none, as Europe/Berlin.")
]

Until = Annotated[str | None, typer.Option(help="Until when; now if not given.", show_default=False)]

OnlyOutcomes = Annotated[list[str] | None, typer.Option(help="Only this outcome; may be repeated.", show_default=False)]

OnlyToken = Annotated[
    str | None, typer.Option(help="A fingerprint as logs print it, or - for a token on stdin.", show_default=False)
]

OnlyCaller = Annotated[
    str | None, typer.Option("--ip", "--address", help="Only of this caller's address.", show_default=False)
]

OnlyRequest = Annotated[str | None, typer.Option(help="Only of this request.", show_default=False)]

OnlyService = Annotated[str | None, typer.Option(help="Only of this service.", show_default=False)]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d|w)", re.ASCII)


def duration(text: str, option: str) -> timedelta:
    """*text* such as ``90s``, ``15m``, ``1h30m``, ``30d`` as a length of time.

    Raises:
        ConfigurationError: it is none; the message names *option*.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ConfigurationError(f"{option} is a length of time such as 250ms, 90s, 15m, 12h or 30d")
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        raise ConfigurationError(f"{option} is too long a time: give at most some years") from None


def span(since: str | None, until: str | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """What ``--since`` and ``--until`` say, at *now*.

    Raises:
        ConfigurationError: one of them is no instant, or they are the wrong way round.
    """
    start = None if since is None else moment(since, "--since", now)
    end = None if until is None else moment(until, "--until", now)
    if start is not None and end is not None and end <= start:
        raise ConfigurationError("--until lies before --since: swap them")
    return start, end


def outcomes(given: list[str] | None) -> list[str] | None:
    """What ``--outcome`` says; nothing if it was not given.

    Raises:
        ConfigurationError: one of them is none.
    """
    if set(given or ()) - set(Outcome):
        raise ConfigurationError(f"--outcome is one of {', '.join(Outcome)}")
    return given or None


def moment(text: str, option: str, now: datetime) -> datetime:
    """*text* as an instant: a length of time before *now*, or ISO 8601 (UTC where it names no zone).

    Raises:
        ConfigurationError: it is neither; the message names *option*.
    """
    if _PART.match(text.strip().lower()) and "-" not in text:
        try:
            return now - duration(text, option)
        except OverflowError:
            raise ConfigurationError(f"{option} lies before all time: give at most some years") from None
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(
            f"{option} is a length of time before now such as 15m, or a moment such as 2026-01-31T12:00:00Z"
        ) from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def time_zone(option: str) -> tzinfo:
    """The time zone of that name.

    Raises:
        ConfigurationError: there is none.
    """
    if option.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(option)
    except (KeyError, OSError, ValueError):  # as it is not there, is a folder, or leads out of the database
        raise ConfigurationError(
            "--log-zone is UTC or a name of the time zone database, such as Europe/Berlin"
        ) from None


def caller(option: str | None) -> str | None:
    """An IP address in the form events have it.

    Raises:
        ConfigurationError: it is none.
    """
    if option is None:
        return None
    try:
        return str(address(option.strip().strip("[]")))
    except ValueError:
        raise ConfigurationError("--ip is one IP address, such as 203.0.113.7 or 2001:db8::7") from None


def state_folder(option: Path | None) -> Path:
    """The collector's state folder: as told, else from the environment."""
    return state_dir() if option is None else option.expanduser()


def database_url(option: str | None) -> str | None:
    """The state database's URL if one is named; ``None`` for the file in the state folder.

    Raises:
        ConfigurationError: a password stands on the command line, where every user of the host can read it.
    """
    if option is None:
        return os.environ.get(DATABASE_ENV, "").strip() or None
    try:
        parts = urlsplit(option)
        password = parts.password
    except ValueError:
        raise ConfigurationError("--database is no URL: write postgresql://user@host/name or sqlite:////path") from None
    if password or any(name.lower() in ("password", "passfile") for name, _ in parse_qsl(parts.query)):
        raise ConfigurationError(
            "--database holds a password, and every user of this host can read command lines: "
            f"set the URL as {DATABASE_ENV} instead, or keep the password in ~/.pgpass"
        )
    return option


def mmdb_files(option: list[Path] | None) -> list[Path]:
    """MaxMind DB files: as told, else from ``BEARERWATCH_MMDB`` (separated as in ``PATH``)."""
    if option:
        return [path.expanduser() for path in option]
    return [Path(part).expanduser() for part in os.environ.get("BEARERWATCH_MMDB", "").split(os.pathsep) if part]


def rules_folder(option: Path | None) -> Path | None:
    """The folder of the user's own rules: as told, else from the environment."""
    return _path(option, "BEARERWATCH_RULES")


def config_file(option: Path | None) -> Path | None:
    """The file that names alert channels: as told, else from the environment."""
    return _path(option, "BEARERWATCH_CONFIG")


def _path(option: Path | None, variable: str) -> Path | None:
    if option is not None:
        return option.expanduser()
    named = os.environ.get(variable, "").strip()
    return Path(named).expanduser() if named else None
