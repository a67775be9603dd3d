"""Starlette and FastAPI: what an endpoint, or what it depends on, has raised instead of answering.

``ExceptionMiddleware`` answers that deep within the application, so that whoever is outside sees the answer alone.
Its handlers are wrapped as they are registered, by the method that is there for it.
https://www.starlette.io/exceptions/
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from starlette.middleware.exceptions import ExceptionMiddleware

from bearerwatch.integrations.libraries import tell

__all__ = ["DISTRIBUTION", "PATCHES", "TESTED", "install"]

DISTRIBUTION, TESTED = "starlette", ("0.40", "1.10")
PATCHES = (
    "starlette.middleware.exceptions.ExceptionMiddleware.add_exception_handler",
    "starlette.middleware.exceptions.ExceptionMiddleware.http_exception",
)


def install() -> None:
    """Wrap what registers handlers, and the one that is there from the start."""
    register = ExceptionMiddleware.add_exception_handler

    @wraps(register)
    def add_exception_handler(self: Any, exc_class_or_status_code: Any, handler: Any) -> None:
        register(self, exc_class_or_status_code, _hearing(handler))

    ExceptionMiddleware.add_exception_handler = add_exception_handler  # type: ignore[method-assign]
    ExceptionMiddleware.http_exception = _hearing_method(ExceptionMiddleware.http_exception)  # type: ignore[method-assign]


def _hearing_method(theirs: Callable[..., Any]) -> Any:
    if iscoroutinefunction(theirs):

        @wraps(theirs)
        async def http_exception(self: Any, request: Any, exc: Exception) -> Any:
            tell("asgi_raised", request.scope, exc)
            return await theirs(self, request, exc)

        return http_exception

    @wraps(theirs)
    def http_exception_at_once(self: Any, request: Any, exc: Exception) -> Any:  # before 0.42
        tell("asgi_raised", request.scope, exc)
        return theirs(self, request, exc)

    return http_exception_at_once


def _hearing(theirs: Callable[..., Any]) -> Callable[..., Any]:
    if iscoroutinefunction(theirs) or iscoroutinefunction(getattr(theirs, "__call__", None)):  # noqa: B004

        @wraps(theirs)
        async def handler(connection: Any, exc: Exception) -> Any:
            tell("asgi_raised", connection.scope, exc)
            return await theirs(connection, exc)

        return handler

    @wraps(theirs)
    def handler_in_thread(connection: Any, exc: Exception) -> Any:
        tell("asgi_raised", connection.scope, exc)
        return theirs(connection, exc)

    return handler_in_thread
