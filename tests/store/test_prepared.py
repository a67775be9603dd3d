from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.store.prepared import Prepared


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        yield con


@pytest.fixture(scope="module")
def run(con: duckdb.DuckDBPyConnection) -> Prepared:
    return Prepared(con)


@given(st.text() | st.sampled_from(["a\0b", "\0", "'; DROP TABLE t; --", "''", "\\'", "$1", "?", "'||chr(0)||'"]))
def test_text_arrives_as_it_is(run: Prepared, text: str) -> None:
    assert run("SELECT $1, length($1)", text)[0][0] == text


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 9))
def test_numbers_of_all_sizes_meet_one_plan(run: Prepared, one: int, other: int) -> None:
    assert run("SELECT $1::BIGINT, $2::BIGINT", one, other) == [(one, other)]


def test_a_plan_is_kept_and_made_anew_when_tables_change(con: duckdb.DuckDBPyConnection) -> None:
    made: list[str] = []

    class Heard:
        def execute(self, sql: str) -> duckdb.DuckDBPyConnection:
            made.append(sql.partition(" ")[0])
            return con.execute(sql)

    run = Prepared(Heard())  # type: ignore[arg-type]
    run.define("CREATE OR REPLACE TABLE t (a BIGINT)")
    for number in range(3):
        assert run("INSERT INTO t SELECT $1::BIGINT RETURNING a", number) == [(number,)]
    run.define("CREATE OR REPLACE TABLE t AS SELECT a, 'more' AS b FROM t")
    assert run("SELECT count(*) FROM t WHERE a >= $1::BIGINT", 1) == [(2,)]
    with pytest.raises(duckdb.Error, match="2 columns but 1"):
        run("INSERT INTO t SELECT $1::BIGINT RETURNING a", 9)
    run.define("CREATE OR REPLACE TABLE t (a BIGINT)")
    assert run("INSERT INTO t SELECT $1::BIGINT RETURNING a", 9) == [(9,)]
    assert made.count("PREPARE") == 4
    assert made.count("EXECUTE") == 5


def test_a_plan_does_not_rest_on_what_the_table_held_when_it_was_made(con: duckdb.DuckDBPyConnection) -> None:
    run = Prepared(con)
    run.define("CREATE OR REPLACE TABLE t (a BIGINT, b VARCHAR)")
    asked = ["SELECT count(*) FROM t WHERE a > 100", "SELECT count(*) FROM t WHERE coalesce(b, 'none') = 'none'"]
    assert [run(sql) for sql in asked] == [[(0,)], [(0,)]]
    con.execute("INSERT INTO t SELECT range, 'x' FROM range(10)")
    assert [run(sql) for sql in asked] == [[(0,)], [(0,)]]
    con.execute("INSERT INTO t VALUES (200, NULL)")
    assert [run(sql) for sql in asked] == [[(1,)], [(1,)]]
