"""Granian, a real process: it serves from Rust, but logs through Python's logging, and its logs hold no token."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoting import Served, hold

FORMAT = "%(addr)s %(method)s %(path)s?%(query_string)s %(header{{referer}})s %(status)d"
GRANIAN = ["-m", "granian", "--factory", "--host=127.0.0.1", "--port={port}", "--access-log"]


@pytest.mark.parametrize("app", ["asgi", "wsgi", "flask"])
def test_access_and_error_log(tmp_path: Path, app: str) -> None:
    """It logs a request after its answer is over, when a bare opaque token is not known any more."""
    interface = "asginl" if app == "asgi" else "wsgi"
    command = [*GRANIAN, f"--access-log-fmt={FORMAT}", f"--interface={interface}", f"quoting:{app}"]
    with Served(command, tmp_path) as server:
        said = hold(server, bare_path=False)
    assert "https://app.test/?access_token=[token " in said
    if app != "flask":
        assert "Application callable raised an exception" in said
