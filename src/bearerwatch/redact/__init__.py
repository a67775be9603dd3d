"""Redaction: no token in a log. The engine finds tokens in text; adapters put it at every way out."""

from __future__ import annotations

from bearerwatch.redact.engine import redact_text
from bearerwatch.redact.logging import install_logging, uninstall_logging
from bearerwatch.redact.structure import Structure, redact_value

__all__ = ["Structure", "install_logging", "redact_text", "redact_value", "uninstall_logging"]
