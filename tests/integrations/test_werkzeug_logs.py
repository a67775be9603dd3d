"""Werkzeug's development server, a real process: its log holds no token."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoting import Served, hold

SERVE = (
    "import quoting, werkzeug.serving; werkzeug.serving.run_simple('127.0.0.1', {port}, quoting.APP(), threaded=True)"
)


@pytest.mark.parametrize("app", ["wsgi", "flask"])
def test_its_log(tmp_path: Path, app: str) -> None:
    with Served(["-c", SERVE.replace("APP", app)], tmp_path) as server:
        said = hold(server)
    assert '"GET /fine/[token ' in said
    if app == "wsgi":
        assert "Error on request:" in said
