"""Rows are merged by id, in the agreed shape, and hold nothing of the machine's name or paths."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from bench._rows import Measured, Row

from bench import _rows


def _kept(results: Path, *rows: Row) -> list[dict[str, object]]:
    _rows.keep([Measured(row=row, how="3 rounds") for row in rows], quick=False, results=results)
    return json.loads(results.read_text())


def test_a_row_has_exactly_the_agreed_keys(tmp_path):
    rows = _kept(
        tmp_path / "results.json", Row(id="middleware.x", unit="µs", ours=1.5, peers={"floor": 1.0}, limit=1.5)
    )
    assert rows == [{"id": "middleware.x", "unit": "µs", "ours": 1.5, "peers": {"floor": 1.0}, "limit": 1.5}]


def test_rows_of_other_ids_are_kept_and_those_of_the_same_id_replaced(tmp_path):
    results = tmp_path / "results.json"
    _kept(results, Row(id="b.one", unit="s", ours=1.0), Row(id="a.two", unit="s", ours=2.0))
    rows = _kept(results, Row(id="b.one", unit="s", ours=3.0))
    assert [(row["id"], row["ours"]) for row in rows] == [("a.two", 2.0), ("b.one", 3.0)]


def test_conditions_are_kept_beside_the_rows_without_host_name_or_path(tmp_path):
    results = tmp_path / "results.json"
    _kept(results, Row(id="a.one", unit="s", ours=1.0))
    _, under = _rows.load(results)
    assert under["a.one"]["how"] == "3 rounds"
    assert under["a.one"]["cores"] >= 1
    text = json.dumps(under)
    assert socket.gethostname() not in text
    assert str(Path.home()) not in text
    assert str(tmp_path) not in text


def test_a_row_passes_up_to_its_limit_and_without_one():
    assert Row(id="a", unit="s", ours=1.0, limit=1.0).passes
    assert Row(id="a", unit="s", ours=1.0).passes
    assert not Row(id="a", unit="s", ours=1.001, limit=1.0).passes


def test_of_a_rate_more_is_better():
    assert Row(id="a", unit="MB/s", ours=2.0, limit=2.0).passes
    assert Row(id="a", unit="MB/s", ours=2.1, limit=2.0).passes
    assert not Row(id="a", unit="MB/s", ours=1.9, limit=2.0).passes
    assert not Row(id="a", unit="s", ours=2.1, limit=2.0).passes


def test_the_results_in_the_tree_can_be_read():
    rows, under = _rows.load()
    assert {row.id for row in rows} == set(under)
