"""New events as they pass through a tick: rows of just the columns that are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.evidence import COLUMNS as EVIDENCE

__all__ = ["ID", "OUTCOME", "SEEN", "TS", "WEIGHT", "Columns", "Due", "Row", "Touched"]

Row = tuple[Any, ...]
"""What :meth:`Columns.select` asks for: id, ts (µs), weight, the evidence columns, then keys, values and the rest."""

ID, TS, WEIGHT, OUTCOME = range(4)
SEEN = slice(OUTCOME, OUTCOME + len(EVIDENCE))


@dataclass(slots=True)
class Touched:
    """What arrived for one key of one rule. Times in µs."""

    first: int
    last: int
    rows: list[Row]

    def merge(self, other: Touched) -> None:
        """Add what arrived at a later tick."""
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        self.rows += other.rows


@dataclass(slots=True)
class Due(Touched):
    """What is still to be evaluated for one key."""

    since: int
    """Number of the tick from which on its rows are new."""
    newest: int
    """No event from before that tick is later than this."""
    at: int
    """The collector's clock when it became due."""
    heard: int
    """The collector's clock when the latest of its rows came."""


class Columns:
    """The columns fetched of each new event, and where each is found in a :data:`Row`."""

    def __init__(self) -> None:
        """The fixed ones."""
        self._expressions: list[str] = [
            "id",
            "epoch_us(ts)",
            sql.WEIGHT,
            *(f'"{name}"' for name in EVIDENCE),
        ]

    def index(self, expression: str) -> int:
        """Where *expression* is found; added if it is new."""
        if expression not in self._expressions:
            self._expressions.append(expression)
        return self._expressions.index(expression)

    @property
    def select(self) -> str:
        """The SELECT list."""
        return ", ".join(self._expressions)
