"""Authentication libraries: whether what is replaced of one was tested with the version that is installed."""

from __future__ import annotations

import re
from importlib import metadata

from bearerwatch.doctor.model import Report, Site, finding
from bearerwatch.integrations.libraries import Adapter, adapters

__all__ = ["NAME", "ORDER", "is_tested", "look"]

NAME = "libraries"
ORDER = 12


def look(_site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    there: set[str] = set()
    for adapter in adapters():
        try:
            version = metadata.version(adapter.distribution)
        except metadata.PackageNotFoundError:
            continue
        there.add(f"{adapter.distribution} {version}")
        if adapter.patches and not is_tested(adapter, version):
            report(
                finding(
                    "W026",
                    f"{adapter.distribution} {version} is installed, and {', '.join(adapter.patches)}, which is "
                    f"replaced in it, was tested with {adapter.tested[0]} to {adapter.tested[1]}.",
                    "Look for a newer bearerwatch; till then see that events of refused requests have their reason.",
                )
            )
    return f"{', '.join(sorted(there)) or 'none'}, seen from here"


def is_tested(adapter: Adapter, version: str) -> bool:
    """Whether *version* lies within what was tested, as far as that is named."""
    found = _numbers(version)
    first, last = (_numbers(named) for named in adapter.tested)
    return first <= found and found[: len(last)] <= last


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", version)[:3]]
