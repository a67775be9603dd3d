"""The spool: there, ours alone, and not filling up."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bearerwatch.doctor.model import Report, Site, finding
from bearerwatch.errors import ConfigurationError
from bearerwatch.settings import DEFAULT_SPOOL_QUOTA, Settings

__all__ = ["NAME", "ORDER", "look"]

NAME = "spool"
ORDER = 40


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    folders = list(site.spools) or [Path(site.env.get("BEARERWATCH_SPOOL") or site.state / "spool")]
    waiting = 0
    for folder in folders:
        try:
            found = folder.lstat()
        except FileNotFoundError:
            report(
                finding(
                    "W013",
                    f"The spool folder {folder} does not exist: no application has written to it yet.",
                    "Instrument an application, or name its spool with --spool or BEARERWATCH_SPOOL.",
                )
            )
            continue
        if not folder.is_dir():
            what = "a symbolic link to no folder" if stat.S_ISLNK(found.st_mode) else "no folder"
            report(finding("E014", f"The spool {folder} is {what}.", "Remove what is in its place."))
            continue
        if stat.S_ISLNK(found.st_mode):
            report(
                finding(
                    "W014",
                    f"The spool folder {folder} is a symbolic link: who controls it decides what is read.",
                    "Name the folder it points to.",
                )
            )
        waiting += _spool_folder(folder, report)
    if waiting > _quota(site) // 2:
        report(
            finding(
                "W017",
                f"The spool holds {waiting >> 20} MiB, more than half of what a service may keep there.",
                "Start the collector or see why it lags; past the quota, like events are aggregated.",
            )
        )
    return f"{', '.join(map(str, folders))}: {waiting} bytes in segments not yet removed"


def _quota(site: Site) -> int:
    try:
        return Settings.from_env(site.env, state_dir=site.state).spool_quota
    except ConfigurationError:
        return DEFAULT_SPOOL_QUOTA  # the check of the settings has said so


def _spool_folder(folder: Path, report: Report) -> int:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        report(
            finding(
                "W005",
                f"The spool folder {folder} is not writable by this user: events are lost, or never collected.",
                "Run as the applications' user, or change the folder's owner.",
            )
        )
        return 0
    found = folder.stat()
    if found.st_uid not in (os.geteuid(), 0):
        report(
            finding(
                "W015",
                f"The spool folder {folder} belongs to user {found.st_uid}, not to this one ({os.geteuid()}).",
                "Run applications and collector as one user, or doctor as theirs.",
            )
        )
    if found.st_mode & 0o022:
        report(
            finding(
                "E016",
                f"The spool folder {folder} can be written by other users: they can forge events.",
                f"chmod 700 {folder}",
            )
        )
    waiting = 0
    for path in folder.glob("*/*.jsonl"):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(found.st_mode):
            waiting += found.st_size
    return waiting
