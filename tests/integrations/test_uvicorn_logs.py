"""Uvicorn, a real process: its access and error logs hold no token, with either of its HTTP implementations."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoting import Served, hold


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_access_and_error_log(tmp_path: Path, http: str) -> None:
    command = ["-m", "uvicorn", "--factory", "--host=127.0.0.1", "--port={port}", f"--http={http}", "quoting:asgi"]
    with Served(command, tmp_path) as server:
        said = hold(server)
    assert "/[token " in said
    assert "Exception in ASGI application" in said
