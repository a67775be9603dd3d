"""Statements that are run again and again, planned once.

DuckDB's Python client plans a statement anew each time it is executed, and for statements over the forty columns of an
event that is most of what they cost: 3 ms of 4. What SQL itself has prepared keeps its plan
(https://duckdb.org/docs/stable/sql/query_syntax/prepared_statements), but once any table has been made or dropped, it
is planned anew at every run from then on, and dearer than before: so it has to be prepared again.
"""

from __future__ import annotations

from typing import Any

import duckdb

from bearerwatch.store.engine import quoted

__all__ = ["Prepared"]


class Prepared:
    """Runs statements on one connection and remembers their plans, all of them: they are to be few.

    A connection has one of these, and whoever makes its tables does so through :meth:`define`.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        """Nothing is prepared yet."""
        self._con = con
        self._names: dict[str, str] = {}
        self._planned: set[str] = set()

    def __call__(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        """Run *sql* with *values* for ``$1``, ``$2``… and return its rows.

        Numbers need a cast in *sql*, ``$1::BIGINT``: their type is not guessed. Lists are not for here, where each of
        their items would be an expression to be planned.

        Raises:
            duckdb.Error: it fails.
        """
        return self._executed(sql, values).fetchall()

    def arrays(self, sql: str, *values: str | int) -> dict[str, Any]:
        """The same, but its columns as NumPy arrays by name; those with NULLs in them are masked.

        Raises:
            duckdb.Error: it fails.
        """
        return self._executed(sql, values).fetchnumpy()

    def _executed(self, sql: str, values: tuple[str | int, ...]) -> duckdb.DuckDBPyConnection:
        name = self._names.setdefault(sql, f"prepared_{len(self._names) + 1}")
        if name not in self._planned:
            self._con.execute(f"PREPARE {name} AS {sql}")
            self._planned.add(name)
        given = f"({', '.join(map(_literal, values))})" if values else ""
        # EXECUTE takes no parameters of the client: values are written out.
        return self._con.execute(f"EXECUTE {name}{given}")

    def define(self, sql: str) -> None:
        """Run *sql*, which makes or replaces a table.

        Raises:
            duckdb.Error: it fails.
        """
        self._planned.clear()
        self._con.execute(sql)


def _literal(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    # A NUL would end the statement.
    parts = [quoted(part) for part in value.split("\0")]
    return parts[0] if len(parts) == 1 else f"array_to_string([{', '.join(parts)}], chr(0))"
