"""``rules convert``: queries to standard output, warnings to standard error, files, exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_queries_and_warnings_go_their_own_ways(run: Run) -> None:
    ran = run("rules", "convert", "token_sharing", "--to", "splunk")
    assert ran.code == 0
    assert "| stats dc(" in ran.out
    assert "tumbling" in ran.err
    assert "tumbling" not in ran.out


def test_json_tells_everything(run: Run) -> None:
    (row,) = run("rules", "convert", "token_sharing", "--to", "elastic", "--json").rows
    assert (row["rule"], row["target"], row["problem"]) == ("token_sharing", "esql", "")
    assert row["warnings"][0].startswith("tumbling")


def test_files_are_written_one_a_rule(run: Run, tmp_path: Path) -> None:
    ran = run("rules", "convert", "--to", "elastic", "--output", tmp_path / "esql")
    assert ran.out == ""
    assert "from *" in (tmp_path / "esql" / "token_sharing.esql").read_text()


def test_exit_codes(run: Run, tmp_path: Path) -> None:
    assert run("rules", "convert", "token_sharing", "--to", "splunk", "--strict").code == 1
    assert run("rules", "convert", "token_sharing", "--to", "eql").code == 1
    missing = run("rules", "convert", "--to", "loki")
    assert (missing.code, "pysigma-backend-loki" in missing.err) == (2, True)
    assert run("rules", "convert").code == 2
    assert run("rules", "convert", "no_such_rule", "--to", "splunk").code == 2
    assert run("rules", "convert", "--to", "splunk", "--fields", "cef").code == 2
    assert run("rules", "convert", tmp_path / "none.yml", "--to", "splunk").code == 2
