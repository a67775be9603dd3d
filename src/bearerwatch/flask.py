"""Flask in one line: ``from bearerwatch.flask import Bearerwatch; Bearerwatch(app)``."""

from __future__ import annotations

from bearerwatch.integrations.flask import Bearerwatch, WatchedWsgi

__all__ = ["Bearerwatch", "WatchedWsgi"]
