"""DuckDB as bearerwatch configures it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.event import AuthEvent
from bearerwatch.store.engine import COLUMNS, DEFAULTS, connect, empty, quoted


def setting(con: duckdb.DuckDBPyConnection, name: str) -> str:
    ((value,),) = con.execute("SELECT value FROM duckdb_settings() WHERE name = ?", [name]).fetchall()
    return str(value)


def test_it_is_bounded_and_speaks_utc(folder: Path) -> None:
    with closing(connect(folder / "tmp", memory_limit="64MB")) as con:
        assert setting(con, "threads") == "1"
        assert setting(con, "memory_limit") == "61.0 MiB"
        assert setting(con, "TimeZone") == "UTC"


def test_it_never_reaches_for_the_network(folder: Path) -> None:
    with closing(connect(folder / "tmp")) as con:
        with pytest.raises(duckdb.Error, match="httpfs"):
            con.execute("SELECT * FROM read_parquet('https://127.0.0.1:9/x.parquet')")
        assert setting(con, "autoinstall_known_extensions") == "false"
        assert setting(con, "autoload_known_extensions") == "false"
        assert setting(con, "allow_community_extensions") == "false"


def test_python_variables_are_no_tables(folder: Path) -> None:
    with closing(connect(folder / "tmp")) as con:
        events = con.sql("SELECT 1 AS a")
        assert events is not None
        with pytest.raises(duckdb.CatalogException):
            con.execute("SELECT * FROM events")


def test_what_spills_is_kept_apart_and_removed(folder: Path) -> None:
    """Two connections must not use one folder: DuckDB gives its files there the same names."""
    with closing(connect(folder / "tmp", memory_limit="32MB")) as con, closing(connect(folder / "tmp")) as other:
        con.execute("CREATE TABLE t AS SELECT md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS s FROM range(500000) r(i)")
        assert any(path.is_file() for path in (folder / "tmp").rglob("*"))
        assert setting(con, "temp_directory") != setting(other, "temp_directory")
    assert list((folder / "tmp").iterdir()) == []


def test_columns_are_the_fields_of_an_event(con: duckdb.DuckDBPyConnection) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(AuthEvent)}
    assert list(COLUMNS) == ["schema_version", *fields, "received_at", "source"]
    assert {name for name in COLUMNS if COLUMNS[name] == "TIMESTAMP"} == {"ts", "received_at"}
    for name, field in fields.items():
        if field.default not in {None, msgspec.NODEFAULT}:
            assert con.execute(f"SELECT {DEFAULTS[name]}").fetchall() == [(field.default,)]
        else:
            assert name not in DEFAULTS


def test_the_empty_relation_has_them_too(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"SELECT * FROM {empty()}")
    assert {c[0]: str(c[1]) for c in con.description} == COLUMNS
    assert con.fetchall() == []


@given(text=st.text())
def test_a_quoted_text_is_that_text(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode().replace("\0", "")
    assert duckdb.execute(f"SELECT {quoted(text)}").fetchall() == [(text,)]


def test_the_scratch_folder_is_ours(folder: Path) -> None:
    with closing(connect(folder / "tmp")):
        assert (folder / "tmp").stat().st_mode & 0o777 == 0o700
