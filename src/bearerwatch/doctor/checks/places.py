"""MaxMind DB files: readable, and not too old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from bearerwatch.doctor.model import Report, Site, finding
from bearerwatch.errors import ConfigurationError

__all__ = ["NAME", "ORDER", "look"]

NAME = "places"
ORDER = 80
_OLD_MMDB = timedelta(days=180)


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    from bearerwatch.ingest.geo import Geo  # noqa: PLC0415 - needs the server extra

    if not site.mmdb:
        return "no --mmdb file: events carry no country"
    for path in site.mmdb:
        try:
            Geo([path]).close()
        except ConfigurationError as caught:
            report(finding("E040", f"{caught}", "Name a .mmdb file with --mmdb."))
            continue
        built = _built(path)
        age = site.now - built
        if age > _OLD_MMDB:
            report(
                finding(
                    "W041",
                    f"{path} was built {built:%Y-%m-%d}, {age.days} days ago: addresses move.",
                    "Download a newer one; the collector reads it without a restart.",
                )
            )
    return ", ".join(path.name for path in site.mmdb)


def _built(path: Path) -> datetime:
    import maxminddb  # noqa: PLC0415 - needs the server extra

    with maxminddb.open_database(path) as reader:
        return datetime.fromtimestamp(reader.metadata().build_epoch, UTC)
