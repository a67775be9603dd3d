"""Alert channels: each can be set up, and somebody is told."""

from __future__ import annotations

from bearerwatch.alert.config import load_routes
from bearerwatch.doctor.model import Report, Site, finding
from bearerwatch.errors import ConfigurationError

__all__ = ["NAME", "ORDER", "look"]

NAME = "channels"
ORDER = 100


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    config = site.config
    try:
        routes = load_routes(config, site.env)
    except ConfigurationError as caught:
        report(finding("E060", f"{caught}", "See the documentation of channels."))
        return "channels cannot be set up"
    names = [route.channel.name for route in routes]
    for route in routes:
        route.channel.close()
    if names == ["console"]:
        report(
            finding(
                "W061",
                "Alerts go to the console alone: nobody is told who does not look there.",
                "Set BEARERWATCH_APPRISE_URLS or BEARERWATCH_WEBHOOK_URL, or name channels in a file for --config; if "
                "the collector has such a file, give it to doctor too.",
            )
        )
    return ", ".join(names)
