"""How an integration starts: settings, key ring, sinks, log redaction."""

from __future__ import annotations

import logging
import os
from typing import Any

from bearerwatch.fingerprint import load_ring, use
from bearerwatch.observe import Watch
from bearerwatch.redact.logging import install_logging
from bearerwatch.settings import Settings
from bearerwatch.sinks import open_sinks

__all__ = ["start"]

NO_KEY = (
    "no fingerprint key is configured, so one was generated for this machine alone: set BEARERWATCH_KEYS or "
    "BEARERWATCH_KEYS_FILE to the output of 'bearerwatch key new', the same on every host"
)


def start(service: str | None = None, **overrides: Any) -> Watch:
    """A watch for this process.

    Args:
        service: name to use when neither the caller nor the environment names the service.
        overrides: the framework's own settings; see :class:`~bearerwatch.settings.Settings`.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    if service is not None and not overrides.get("service") and not os.environ.get("BEARERWATCH_SERVICE"):
        overrides["service"] = service
    settings = Settings.from_env(**overrides)
    ring = load_ring(folder=settings.state_dir)
    use(ring)
    if settings.redact_logs:
        install_logging()
    if ring.generated:
        logging.getLogger("bearerwatch").warning("bearerwatch.W001: %s", NO_KEY)
    return Watch(settings, open_sinks(settings))
