"""Standard output of commands that stand amid a pipe, whose reader may go away: that ends them without a word."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

__all__ = ["SIGPIPE_CODE", "piped"]

SIGPIPE_CODE = 141
"""What a shell says of a program that SIGPIPE has ended: 128 + 13."""


@contextmanager
def piped() -> Iterator[None]:
    """Writes to standard output that nobody reads any more end the command, with the code a shell expects."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in Python's buffer is written on leaving: let that go nowhere, rather than fail once more.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        raise typer.Exit(SIGPIPE_CODE) from None
