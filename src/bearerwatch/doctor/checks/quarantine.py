"""Lines the collector rejected, and why."""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from bearerwatch.doctor.model import Report, Site, finding

__all__ = ["NAME", "ORDER", "look"]

NAME = "quarantine"
ORDER = 110
_TAIL = 4 << 20


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    folder = site.state / "quarantine"
    reasons: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for day in (site.now, site.now - timedelta(days=1)):
        for record in _records(folder / f"{day:%Y-%m-%d}.jsonl"):
            reasons[str(record.get("reason", "no reason given"))] += 1
            codes[str(record.get("code", ""))] += 1
    total = sum(reasons.values())
    if codes["future"]:
        report(
            finding(
                "W070",
                f"{codes['future']} events since yesterday lay in the future: a clock is wrong.",
                "Synchronise the clocks of the applications' hosts and the collector's (chrony, systemd-timesyncd).",
            )
        )
    if total - codes["future"]:
        top = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
        report(
            finding(
                "W071",
                f"{total} lines were rejected since yesterday: {top}.",
                f"See them in {folder}: each names its source, segment and offset.",
            )
        )
    return f"{total} lines rejected since yesterday"


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(stream.tell() - _TAIL, 0))
            content = stream.read()
    except FileNotFoundError:
        return []
    found = []
    for line in content.splitlines():
        try:
            record = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue  # cut, or half written
        if isinstance(record, dict):
            found.append(record)
    return found
