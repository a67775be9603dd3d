"""The sink ``syslog``, to receivers that are really there: a Unix socket, UDP, TCP."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.settings import Settings
from bearerwatch.sinks import _courier, open_sinks
from bearerwatch.sinks.syslog import SyslogSink
from bearerwatch.testing.events import make_event
from receivers import datagrams, stream_receiver
from syslog_read import frames, parse

EVENTS = [make_event(path=f"/{number}", user_agent='x\n<1>1 "]\ud800') for number in range(20)]
IDS = [event.event_id for event in EVENTS]
DATA = "bearerwatch@32473"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_courier, "_LINGER", 0.01)
    monkeypatch.setattr(_courier, "_FIRST_PAUSE", 0.01)


def opened(url: str) -> SyslogSink:
    (sink,) = open_sinks(Settings(sinks=("syslog",), syslog=url))
    assert isinstance(sink, SyslogSink)
    return sink


@pytest.mark.parametrize("kind", ["udp", "unix"])
def test_each_event_is_a_datagram(kind: str, tmp_path: Path) -> None:
    with datagrams(tmp_path / "log" if kind == "unix" else None) as bound:
        where = f"unix://{tmp_path / 'log'}" if kind == "unix" else f"udp://127.0.0.1:{bound.getsockname()[1]}"
        sink = opened(f"syslog+{where}?facility=local0&enterprise=7")
        got = []
        for event in EVENTS:  # a Unix socket takes ten or so at a time
            sink.send(event)
            got.append(parse(bound.recv(65536)))
        sink.close()
    assert [message.data["bearerwatch@7"]["event_id"] for message in got] == IDS
    assert {message.facility for message in got} == {16}


@pytest.mark.parametrize("reset", [True, False])
def test_a_stream_is_counted_off_and_made_anew_when_the_receiver_restarts(reset: bool) -> None:
    with stream_receiver() as receiver:
        receiver.reset = reset
        sink = opened(f"syslog+tcp://127.0.0.1:{receiver.port}")
        receiver.cut_after = 1
        sink.send(EVENTS[0])
        receiver.wait(1)
        for event in EVENTS[1:]:
            sink.send(event)
        sink.close()
        first, second = receiver.wait(2)
    assert [parse(message).data[DATA]["event_id"] for message in frames(first + second)] == IDS
    assert sink.dropped == 0


def test_a_receiver_that_comes_late_gets_what_is_kept_for_it(tmp_path: Path) -> None:
    sink = opened(f"syslog+unix://{tmp_path / 'log'}")
    for event in EVENTS[:5]:
        sink.send(event)
    time.sleep(0.05)
    with datagrams(tmp_path / "log") as bound:
        sink.close()
        got = [parse(bound.recv(65536)).data[DATA]["event_id"] for _ in range(5)]
    assert got == IDS[:5]


def test_one_too_large_for_a_datagram_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with datagrams(tmp_path / "log") as bound:
        sink = opened(f"syslog+unix://{tmp_path / 'log'}?max_bytes=65000")
        sink._wire.write([])  # connects
        assert sink._wire._socket is not None
        sink._wire._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sink.send(make_event(path="/large", detail="x" * 60_000))
        sink.send(EVENTS[0])
        assert parse(bound.recv(65536)).data[DATA]["event_id"] == IDS[0]
        sink.close()
    assert sink.dropped == 1


def test_a_bad_address_is_an_error_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"syslog \(BEARERWATCH_SYSLOG\): name a host"):
        opened("syslog+tcp://")
    with pytest.raises(ConfigurationError, match="syslog has a format of its own"):
        open_sinks(Settings(sinks=("syslog:ocsf",)))


def test_a_process_that_ends_delivers_first(tmp_path: Path) -> None:
    code = (
        "from bearerwatch.settings import Settings; from bearerwatch.sinks import open_sinks\n"
        "from bearerwatch.event import AuthEvent, Kind; from datetime import datetime, UTC\n"
        "from bearerwatch.sinks import _courier; _courier._LINGER = 15.0\n"
        "(sink,) = open_sinks(Settings.from_env(sinks='syslog'))\n"
        "sink.send(AuthEvent(Kind.AUTH, 'id', datetime.now(UTC), path='/last'))\n"
        "import sys; print('ssl' in sys.modules, [m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    with datagrams(tmp_path / "log") as bound:
        env = {"BEARERWATCH_SYSLOG": f"syslog+unix://{tmp_path / 'log'}", "BEARERWATCH_STATE": str(tmp_path)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "False []\n")
        assert parse(bound.recv(65536)).data[DATA]["path"] == "/last"
