# ruff: noqa: S608 - made of names of ours and the dialect's text
"""The one query that says of each new event which selections want it, and fetches what they need of it."""

from __future__ import annotations

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect.ir import Selection, outcomes_of
from bearerwatch.detect.rows import Batch
from bearerwatch.store.lake import INCOMING
from bearerwatch.store.prepared import Prepared

__all__ = ["BITS", "COMMON", "LET_IN", "Selecting"]

BITS = 62
"""Selections that share a column of bits."""
LET_IN = ("success", "anonymous")
"""Outcomes of nearly all events."""
COMMON = "coalesce(outcome IN ('success', 'anonymous'), FALSE)"
"""SQL for that."""


class Selecting:
    """Selections and columns, each once. What no selection of an event needs is not fetched for it."""

    def __init__(self) -> None:
        """None yet."""
        self._wheres: dict[str, tuple[int, bool]] = {}
        self._columns: dict[str, set[int]] = {}

    def selection(self, selection: Selection) -> int:
        """The number of *selection*; the same one for the same condition."""
        outcomes = outcomes_of(selection.where)
        of_common = outcomes is None or not outcomes.isdisjoint(LET_IN)
        return self._wheres.setdefault(sql.predicate(selection.where), (len(self._wheres), of_common))[0]

    def column(self, expression: str, selection: int) -> int:
        """The number of the column of *expression*, wanted by *selection*."""
        self._columns.setdefault(expression, set()).add(selection)
        return list(self._columns).index(expression)

    @property
    def _masks(self) -> int:
        return -(-len(self._wheres) // BITS)

    def query(self) -> str:
        """The rows of the lake's table from row ``$1`` on, as :class:`~bearerwatch.detect.rows.Batch` takes them."""
        masks = [
            # Few conditions can want an event that was let in, and those events are nine of ten.
            f"CASE WHEN {COMMON} THEN {self._mask(number, common=True)} ELSE {self._mask(number, common=False)} END "
            f"AS m{number}"
            for number in range(self._masks)
        ]
        columns = [
            f"CASE WHEN {self._wanted(selections)} THEN CAST({expression} AS VARCHAR) END AS c{number}"
            for number, (expression, selections) in enumerate(self._columns.items())
        ]
        rows = f"SELECT {', '.join(['rowid AS id', '*', *masks])} FROM {INCOMING} WHERE rowid >= $1::BIGINT"
        plain = [f"{COMMON} AS let_in", "epoch_us(ts) AS ts", f"{sql.WEIGHT} AS weight"]
        return f"SELECT {', '.join(['id', *plain, *(f'm{i}' for i in range(self._masks)), *columns])} FROM ({rows})"

    def _mask(self, number: int, *, common: bool) -> str:
        bits = [
            f"CASE WHEN {where} THEN {1 << (at % BITS)} ELSE 0 END"
            for where, (at, of_common) in self._wheres.items()
            if at // BITS == number and (of_common or not common)
        ]
        return f"({' | '.join(['0::BIGINT', *bits])})"

    def _wanted(self, selections: set[int]) -> str:
        bits = [sum(1 << (at % BITS) for at in selections if at // BITS == i) for i in range(self._masks)]
        return " OR ".join(f"(m{i} & {some}) <> 0" for i, some in enumerate(bits) if some)

    def __call__(self, run: Prepared, since: int) -> Batch:
        """The rows from row *since* on."""
        return Batch(run.arrays(self.query(), since), len(self._columns), self._masks)
