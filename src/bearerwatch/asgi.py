"""ASGI in one line: ``app.add_middleware(BearerwatchMiddleware)``."""

from __future__ import annotations

from bearerwatch.integrations.asgi import BearerwatchMiddleware

__all__ = ["BearerwatchMiddleware"]
