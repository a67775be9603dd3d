"""bearerwatch: monitoring for APIs guarded by bearer tokens.

The names here are the app side: standard library and msgspec, nothing else.
"""

from __future__ import annotations

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
    "install_logging",
    "redact_text",
    "uninstall_logging",
]
