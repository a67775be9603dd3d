from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from bearerwatch.alert.notice import LEVELS, Notice, level_rank, span

Make = Callable[..., Notice]


def test_text_says_what_who_how_much_where_and_what_to_do(notice: Make) -> None:
    text = notice(advice="Block the address.").text()
    lines = text.split("\n")
    assert lines[0] == "[HIGH] Many distinct invalid tokens from one address: client_ip 203.0.113.7"
    said = {line.split(":", 1)[0]: line.split(":", 1)[1].strip() for line in lines if ":" in line}
    assert said["First seen"] == "2026-01-31 12:00:00Z"
    assert said["Last seen"] == "2026-01-31 12:00:12Z (after 12.5 s)"
    assert said["Count"] == "15 events at or over the threshold, at most 24 in one window"
    assert said["Services"] == "billing, shop"
    assert said["Routes"] == "/orders/{id}"
    assert said["Tokens"] == "k1a2b3c4d:" + "0" * 31 + "1"
    assert said["Rule"] == "token_guessing (version 1)"
    assert said["What to do"] == "Block the address."
    assert said["More"] == "bearerwatch alerts show 0123456789abcdef0123456789abcdef"


def test_closing_says_when_and_gives_no_advice(notice: Make, episode: Callable[..., Any]) -> None:
    closed_at = episode().opened_at + timedelta(minutes=20)
    closed = notice("closed", closed_at=closed_at, advice="Block the address.", superseded_by="f" * 32)
    assert closed.key == "0123456789abcdef0123456789abcdef:closed"
    assert closed.at == closed_at
    assert closed.headline.startswith("[HIGH] closed: ")
    assert "Closed:       2026-01-31 12:20:13Z" in closed.text()
    assert "Continued as: " + "f" * 32 in closed.text()
    assert "Block" not in closed.text()


def test_hostile_values_reach_no_form_unescaped(notice: Make) -> None:
    hostile = "x\x1b]0;owned\x07\r\nFAKE: line\u202e\u2028"
    made = notice(
        title=hostile,
        key={"path" + hostile: hostile},
        evidence={"services": [hostile], "routes": {hostile: 3}, "counts": {hostile: 1}},
        advice=hostile,
    )
    for form in (made.text(), json.dumps(made.payload(), ensure_ascii=False), made.headline):
        assert "\x1b" not in form
        assert "\u202e" not in form
        assert "\u2028" not in form
        assert not any(line.startswith("FAKE") for line in form.splitlines())


def test_a_token_in_a_value_is_replaced_by_its_fingerprint(notice: Make, monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setenv("BEARERWATCH_STATE", str(tmp_path))
    token = "ghp_" + secrets.token_hex(18)
    made = notice(evidence={"routes": [f"/cb/{token}"]}, key={"path": f"/cb/{token}"})
    assert token not in made.text() + json.dumps(made.payload())
    assert "[token k" in made.text()


def test_fingerprints_are_not_mistaken_for_tokens(notice: Make) -> None:
    token_id = "k1a2b3c4d:" + "ab" * 16
    made = notice(key={"token_id": token_id}, evidence={"token_ids": [token_id]})
    assert made.group == {"token_id": token_id}
    assert made.token_ids == [token_id]


def test_payload_is_laid_out_as_standard_webhooks_asks(notice: Make) -> None:
    payload = json.loads(json.dumps(notice(advice="Block it.").payload()))
    assert payload["type"] == "bearerwatch.alert.opened"
    assert payload["timestamp"] == "2026-01-31T12:00:13Z"
    assert payload["data"]["group"] == {"client_ip": "203.0.113.7"}
    assert payload["data"]["hits"] == 15
    assert payload["data"]["advice"] == "Block it."


def test_what_the_outbox_keeps_gives_the_same_notice_back(notice: Make) -> None:
    for made in (notice(advice="Block it."), notice("closed", closed_at=notice().opened_at, evidence={})):
        assert Notice.load(made.dump()) == made
        assert Notice.load(msgspec.json.encode(made)) == made


def test_lists_are_short_and_in_order_of_weight(notice: Make) -> None:
    made = notice(evidence={"services": {f"s{n}": n for n in range(30)}, "routes": "/only"})
    assert made.services == [f"s{n}" for n in range(29, 19, -1)]
    assert made.routes == ["/only"]
    assert made.addresses == []


def test_an_unknown_level_is_no_reason_to_keep_silent(notice: Make) -> None:
    assert notice(level="severe").level == "medium"
    assert [level_rank(level) for level in LEVELS] == [0, 1, 2, 3, 4]
    assert level_rank("severe") == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0 ms"), (0.0123, "12 ms"), (12.5, "12.5 s"), (89, "89 s"), (240, "4 min"), (3600, "1 h"), (12000, "3 h 20 min"),
     (86400, "1 d"), (90000, "1 d 1 h")],
)  # fmt: skip
def test_lengths_of_time_are_said_in_fitting_units(seconds: float, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said
