"""A logger whose lines are kept, and a token in flight."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
from collections.abc import Iterator

import pytest

from bearerwatch import install_logging
from bearerwatch.context import live
from fakes import opaque
from logged import FORMAT, Said, Stderr


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger that pytest's handlers, which raise for a bad call, do not find."""
    made = logging.Logger("redaction.under.test", logging.DEBUG)  # noqa: LOG001
    yield made
    for handler in made.handlers:
        handler.close()


@pytest.fixture
def said(logger: logging.Logger) -> Said:
    stream = Said()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(handler)
    install_logging()
    return stream


@pytest.fixture
def token() -> Iterator[str]:
    """An opaque token that no pattern tells, in flight."""
    value = opaque(30)
    ticket = live.add(value)
    yield value
    live.discard(ticket)


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Stderr:
    return Stderr(capsys)
