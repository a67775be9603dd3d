"""The environment an instrumented application reads."""

from __future__ import annotations

from bearerwatch.alert.notice import counted
from bearerwatch.doctor.model import Report, Site, finding
from bearerwatch.errors import ConfigurationError
from bearerwatch.settings import Settings

__all__ = ["NAME", "ORDER", "look"]

NAME = "settings"
ORDER = 20


def look(site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    try:
        settings = Settings.from_env(site.env, state_dir=site.state)
    except ConfigurationError as caught:
        report(finding("E001", f"{caught}", "Mend the environment variable it names."))
        return "settings of the environment"
    wide = settings.open_networks
    if wide:
        report(
            finding(
                "W004",
                f"Every address is trusted as a proxy ({', '.join(wide)}): any caller can claim any address.",
                "Name your proxies' networks in BEARERWATCH_TRUSTED_PROXIES.",
            )
        )
    proxies = len(settings.trusted_proxies)
    return f"service {settings.service}, {counted(proxies, 'trusted proxy network')}"
