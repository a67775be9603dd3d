"""Gunicorn, a real process: its access and error logs hold no token, with either kind of worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoting import Served, hold

GUNICORN = ["-m", "gunicorn", "--bind=127.0.0.1:{port}", "--access-logfile=-"]


@pytest.mark.parametrize("worker", ["sync", "gthread"])
@pytest.mark.parametrize("app", ["wsgi", "flask"])
def test_access_and_error_log(tmp_path: Path, app: str, worker: str) -> None:
    with Served([*GUNICORN, f"--worker-class={worker}", f"quoting:{app}()"], tmp_path) as server:
        said = hold(server)
    assert '"https://app.test/?access_token=[token ' in said
    if app == "wsgi":
        assert "Error handling request" in said
