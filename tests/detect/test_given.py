"""Files of events, whatever wrote them, are one relation; what is none is refused with its place and the mend."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fakes
from bearerwatch.detect.given import given as events_given
from bearerwatch.errors import ConfigurationError
from bearerwatch.store.engine import COLUMNS, connect
from detect.world import T0, event

LINES = [msgspec.json.encode(event(second, client_ip="203.0.113.9", status=401)) for second in range(3)]


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    con = connect(tmp_path / "tmp")
    yield con
    con.close()


def _rows(con: duckdb.DuckDBPyConnection, *names: object) -> list[tuple[object, ...]]:
    with tempfile.TemporaryDirectory() as scratch:
        relation = events_given(con, map(str, names), Path(scratch)).relation
        return con.execute(f"SELECT ts, client_ip, status, outcome FROM {relation} ORDER BY ts").fetchall()


def test_lines_and_parquet_of_any_folder_are_one(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    inner = tmp_path / "in [prod]" / "orders"
    inner.mkdir(parents=True)
    (inner / "a.jsonl").write_bytes(b"\n".join(LINES[:2]) + b"\n")
    con.execute(
        f"COPY (SELECT 'auth' AS kind, TIMESTAMPTZ '2026-03-01T13:00:32+01:00' AS ts, 401::SMALLINT AS status, "
        f"'203.0.113.9' AS client_ip, 'invalid' AS outcome) TO '{tmp_path}/b.parquet'"
    )
    (tmp_path / "notes.txt").write_text("no events")
    expected = [(T0.replace(tzinfo=None, second=30 + second), "203.0.113.9", 401, "invalid") for second in range(3)]
    assert _rows(con, inner.parent, tmp_path / "b.parquet") == expected
    assert _rows(con, tmp_path) == expected
    assert _rows(con, f"{tmp_path}/*.parquet", inner / "a.jsonl", inner / "a.jsonl") == expected


def test_what_no_file_has_is_null_and_said(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute(f"COPY (SELECT 'auth' AS kind, TIMESTAMP '2026-03-01' AS ts) TO '{tmp_path}/a.parquet'")
    found = events_given(con, [str(tmp_path / "a.parquet")], tmp_path)
    assert found.missing == set(COLUMNS) - {"kind", "ts"}
    names = [row[0] for row in con.execute(f"DESCRIBE {found.relation[1:-1]}").fetchall()]
    assert names == list(COLUMNS)


def test_a_segment_of_the_lake_reads_as_it_was_meant(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    con.execute(
        f"COPY (SELECT 'auth' AS kind, TIMESTAMP '2026-03-01' AS ts, uuid() AS event_id, 'k0:a' AS token_id, "
        f"'=' AS presented_id) TO '{tmp_path}/a.parquet'"
    )
    relation = events_given(con, [str(tmp_path / "a.parquet")], tmp_path).relation
    assert con.execute(f"SELECT presented_id FROM {relation}").fetchall() == [("k0:a",)]


@pytest.mark.parametrize("broken", [b"{", b'{"kind": "auth", "ts": "yesterday"}', b'{"status": "many"}', b"[1, 2]"])
def test_a_broken_line_is_named_and_not_repeated(con: duckdb.DuckDBPyConnection, tmp_path: Path, broken: bytes) -> None:
    token = fakes.opaque()
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([LINES[0], LINES[1], broken.replace(b"many", token.encode()), LINES[2]]))
    with pytest.raises(ConfigurationError) as raised:
        _rows(con, path)
    assert f"{path}" in str(raised.value)
    assert "mend that line" in str(raised.value)
    assert fakes.leaked(token, str(raised.value)) == []


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("'auth' AS kind", "no column 'ts'"),
        ("TIMESTAMP '2026-03-01' AS ts", "no column 'kind'"),
        ("'auth' AS kind, '2026-03-01' AS ts", "'ts' is VARCHAR and must be TIMESTAMP"),
        ("'auth' AS kind, TIMESTAMP '2026-03-01' AS ts, '401' AS status", "'status' is VARCHAR and must be BIGINT"),
        ("'auth' AS kind, TIMESTAMP '2026-03-01' AS ts, 1 AS verified", "'verified' is INTEGER and must be BOOLEAN"),
    ],
)
def test_other_columns_are_told_with_the_mend(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, columns: str, words: str
) -> None:
    con.execute(f"COPY (SELECT {columns}) TO '{tmp_path}/a.parquet'")
    with pytest.raises(ConfigurationError, match=words):
        _rows(con, tmp_path / "a.parquet")


def test_what_is_not_there_or_not_of_events_is_told(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ts,kind\n")
    (tmp_path / "b.parquet").write_text("PAR1")
    for name, words in (
        ("none.jsonl", "no file"),
        ("*.none", "no file"),
        ("a.csv", "name files"),
        ("b.parquet", "anew"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            _rows(con, tmp_path / name)


@settings(max_examples=30)
@given(st.binary(max_size=200))
def test_any_bytes_are_events_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.jsonl").write_bytes(content)
    (folder / "b.parquet").write_bytes(content)
    con = connect(folder / "tmp")
    try:
        for name in ("a.jsonl", "b.parquet"):
            with suppress(ConfigurationError):
                _rows(con, folder / name)
    finally:
        con.close()
