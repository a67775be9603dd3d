"""A request that is being served, and nothing of another test's loggers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bearerwatch.observe import Exchange
from desk import Desk, facts
from fakes import opaque


@pytest.fixture
def serving() -> Callable[..., contextlib.AbstractContextManager[Exchange]]:
    """Serves a request for as long as it is entered."""

    @contextlib.contextmanager
    def serve(**given: Any) -> Iterator[Exchange]:
        desk = Desk(trusted_proxies="192.0.2.9")
        exchange = desk.watch.open(facts(**({"authorization": f"Bearer {opaque()}"} | given)))
        try:
            yield exchange
        finally:
            exchange.finish(200)
            exchange.end()

    return serve


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A logger of this test alone."""
    logger = logging.getLogger("tests.correlate")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.filters.clear()
    logger.propagate = True
