"""System checks. Their ids are API: they are never reused."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings as django_settings
from django.core import checks

from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import load_ring
from bearerwatch.integrations._start import NO_KEY
from bearerwatch.integrations.django import configured, project_name
from bearerwatch.settings import Settings
from bearerwatch.sinks import open_sinks

__all__ = ["check_setup"]

_MIDDLEWARE = "bearerwatch.django.Middleware"


def check_setup(**_: Any) -> list[checks.CheckMessage]:
    """What is misconfigured, and how to mend it."""
    found: list[checks.CheckMessage] = []
    middleware = list(getattr(django_settings, "MIDDLEWARE", ()))
    if _MIDDLEWARE not in middleware:
        found.append(
            checks.Warning(
                "bearerwatch's middleware is not installed: requests leave no event.",
                hint=f'Put "{_MIDDLEWARE}" first in MIDDLEWARE.',
                id="bearerwatch.W002",
            )
        )
    elif middleware[0] != _MIDDLEWARE:
        found.append(
            checks.Warning(
                "bearerwatch's middleware is not the first: what the ones before it refuse leaves no event.",
                hint=f'Move "{_MIDDLEWARE}" to the top of MIDDLEWARE.',
                id="bearerwatch.W003",
            )
        )
    try:
        settings = Settings.from_env(**({"service": project_name()} | configured()))
        ring = load_ring(folder=settings.state_dir)
        open_sinks(settings)  # opens no file yet
    except ConfigurationError as error:
        found.append(
            checks.Error(str(error), hint="Mend settings.BEARERWATCH or the environment.", id="bearerwatch.E001")
        )
        return found
    if ring.generated:
        found.append(checks.Warning(f"{NO_KEY[0].upper()}{NO_KEY[1:]}.", id="bearerwatch.W001"))
    if settings.open_networks:
        found.append(
            checks.Warning(
                "Every address is trusted as a proxy: any caller can claim any address.",
                hint="Name your proxies' networks in trusted_proxies.",
                id="bearerwatch.W004",
            )
        )
    spool = settings.spool_dir
    if "spool" in settings.sinks and spool.exists() and not os.access(spool, os.W_OK | os.X_OK):
        found.append(
            checks.Warning(
                f"The spool folder {spool} is not writable by this user: events are lost.",
                hint="Change its owner, or set BEARERWATCH_SPOOL to a folder that is.",
                id="bearerwatch.W005",
            )
        )
    return found
