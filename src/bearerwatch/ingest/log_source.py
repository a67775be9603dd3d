"""Which log is followed, in what format, and whose it is: ``nginx@edge:/var/log/nginx/access.log``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import format_names

__all__ = ["LogSource", "read_layouts", "service_name"]

_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z").match
_EXAMPLE = "nginx@edge:/var/log/nginx/access.log"


class LogSource(NamedTuple):
    """One log."""

    format: str
    """``name`` or ``name:layout``, see :func:`bearerwatch.ingest.access.open_format`."""
    service: str
    path: Path

    @property
    def source(self) -> str:
        """The source of its events."""
        return f"access:{self.service}"

    @classmethod
    def parse(cls, text: str, layouts: Mapping[str, str] | None = None) -> LogSource:
        """Read ``FORMAT:PATH`` or ``FORMAT@SERVICE:PATH``; *layouts* names formats of one's own.

        Raises:
            ConfigurationError: it is neither, or there is no such format.
        """
        name, colon, path = text.partition(":")
        name, at, service = name.partition("@")
        if not colon or not path or not name:
            raise ConfigurationError(f"--tail is FORMAT:PATH or FORMAT@SERVICE:PATH, such as {_EXAMPLE}")
        known = {**{one: one for one in format_names()}, **(layouts or {})}
        if name not in known:
            raise ConfigurationError(
                f"--tail names no format there is: they are {', '.join(sorted(known))}; --log-format names more"
            )
        found = Path(path).expanduser()
        if set("*?[") & set(path) and not found.exists():
            raise ConfigurationError("--tail names one log and takes no pattern: give it once for each log")
        return cls(known[name], service_name(service if at else name, "--tail"), found)


def service_name(text: str, option: str) -> str:
    """*text* if it can be a service's name.

    Raises:
        ConfigurationError: it cannot; the message names *option*.
    """
    if _SERVICE(text) is None:
        raise ConfigurationError(
            f"{option}: a service's name is 1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit"
        )
    return text


def read_layouts(texts: list[str]) -> dict[str, str]:
    """Formats of one's own, of ``NAME=FORMAT:LAYOUT`` each.

    Raises:
        ConfigurationError: one is written otherwise, or has the name of a format there is.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, layout = text.partition("=")
        if not equals or _SERVICE(name) is None or not layout:
            raise ConfigurationError("--log-format is NAME=FORMAT:LAYOUT, such as 'own=nginx:$remote_addr $status …'")
        if name in format_names() or name in found:
            raise ConfigurationError(f"--log-format {name} is the name of another format: give it one of its own")
        found[name] = layout
    return found
