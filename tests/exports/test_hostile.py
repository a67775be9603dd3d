"""What an export reads, whatever it holds: an outcome or a clear error, nothing else, and nothing repeated."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearerwatch.errors import ConfigurationError
from bearerwatch.exports.checkpoint import Checkpoint
from bearerwatch.exports.http import HttpTarget, _Answer, _seconds, check_url, read_headers
from bearerwatch.formats.otlp import request
from bearerwatch.sinks._destination import destination

URLS = st.text(max_size=60) | st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["syslog+tcp", "syslog+udp", "syslog+unix", "syslog+tls", "SYSLOG+TCP", "https", "http", "syslog"]),
    st.text(max_size=20) | st.sampled_from(["host", "[::1]", "[::1", "me:secret-of-mine@host", "host:0", "host:99999"]),
    st.sampled_from(["", "/", "/dev/log", "/v1/logs"]),
    st.text(max_size=30) | st.sampled_from(["?facility=local0", "?max_bytes=1e3", "?facility", "?a=b&a=c", "#x"]),
)


KEYS = st.sampled_from(["partialSuccess", "rejectedLogRecords", "errorMessage"])
VALUES = st.none() | st.booleans() | st.integers() | st.text()
ANSWERS = st.binary(max_size=100) | st.fixed_dictionaries(
    {"partialSuccess": st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES)) | VALUES}
).map(lambda value: json.dumps(value).encode())


def refusal(work: Callable[[], object]) -> str:
    """What is said against it; nothing if it is taken."""
    try:
        work()
    except (ValueError, ConfigurationError) as error:
        return str(error)
    return ""


@given(URLS)
@example("syslog+tcp://host?max_bytes=\uff19\uff19\uff19")  # digits, but not those of ASCII
def test_an_address_is_a_receiver_or_refused(url: str) -> None:
    said = refusal(lambda: destination(url)) + refusal(lambda: check_url(url, {"authorization": "x"}))
    assert "secret-of-mine" not in said
    with suppress(ValueError):
        found = destination(url)
        assert found.transport in {"udp", "tcp", "tls", "unix"}
        assert found.path.startswith("/") if found.transport == "unix" else found.host
        assert 0 <= found.port < 65536


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["A: b", "A:\tb", ": x", "A b", "", "# x", "A: b\x00", "Ä: b"])).map("\n".join)
)
def test_headers_cannot_hold_others(text: str) -> None:
    with suppress(ConfigurationError):
        for name, value in read_headers(text, "the file").items():
            assert re.fullmatch(r"[!-~]+", name)
            assert re.fullmatch(r"[ -~]+", value)
            assert ":" not in name


@settings(max_examples=60)
@given(
    st.binary(max_size=200)
    | st.sampled_from([b'{"version":1,"of":"x","received_at":"2026-01-01T00:00:00","event_id":"","source":""}'])
)
def test_a_checkpoint_is_read_or_refused(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mark"
        path.write_bytes(raw)
        with suppress(ConfigurationError), closing(Checkpoint(path, "x")) as kept:
            assert kept.mark is not None
            assert kept.mark.received_at.tzinfo is not None


def test_whatever_a_receiver_answers_is_a_count_and_printable() -> None:
    said: list[str] = []
    nowhere = HttpTarget(
        "http://127.0.0.1:1/", headers={}, body=request, content_type="x", patience=1, report=said.append
    )

    @settings(max_examples=60)
    @given(ANSWERS)
    def look(body: bytes) -> None:
        assert nowhere._refused(_Answer(200, None, body)) >= 0

    with closing(nowhere):
        look()
    assert all(line.isprintable() and len(line) < 300 for line in said)
    assert said


@given(
    st.none()
    | st.text(max_size=40)
    | st.integers(-10, 10**12).map(str)
    | st.datetimes().map(lambda when: when.strftime("%a, %d %b %Y %H:%M:%S GMT"))
)
def test_retry_after_is_seconds_or_nothing(header: str | None) -> None:
    seconds = _seconds(header)
    assert seconds is None or 0 <= seconds < 10**12
