from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from standardwebhooks import Webhook

from bearerwatch.alert.config import load_routes
from bearerwatch.fingerprint import KeyRing
from bearerwatch.ingest.keys import IngestKeys

Run = Callable[..., Any]


def test_a_new_key_goes_alone_to_standard_output(run: Run) -> None:
    ran = run("key", "new")
    assert ran.code == 0
    (key,) = ran.out.splitlines()
    assert KeyRing([key.encode()]).active_id in ran.err
    assert key not in ran.err
    assert run("key", "new").out != ran.out


def test_a_new_key_as_json(run: Run) -> None:
    made = run("key", "new", "--json")
    assert made.json["key_id"] == KeyRing([made.json["key"].encode()]).active_id
    assert made.err == ""


def test_an_ingest_key_is_one_the_collector_takes(run: Run) -> None:
    ran = run("key", "ingest", "web-1")
    keys = IngestKeys.from_env({"BEARERWATCH_INGEST_KEYS": ran.out})
    assert keys.name_of("Bearer " + ran.out.strip().partition(":")[2]) == "web-1"
    made = run("key", "ingest", "web-1", "--json").json
    assert made["entry"] == f"web-1:{made['secret']}"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "-a", "x" * 65, "a\nb"])
def test_a_name_the_collector_would_not_take_is_refused(run: Run, name: str) -> None:
    ran = run("key", "ingest", "--", name)
    assert ran.code == 2
    assert "letters, digits" in ran.err
    assert ran.out == ""


def test_a_webhook_secret_is_one_that_channels_take(run: Run) -> None:
    secret = run("key", "webhook").out.strip()
    Webhook(secret)
    env = {"BEARERWATCH_WEBHOOK_URL": "https://h.example", "BEARERWATCH_WEBHOOK_SECRET": secret}
    assert [route.channel.name for route in load_routes(None, env)] == ["console", "env-webhook"]
    assert run("key", "webhook", "--json").json["secret"].startswith("whsec_")
