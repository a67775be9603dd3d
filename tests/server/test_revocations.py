"""From the command that revokes, through a collector at work, to an application's list: within two seconds."""

from __future__ import annotations

import secrets
import time
from typing import Any

import pytest

import fakes
from bearerwatch.cli import main
from bearerwatch.fingerprint import fingerprint
from bearerwatch.ingest.keys import IngestKeys
from bearerwatch.verify.revocations import Revocations


def test_what_is_revoked_on_the_collectors_host_is_refused_by_its_applications(
    site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key, port = secrets.token_urlsafe(24), fakes.free_port()
    token_id = fingerprint(fakes.jwt())
    site.start(port=port, ingest_keys=IngestKeys({"shop": key}))
    monkeypatch.setenv("BEARERWATCH_REVOCATIONS_KEY", key)
    revocations = Revocations(f"collector+http://127.0.0.1:{port}")
    assert token_id not in revocations
    assert main(["revoke", token_id, "--state", str(site.state_dir), "--reason", "laptop stolen"]) == 0
    began = time.monotonic()
    while token_id not in revocations:
        assert time.monotonic() - began < 2
        time.sleep(0.01)
    revocations.close()
    assert token_id in capsys.readouterr().out
