"""The page is made from the rows: figures, ratios and marks."""

from __future__ import annotations

from bench._areas import areas
from bench._rows import Measured, Row

from bench import _docs, _rows


def _page(tmp_path, *rows: Row) -> str:
    results, docs = tmp_path / "results.json", tmp_path / "docs" / "benchmarks.md"
    _rows.keep([Measured(row=row, how="9 rounds") for row in rows], quick=False, results=results)
    _docs.write(results, docs)
    return docs.read_text(encoding="utf-8")


def test_the_page_holds_figures_ratios_and_marks(tmp_path):
    page = _page(
        tmp_path,
        Row(id="middleware.flask", unit="µs", ours=30.0, peers={"floor": 24.0, "other": 60.0}, limit=36.0),
        Row(id="middleware.django", unit="µs", ours=40.0, peers={"floor": 20.0}, limit=30.0),
    )
    assert "| `middleware.flask` | 30.0 µs | 36.0 µs | 0.83 | passes |" in page
    assert "| `middleware.django` | 40.0 µs | 30.0 µs | 1.33 | **falls short** |" in page
    assert "| floor | 24.0 | 1.25 |" in page
    assert "| other | 60.0 | 0.50 |" in page
    assert "| **bearerwatch** | 30.0 |  |" in page
    assert "9 rounds." in page


def test_peers_stand_in_the_order_of_their_cost(tmp_path):
    page = _page(tmp_path, Row(id="import.flask", unit="ms", ours=5.0, peers={"slow": 9.0, "quick": 1.0}, limit=15.0))
    assert page.index("| quick |") < page.index("| **bearerwatch** |") < page.index("| slow |")


def test_of_rates_the_highest_stands_first_and_what_is_under_the_limit_falls_short(tmp_path):
    peers = {"slow": 9.0, "quick": 900.0}
    page = _page(
        tmp_path,
        Row(id="redact.files.scan", unit="MB/s", ours=500.0, peers=peers, limit=400.0),
        Row(id="redact.files.rewrite", unit="MB/s", ours=100.0, peers=peers, limit=400.0),
    )
    assert page.index("| quick |") < page.index("| **bearerwatch** |") < page.index("| slow |")
    assert "| `redact.files.scan` | 500.0 MB/s | 400.0 MB/s | 1.25 | passes |" in page
    assert "| `redact.files.rewrite` | 100.0 MB/s | 400.0 MB/s | 0.25 | **falls short** |" in page


def test_a_busy_machine_is_said_so(tmp_path):
    rows, under = [Row(id="import.flask", unit="ms", ours=5.0)], {"cores": 2, "load": 6.5, "how": "41 processes"}
    under |= {"date": "2026-01-31", "python": "CPython 3.11", "system": "Linux x86_64", "processor": "some"}
    assert "busy with other work too (load average 6.5)." in _docs.render(rows, {"import.flask": under})
    assert "busy" not in _docs.render(rows, {"import.flask": under | {"load": 1.5}})


def test_the_page_in_the_tree_is_the_one_its_results_make():
    assert _docs.DOCS.read_text(encoding="utf-8") == _docs.render(*_rows.load())


def test_every_area_is_found_by_its_file_and_offers_what_it_must():
    found = {name.partition(".")[0] for area in areas() for name in area.IDS}
    assert {"middleware", "import", "alert", "collector", "redact"} <= found
    ids = [name for area in areas() for name in area.IDS]
    assert len(ids) == len(set(ids))
    assert all(area.METHOD for area in areas())
