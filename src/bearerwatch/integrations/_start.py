"""How an integration starts: settings, key ring, sinks, log redaction."""

from __future__ import annotations

import logging
import os
import re
from typing import Any

from bearerwatch._hosts import Hosts
from bearerwatch.context import onward_to
from bearerwatch.fingerprint import load_ring, use
from bearerwatch.integrations.libraries import watch_imports
from bearerwatch.observe import Watch
from bearerwatch.redact.logging import install_logging
from bearerwatch.settings import Settings
from bearerwatch.sinks import open_sinks

__all__ = ["start"]

NO_KEY = (
    "no fingerprint key is configured, so one was generated for this machine alone: set BEARERWATCH_KEYS or "
    "BEARERWATCH_KEYS_FILE to the output of 'bearerwatch key new', the same on every host"
)


def start(name: str, /, **overrides: Any) -> Watch:
    """A watch for this process.

    Args:
        name: what to call the service when neither the caller nor the environment names it.
        overrides: the framework's own settings; see :class:`~bearerwatch.settings.Settings`.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    if overrides.get("service") is None and not os.environ.get("BEARERWATCH_SERVICE"):
        overrides["service"] = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")[:64] or "app"
    settings = Settings.from_env(**overrides)
    ring = load_ring(folder=settings.state_dir)
    use(ring)
    if settings.redact_logs or settings.log_ids is not False:
        install_logging(redact=settings.redact_logs, log_ids=settings.log_ids)
    onward_to(Hosts(settings.correlate_to))
    if ring.generated:
        logging.getLogger("bearerwatch").warning("bearerwatch.W001: %s", NO_KEY)
    watch_imports()
    return Watch(settings, open_sinks(settings))
