"""bearerwatch: monitoring for APIs guarded by bearer tokens.

The names here are the app side: standard library and msgspec, nothing else.
"""

from __future__ import annotations

from typing import Any

from bearerwatch._version import __version__
from bearerwatch.context import decide
from bearerwatch.event import AuthEvent, Kind, Outcome
from bearerwatch.fingerprint import fingerprint
from bearerwatch.redact import install_logging, redact_text, uninstall_logging

__all__ = [
    "AuthEvent",
    "Kind",
    "Outcome",
    "__version__",
    "decide",
    "fingerprint",
    "install",
    "install_logging",
    "redact_text",
    "uninstall_logging",
]


def install(**settings: Any) -> None:
    """Watch this process, which serves no requests itself: a queue's worker, a scheduler, a script.

    Its log holds no token from now on, and who tries to log one is an event; what a Celery task or an RQ job does is
    known to be for the request that caused it, and what it asks of other services says so. Call it where the process
    begins: beside the Celery application, or in the module that ``rq worker --config`` names. In a process that a
    framework's middleware watches already, or that was told before, it changes nothing.

    Args:
        settings: see :class:`bearerwatch.settings.Settings`; else ``BEARERWATCH_*`` of the environment. The service is
            called ``worker`` unless it is named.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    from bearerwatch.integrations._process import install as watch_process  # noqa: PLC0415

    watch_process(**settings)
