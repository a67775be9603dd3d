"""The receiver takes what is signed, refuses what is not, and notes when."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks.webhooks import Webhook

from bearerwatch.demo.receiver import Alert, Receiver

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
DATA = {"rule": "brute_force", "group": {"client_ip": "203.0.113.1"}, "level": "high", "title": "T"}
BODY = json.dumps({"type": "bearerwatch.alert.opened", "timestamp": "x", "data": DATA})


def post(url: str, secret: str) -> int:
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, BODY),
    }
    try:
        with urllib.request.urlopen(urllib.request.Request(url, BODY.encode(), headers), timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_signed_alert_is_heard_and_kept(tmp_path: Path) -> None:
    heard: list[Alert] = []
    with Receiver(SECRET, tmp_path / "kept", heard.append) as receiver:
        before = time.time()
        assert post(receiver.url, SECRET) == 204
        deadline = time.time() + 5
        while not heard and time.time() < deadline:
            time.sleep(0.01)

    [alert] = heard
    assert (alert.kind, alert.rule, alert.key) == ("opened", "brute_force", {"client_ip": "203.0.113.1"})
    assert before <= alert.at <= time.time()
    assert (tmp_path / "kept").read_text() == BODY + "\n"
    assert receiver.alerts == heard


def test_a_forged_alert_is_counted_and_not_heard(tmp_path: Path) -> None:
    heard: list[Alert] = []
    with Receiver(SECRET, tmp_path / "kept", heard.append) as receiver:
        assert post(receiver.url, "whsec_" + base64.b64encode(bytes(32)).decode()) == 401

    assert (heard, receiver.forged, (tmp_path / "kept").exists()) == ([], 1, False)
