from __future__ import annotations

import base64
import logging
import secrets
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bearerwatch.alert.channel import DeliveryError
from bearerwatch.alert.channels.webhook import Channel, _reason
from bearerwatch.alert.notice import Notice
from bearerwatch.alert.options import Options
from bearerwatch.alert.secret import Secret

Make = Callable[..., Notice]


def whsec() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def channel(url: str, key: str, **table: Any) -> Channel:
    return Channel(
        Options(
            {"url": url, **table}, where="test", name="hook", secrets={"secret": Secret(key, "test")} if key else {}
        )
    )


def test_the_signature_verifies_and_tampering_is_found(receiver: Any, notice: Make) -> None:
    peer, key = receiver(), whsec()
    channel(peer.url, key).deliver(notice())
    (got,) = peer.wait(1)
    assert got.headers["webhook-id"] == "0123456789abcdef0123456789abcdef:opened"
    assert got.headers["content-type"] == "application/json"
    assert Webhook(key).verify(got.body, got.headers)["data"]["rule"] == "token_guessing"
    with pytest.raises(WebhookVerificationError):
        Webhook(key).verify(got.body.replace(b"token_guessing", b"token_guessinG"), got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(key).verify(got.body, got.headers | {"webhook-id": "other"})
    with pytest.raises(WebhookVerificationError):
        Webhook(whsec()).verify(got.body, got.headers)


def test_while_keys_rotate_each_of_them_signs(receiver: Any, notice: Make) -> None:
    peer, new, old = receiver(), whsec(), whsec()
    channel(peer.url, f"{new} {old}").deliver(notice())
    (got,) = peer.wait(1)
    for key in (new, old):
        Webhook(key).verify(got.body, got.headers)


def test_unsigned_has_to_be_asked_for(receiver: Any, notice: Make) -> None:
    peer = receiver()
    channel(peer.url, "", unsigned=True).deliver(notice())
    (got,) = peer.wait(1)
    assert "webhook-signature" not in got.headers


def test_an_authorization_header_can_be_sent(receiver: Any, notice: Make) -> None:
    peer, word = receiver(), secrets.token_urlsafe(12)
    made = Channel(
        Options(
            {"url": peer.url, "unsigned": True, "authorization_env": "HEC"},
            where="test",
            name="hook",
            env={"HEC": f"Splunk {word}"},
        )
    )
    made.deliver(notice())
    assert peer.wait(1)[0].headers["authorization"] == f"Splunk {word}"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_delivered(receiver: Any, notice: Make, status: int) -> None:
    channel(receiver(status).url, whsec()).deliver(notice())


@pytest.mark.parametrize(
    ("status", "retry"),
    [(301, True), (307, True), (400, False), (401, False), (404, False), (408, True), (410, False), (413, False), (425, True),
     (429, True), (500, True), (502, True), (503, True)],
)  # fmt: skip
def test_other_answers_are_tried_again_or_final(receiver: Any, notice: Make, status: int, retry: bool) -> None:
    peer = receiver(status)
    peer.headers = {"location": "http://127.0.0.1:1/elsewhere", "retry-after": "7"}
    with pytest.raises(DeliveryError, match=str(status)) as caught:
        channel(peer.url, whsec()).deliver(notice())
    assert caught.value.retry is retry
    assert len(peer.got) == 1
    if status in (429, 503):
        assert caught.value.retry_after == 7.0


def test_a_dead_peer_is_tried_again_and_its_address_not_told(dead_port: int, notice: Make) -> None:
    word = secrets.token_hex(8)
    with pytest.raises(DeliveryError, match="could not be reached") as caught:
        channel(f"http://127.0.0.1:{dead_port}/{word}", whsec()).deliver(notice())
    assert caught.value.retry is True
    assert "connection refused" in str(caught.value)
    assert word not in str(caught.value)


def test_an_unknown_host_is_named_as_the_reason() -> None:
    """As httpx2 reports it; asking a name server here would make the test as slow as that is."""
    error = httpx2.ConnectError("https://hooks.example.org/secret")
    error.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert _reason(error) == "its host name is not known: mend the URL or the DNS"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_an_untrusted_certificate_is_named_as_the_reason(notice: Make, tmp_path: Path) -> None:
    what = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=peer -days 1 -keyout peer.pem -out cert.pem"
    subprocess.run(what.split(), check=True, capture_output=True, cwd=tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "peer.pem")
    with socket.create_server(("127.0.0.1", 0)) as peer:
        port = peer.getsockname()[1]

        def shake() -> None:
            connection, _ = peer.accept()
            with suppress(OSError), tls.wrap_socket(connection, server_side=True):
                pass
            connection.close()

        thread = threading.Thread(target=shake)
        thread.start()
        with pytest.raises(DeliveryError, match="TLS certificate is not trusted"):
            channel(f"https://127.0.0.1:{port}/x", whsec()).deliver(notice())
        thread.join(5)


@pytest.mark.parametrize("how", [{"delay": 2.0}, {"drip": True}])
def test_a_slow_peer_holds_us_no_longer_than_the_timeout(receiver: Any, notice: Make, how: Any) -> None:
    """Not even one that sends a byte now and then."""
    began = time.monotonic()
    with pytest.raises(DeliveryError, match=r"no answer within 0.4 s") as caught:
        channel(receiver(**how).url, whsec(), timeout=0.4).deliver(notice())
    assert caught.value.retry is True
    assert time.monotonic() - began < 1.5


def test_closing_cuts_the_exchange_under_way(receiver: Any, notice: Make) -> None:
    slow = channel(receiver(delay=3.0).url, whsec())
    caught: list[BaseException] = []

    def run() -> None:
        try:
            slow.deliver(notice())
        except DeliveryError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    slow.close()
    thread.join(5)
    assert time.monotonic() - began < 1.0
    assert [str(error) for error in caught] == ["given up because the collector stops"]
    with pytest.raises(DeliveryError, match="collector stops"):
        slow.deliver(notice())


def test_the_address_is_in_no_log_line(receiver: Any, notice: Make, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    peer, word = receiver(), secrets.token_hex(8)
    channel(f"{peer.url}/{word}", whsec()).deliver(notice())
    peer.wait(1)
    assert word in peer.got[0].path
    assert word not in caplog.text


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(
    receiver: Any, notice: Make, dead_port: int, monkeypatch: Any
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{dead_port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    peer = receiver()
    channel(peer.url, whsec()).deliver(notice())
    peer.wait(1)
