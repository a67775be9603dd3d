"""Syslog receivers for real: UDP, TCP, TLS and a Unix socket, read by a strict reader."""

from __future__ import annotations

import ssl
from contextlib import closing
from pathlib import Path

import pytest

import fakes
from bearerwatch.exports import ExportError, syslog
from bearerwatch.exports.syslog import SyslogTarget
from bearerwatch.sinks._destination import destination
from bearerwatch.testing.events import make_event
from receivers import datagrams, stream_receiver
from syslog_read import frames, parse

EVENTS = [make_event(path=f"/{number}", user_agent='a\n<34>1 - - - - - - "]\\') for number in range(50)]
IDS = [event.event_id for event in EVENTS]


def ids(messages: list[bytes]) -> list[str]:
    return [parse(message).data["bearerwatch@32473"]["event_id"] for message in messages]


def target(url: str, said: list[str] | None = None, *, patience: float = 5.0) -> SyslogTarget:
    return SyslogTarget(destination(url), patience=patience, report=[].append if said is None else said.append)


def test_over_udp_an_event_is_a_datagram() -> None:
    with datagrams() as bound, closing(target(f"syslog+udp://127.0.0.1:{bound.getsockname()[1]}")) as opened:
        opened.send(EVENTS)
        opened.finish()
        assert ids([bound.recv(65536) for _ in EVENTS]) == IDS


def test_over_a_unix_socket_too(tmp_path: Path) -> None:
    with datagrams(tmp_path / "log") as bound, closing(target(f"syslog+unix://{tmp_path / 'log'}")) as opened:
        for event in EVENTS:
            opened.send([event])
            assert ids([bound.recv(65536)]) == [event.event_id]


def test_over_tcp_messages_are_counted_off() -> None:
    with stream_receiver() as receiver:
        with closing(target(f"syslog+tcp://127.0.0.1:{receiver.port}?facility=local3")) as opened:
            opened.send(EVENTS[:20])
            opened.send(EVENTS[20:])
            opened.finish()
        (read,) = receiver.wait(1)
    messages = frames(read)
    assert ids(messages) == IDS
    assert parse(messages[0]).facility == 19


def test_a_connection_that_was_cut_is_made_anew() -> None:
    said: list[str] = []
    with stream_receiver() as receiver:
        receiver.cut_after = 100
        with closing(target(f"syslog+tcp://127.0.0.1:{receiver.port}", said)) as opened:
            opened.send(EVENTS[:1])
            receiver.wait(1)
            opened.send(EVENTS[1:])
            opened.finish()
        _, second = receiver.wait(2)
    assert ids(frames(second)) == IDS[1:]
    assert said == []


def test_a_receiver_that_is_away_is_tried_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "_FIRST_PAUSE", 0.02)
    said: list[str] = []
    nobody = target(f"syslog+tcp://127.0.0.1:{fakes.free_port()}", said, patience=0.2)
    with closing(nobody) as opened, pytest.raises(ExportError, match="Connection refused"):
        opened.send(EVENTS)
    assert len(said) >= 2
    assert "trying again" in said[0]


def test_a_receiver_that_cuts_at_the_end_is_noticed() -> None:
    with stream_receiver() as receiver:
        receiver.cut_after = 1
        with closing(target(f"syslog+tcp://127.0.0.1:{receiver.port}")) as opened:
            opened.send(EVENTS)
            receiver.wait(1)
            with pytest.raises(ExportError, match="may lack the last events"):
                opened.finish()


def test_over_tls_its_certificate_is_checked(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with stream_receiver(lambda accepted: context.wrap_socket(accepted, server_side=True)) as receiver:
        url = f"syslog+tls://localhost:{receiver.port}"
        with closing(target(url, patience=0.1)) as opened, pytest.raises(ExportError, match="not trusted here"):
            opened.send(EVENTS)
    with stream_receiver(lambda accepted: context.wrap_socket(accepted, server_side=True)) as receiver:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        with closing(target(f"syslog+tls://localhost:{receiver.port}")) as opened:
            opened.send(EVENTS)
            opened.finish()
        (read,) = receiver.wait(1)
    assert ids(frames(read)) == IDS


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("syslog://host", "syslog"),
        ("syslog+gopher://host", "syslog"),
        ("syslog+tcp://", "name a host"),
        ("syslog+tcp://host:99999", "6514"),
        ("syslog+tcp://me:pw@host", "no user"),
        ("syslog+udp://host/path", "name a host"),
        ("syslog+unix://log", "whole path"),
        ("syslog+tcp://host?facility=kern", "one of user"),
        ("syslog+tcp://host?enterprise=x", "6514"),
        ("syslog+tcp://host?level=7", "facility, enterprise and max_bytes"),
        ("syslog+tcp://host?max_bytes=7", "480"),
        ("syslog+tcp://host?max_bytes=700000", "65000"),
    ],
)
def test_a_bad_address_is_refused_and_not_repeated(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        destination(url)
    assert "me:pw" not in str(caught.value)


def test_ports_and_sizes_have_their_defaults() -> None:
    assert [destination(f"syslog+{name}://host").port for name in ("udp", "tcp", "tls")] == [514, 601, 6514]
    assert destination("syslog+tcp://[::1]:7").host == "::1"
    event = make_event(path="/" + "x" * 511, issuer="i" * 2048, scopes="s" * 2048)
    assert len(destination("syslog+udp://host").encode(event)) <= 2048
    assert "truncated" not in parse(destination("syslog+tcp://host").encode(event)).data["bearerwatch@32473"]
