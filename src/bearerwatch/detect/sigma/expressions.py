"""Regular expressions, judged by the engine that runs them: RE2, as DuckDB has it.

RE2 takes time linear in what it searches, and refuses what would be huge. Whichever version of pySigma read the rule,
what is refused is the same; version 1 also wants them to be Python's.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from bearerwatch.detect.ir import And, Compare, Condition, Not, Op, Or
from bearerwatch.detect.sigma.conditions import Refusal

__all__ = ["judge"]


def judge(condition: Condition) -> None:
    """Have every expression in *condition* compiled.

    Raises:
        Refusal: one of them cannot be used.
    """
    found = list(_expressions(condition))
    if not found:
        return
    with duckdb.connect(":memory:", config={"threads": 1}) as con:
        for compare in found:
            try:
                con.execute("SELECT regexp_matches('', $1)", [compare.value]).fetchall()
            except duckdb.Error as error:
                said = str(error).removeprefix("Invalid Input Error: ").splitlines()[0][:100]
                raise Refusal(
                    f"has a regular expression for {compare.field} that RE2 does not take ({said}): "
                    "write it without look-around, back-references and large repetitions",
                    compare.field,
                ) from None


def _expressions(condition: Condition) -> Iterator[Compare]:
    match condition:
        case Compare(op=Op.RE):
            yield condition
        case Not(item=item):
            yield from _expressions(item)
        case And(items=items) | Or(items=items):
            for item in items:
                yield from _expressions(item)
