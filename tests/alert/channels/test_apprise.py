from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apprise.plugins import opsgenie, pagerduty

from bearerwatch.alert.channel import DeliveryError
from bearerwatch.alert.channels.apprise import Channel
from bearerwatch.alert.notice import Notice
from bearerwatch.alert.options import Options
from bearerwatch.alert.secret import Secret

Make = Callable[..., Notice]


def channel(url: str, *, storage: Path | None = None, **table: Any) -> Channel:
    return Channel(Options(table, where="test", name="people", secrets={"url": Secret(url, "test")}, storage=storage))


def test_a_notice_arrives_with_its_title_text_and_kind(receiver: Any, notice: Make) -> None:
    peer = receiver()
    made = channel(f"json://127.0.0.1:{peer.port}/hook")
    made.deliver(notice(advice="Block it."))
    made.deliver(notice(level="medium"))
    made.deliver(notice("closed", closed_at=notice().opened_at))
    opened, medium, closed = (got.json for got in peer.wait(3))
    assert opened["title"] == "[HIGH] Many distinct invalid tokens from one address: client_ip 203.0.113.7"
    assert "What to do: Block it." in opened["message"]
    assert [opened["type"], medium["type"], closed["type"]] == ["failure", "warning", "success"]
    made.close()


def test_mentions_and_links_in_values_are_defused(receiver: Any, notice: Make) -> None:
    peer = receiver()
    channel(f"json://127.0.0.1:{peer.port}/").deliver(notice(key={"path": "/@everyone/<!channel>"}))
    (got,) = peer.wait(1)
    assert "@everyone" not in got.body.decode()
    assert "<!channel" not in got.json["title"]


@pytest.mark.parametrize("status", [400, 500])
def test_a_refusal_is_tried_again(receiver: Any, notice: Make, status: int) -> None:
    with pytest.raises(DeliveryError, match="json service did not take it") as caught:
        channel(f"json://127.0.0.1:{receiver(status).port}/").deliver(notice())
    assert caught.value.retry is True


def test_a_dead_peer_is_tried_again_and_its_url_not_told(dead_port: int, notice: Make, caplog: Any, capfd: Any) -> None:
    caplog.set_level(1)
    word = secrets.token_hex(12)
    with pytest.raises(DeliveryError) as caught:
        channel(f"json://user:{word}@127.0.0.1:{dead_port}/{word}").deliver(notice())
    printed = capfd.readouterr()
    assert caught.value.retry is True
    assert word not in str(caught.value) + caplog.text + printed.out + printed.err


def test_a_redirect_is_not_followed(receiver: Any, notice: Make) -> None:
    elsewhere = receiver()
    peer = receiver(307)
    peer.headers = {"location": elsewhere.url}
    with pytest.raises(DeliveryError):
        channel(f"json://127.0.0.1:{peer.port}/").deliver(notice())
    assert elsewhere.got == []


def test_pagerduty_opens_and_resolves_one_incident(receiver: Any, notice: Make, monkeypatch: Any) -> None:
    """The service's own address is the one thing replaced."""
    peer = receiver(202, 202)
    monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", peer.url)
    made = channel(f"pagerduty://{secrets.token_hex(8)}@{secrets.token_hex(8)}")
    made.deliver(notice())
    made.deliver(notice("closed", closed_at=notice().opened_at))
    opened, closed = (got.json for got in peer.wait(2))
    assert opened["event_action"] == "trigger"
    assert closed["event_action"] == "resolve"
    assert opened["dedup_key"] == closed["dedup_key"] == "0123456789abcdef0123456789abcdef"


def test_what_the_url_sets_itself_wins(receiver: Any, notice: Make, monkeypatch: Any) -> None:
    peer = receiver(202)
    monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", peer.url)
    url = f"pagerduty://{secrets.token_hex(8)}@{secrets.token_hex(8)}?dedup=mine&action=trigger"
    channel(url).deliver(notice("closed", closed_at=notice().opened_at))
    (got,) = peer.wait(1)
    assert (got.json["event_action"], got.json["dedup_key"]) == ("trigger", "mine")


def test_opsgenie_closes_what_it_opened_even_after_a_restart(
    receiver: Any, notice: Make, monkeypatch: Any, tmp_path: Path
) -> None:
    peer = receiver(202, 202)
    monkeypatch.setitem(opsgenie.OPSGENIE_API_LOOKUP, "us", peer.url)
    answer = json.dumps({"requestId": "r-1"})

    def fetch(self: Any, method: Any, url: str, payload: Any, params: Any = None) -> tuple[bool, str]:
        method(url, data=json.dumps(payload), timeout=2)
        return True, json.loads(answer)["requestId"]

    monkeypatch.setattr(opsgenie.NotifyOpsgenie, "_fetch", fetch)
    url = f"opsgenie://{secrets.token_hex(16)}"
    channel(url, storage=tmp_path).deliver(notice())
    channel(url, storage=tmp_path).deliver(notice("closed", closed_at=notice().opened_at))
    opened, closed = peer.wait(2)
    assert opened.json["alias"] == "0123456789abcdef0123456789abcdef"
    assert closed.path.endswith("/r-1/close")


def test_the_log_of_apprise_goes_nowhere(caplog: Any) -> None:
    channel("json://127.0.0.1:1/")
    caplog.set_level(1)
    logging.getLogger("apprise").error("would show")
    assert caplog.text == ""
