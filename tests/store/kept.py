"""A lake with the collector's transaction in one call."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from bearerwatch.store.lake import INCOMING, Lake
from bearerwatch.store.state import State

__all__ = ["Kept"]


class Kept:
    """A lake and its state, with the collector's transaction in one call."""

    def __init__(self, folder: Path, state: State, con: duckdb.DuckDBPyConnection, said: list[str]) -> None:
        self.folder = folder
        self.state = state
        self.con = con
        self.said = said
        self.lake = Lake(folder / "lake", state, con, report=said.append, grace=timedelta(seconds=60))
        self.lake.sweep_orphans()

    @property
    def batch(self) -> str:
        """A table expression over the rows of the latest call of the lake's ``append``, in order of arrival."""
        return f"(FROM {INCOMING} WHERE rowid >= {self.lake.batch_from})"

    def keep(self, *batches: list[bytes]) -> None:
        """Append each batch and commit all of them at once."""
        for batch in batches:
            assert self.lake.append(batch) == len(batch)
        with self.state.begin() as tx:
            self.lake.publish(tx)
        self.lake.committed()

    def ids(self, **span: Any) -> list[int]:
        """Numbers of all committed events, sorted."""
        since, until = span.get("since"), span.get("until")
        rows = self.lake.reading(
            since, until, lambda events: self.con.execute(f"SELECT event_id FROM {events}").fetchall()
        )
        return sorted(int(identifier.replace("-", ""), 16) for (identifier,) in rows)

    @property
    def files(self) -> list[Path]:
        """All segment files there are."""
        return sorted((self.folder / "lake").rglob("*.parquet"))
