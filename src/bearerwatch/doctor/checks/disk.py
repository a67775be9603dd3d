"""Room for what the collector keeps."""

from __future__ import annotations

import shutil

from bearerwatch.doctor.model import Report, Site, finding

__all__ = ["NAME", "ORDER", "look"]

NAME = "disk"
ORDER = 50
_LOW_DISK = 1 << 30
_NO_DISK = 64 << 20


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    folder = site.state
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < _NO_DISK:
        report(
            finding(
                "E018",
                f"The disk of {folder} is full ({free >> 20} MiB free): events are dropped.",
                "Free some space, or keep less with 'bearerwatch serve --retain'.",
            )
        )
    elif free < _LOW_DISK:
        report(
            finding(
                "W018",
                f"The disk of {folder} has {free >> 20} MiB left.",
                "Free some space, or keep less with 'bearerwatch serve --retain'.",
            )
        )
    return f"{free / (1 << 30):.1f} GiB free"
