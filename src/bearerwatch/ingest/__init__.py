"""How events come in: spool folders and HTTP. Validated, redacted again, enriched; never trusted."""

from __future__ import annotations
