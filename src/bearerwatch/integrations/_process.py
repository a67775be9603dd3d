"""Processes that serve no requests themselves, such as a queue's workers: how they are watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bearerwatch import _guard
from bearerwatch.integrations._start import start
from bearerwatch.integrations.libraries import watch_imports
from bearerwatch.observe import watched

__all__ = ["begin", "begin_by", "install"]

_NAME = "worker"
"""What the service is called where nobody says."""

_how: Callable[[], object] | None = None


def install(**settings: Any) -> None:
    """What :func:`bearerwatch.install` does.

    Args:
        settings: as there.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    watch_imports()
    if watched():
        return
    if settings or _how is None:
        start(_NAME, **settings)
    else:
        _how()


def begin() -> None:
    """A worker begins, as its library says: watch it, unless somebody does. Never raises."""
    try:
        install()
    except Exception as error:  # noqa: BLE001 - host boundary: no worker fails because of us
        _guard.swallowed("starting in a worker", error)


def begin_by(how: Callable[[], object]) -> None:
    """A framework has settings of its own: *how* makes the watch of a worker by them."""
    global _how  # noqa: PLW0603
    _how = how
