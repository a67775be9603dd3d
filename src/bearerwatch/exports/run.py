"""One export from its beginning to its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from bearerwatch.exports import Target
    from bearerwatch.exports.checkpoint import Checkpoint
    from bearerwatch.store.stream import Batches, Mark

__all__ = ["Counts", "run"]


class Counts(NamedTuple):
    """What became of the events."""

    sent: int
    """Handed over, those the receiver refused included."""
    refused: int
    """Dropped by the receiver for good."""


def run(
    batches: Batches,
    target: Target,
    *,
    checkpoint: Checkpoint | None,
    report: Callable[[str], None],
    every: float,
) -> Counts:
    """Hand all *batches* to *target* and finish it.

    Args:
        batches: by arrival, where there is a checkpoint.
        target: where they go; the caller closes it.
        checkpoint: told how far that came.
        report: told how far it came.
        every: seconds between two such reports.

    Raises:
        ExportError: it ended early; the checkpoint says how far it came.
    """
    sent = refused = 0
    mark: Mark | None = None
    said_at = time.monotonic()
    for events, mark in batches:
        refused += target.send(events)
        sent += len(events)
        if checkpoint is not None and target.lasting:
            checkpoint.reached(mark)
        if time.monotonic() - said_at >= every:
            said_at = time.monotonic()
            report(f"{sent} of {max(batches.total, sent)} events")
    target.finish()
    if checkpoint is not None and mark is not None:
        checkpoint.reached(mark)
    return Counts(sent, refused)
