"""The collector: it runs, keeps up, and can keep what it takes."""

from __future__ import annotations

import fcntl
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bearerwatch.alert.notice import span
from bearerwatch.doctor.model import Report, Site, finding

__all__ = ["NAME", "ORDER", "look"]

NAME = "collector"
ORDER = 70
_SILENT = timedelta(seconds=30)
_LAG = 30.0
_BACKLOG = 64 << 20


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    if not _runs(site.state):
        report(
            finding(
                "E020",
                f"No collector works on {site.state}: events wait in the spool, and nobody is alerted.",
                "Start it with 'bearerwatch serve', under a service manager that starts it again.",
            )
        )
        return "not running"
    status = _status(site.state)
    written = _moment(status.get("at"))
    if written is None or site.now - written > _SILENT:
        since = "never" if written is None else f"not for {span(site.now - written)}"
        report(
            finding(
                "W021",
                f"The collector runs and has {since} said how it is doing.",
                "See its standard error; if it hangs, restart it: nothing is lost.",
            )
        )
        return "running, and silent"
    if status.get("blocked"):
        report(finding("E022", f"The collector is held up: {status['blocked']}", "Nothing is lost; mend that."))
    lag, backlog = float(status.get("lag_seconds") or 0.0), int(status.get("backlog_bytes") or 0)
    if lag > _LAG or backlog > _BACKLOG:
        report(
            finding(
                "W023",
                f"The collector lags: its newest event is {span(timedelta(seconds=lag))} old, "
                f"and {backlog >> 20} MiB wait in the spools.",
                "Give it more of a core, or see what fills the spool with 'bearerwatch events --follow'.",
            )
        )
    if status.get("degraded"):
        rules = ", ".join(map(str, status["degraded"]))
        report(
            finding(
                "W024",
                f"Rules at the limit of their memory or time: {rules}. They miss nothing, and cost more.",
                "An attack with very many keys does this; it passes with it. A rule of yours that nearly any event can "
                "meet does it by itself: shorten its timespan.",
            )
        )
    if status.get("lost_segments"):
        report(
            finding(
                "W025",
                f"{status['lost_segments']} spool segments were removed or cut before they were read.",
                "Let nobody but the collector delete in the spool.",
            )
        )
    speed = float(status.get("events_per_second") or 0.0)
    return f"process {status.get('pid')}, {speed:.0f} events/s, {span(timedelta(seconds=lag))} behind"


def _runs(folder: Path) -> bool:
    """Whether somebody holds the collector's lock. The file is not made."""
    try:
        handle = os.open(folder / "collector.lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _status(folder: Path) -> dict[str, Any]:
    try:
        found = msgspec.json.decode((folder / "collector.json").read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
