"""One thread through logs and traces: every line and span says which request, and whose token, it belongs to.

A room of its own below ``redact``: redaction stands at the doors every log line goes through, and puts the ids on there
as well, so that a line is stopped but once. The adapters are usable without redaction.
"""

from __future__ import annotations

from bearerwatch.correlate.ids import LOG_IDS, UNKNOWN, log_ids

__all__ = ["LOG_IDS", "UNKNOWN", "log_ids"]
