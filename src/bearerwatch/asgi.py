"""ASGI in one line: ``app.add_middleware(BearerwatchMiddleware)``."""

from __future__ import annotations

from bearerwatch.integrations.asgi import BearerwatchMiddleware
from bearerwatch.integrations.libraries import watch_imports

__all__ = ["BearerwatchMiddleware"]

watch_imports()  # Starlette makes what is inside of a middleware before the middleware itself
