"""A simulation written to files: ``events/``, a file for each slice of time, and ``truth.json``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bearerwatch.errors import ConfigurationError
from bearerwatch.simulate.columns import SECOND
from bearerwatch.simulate.simulation import Simulation

__all__ = ["TRUTH", "write"]

TRUTH = "truth.json"


def write(simulation: Simulation, folder: Path, form: str) -> int:
    """Write everything.

    Args:
        simulation: what to write.
        folder: is made; must not hold anything yet.
        form: ``parquet``, with all columns of the lake, or ``ndjson``, as applications write it.

    Returns:
        How many events there are.

    Raises:
        ConfigurationError: there is something in the folder.
        OSError: it cannot be written.
    """
    events = folder / "events"
    events.mkdir(parents=True, exist_ok=True)
    if any(events.iterdir()) or (folder / TRUTH).exists():
        raise ConfigurationError(f"{folder} holds a simulation already: name another folder, or remove it")
    written = 0
    for rows in simulation:
        if not len(rows):
            continue
        at = datetime.fromtimestamp(int(rows["arrive"][0]) // SECOND, UTC)
        name = f"{at:%Y-%m-%dT%H%M%S}-{written:012}"
        if form == "parquet":
            simulation.writer.parquet(rows, events / f"{name}.parquet")
        else:
            with (events / f"{name}.jsonl").open("xb") as file:
                file.writelines(simulation.writer.lines(rows))
        written += len(rows)
    (folder / TRUTH).write_bytes(msgspec.json.format(msgspec.json.encode(simulation.truth), indent=1))
    return written
