"""Apache httpd's layouts: made up after the documentation of mod_log_config."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import Unreadable, open_format
from ingest.access.hostile import survives, told

_TIME = "[22/Nov/2026:11:09:06 +0100]"
_WHEN = datetime(2026, 11, 22, 10, 9, 6, tzinfo=UTC)


def test_combined_and_common_without_being_told_which() -> None:
    read = open_format("apache")

    assert told(read(f'203.0.113.7 - kim {_TIME} "GET /a?b=c HTTP/1.1" 401 12 "-" "curl/8"')) == {
        "started": _WHEN,
        "status": 401,
        "method": "GET",
        "target": "/a?b=c",
        "peer": "203.0.113.7",
        "user_agent": "curl/8",
    }
    assert told(read(f'2001:db8::7 - - {_TIME} "GET / HTTP/1.1" 200 -')) == {
        "started": _WHEN,
        "status": 200,
        "method": "GET",
        "target": "/",
        "peer": "2001:db8::7",
    }


def test_its_escapes_are_taken_back() -> None:
    """mod_log_config writes a quote, a backslash and what cannot be printed each in its own way."""
    line = open_format("apache")(f'::1 - - {_TIME} "GET /\\"\\\\ HTTP/1.1" 200 5 "-" "\\xc3\\xa9\\t\\"x\\\\"')

    assert line is not None
    assert (line.target, line.user_agent) == ('/"\\', 'é\t"x\\')


@pytest.mark.parametrize(
    ("request_line", "target"),
    [("-", None), ("", None), ("\\x16\\x03\\x01\\x02", None), ("GET /old", "/old"), ("OPTIONS * HTTP/1.1", "*")],
    ids=["timed out", "empty", "TLS bytes", "HTTP/0.9", "of the server itself"],
)
def test_a_request_line_that_is_none(request_line: str, target: str | None) -> None:
    line = open_format("apache")(f'::1 - - {_TIME} "{request_line}" 400 0 "-" "-"')

    assert line is not None
    assert (line.status, line.target) == (400, target)


def test_a_log_format_as_it_stands_in_the_configuration() -> None:
    read = open_format(
        r'apache:"%{c}a %a %v:%p [%{%Y-%m-%d %H:%M:%S}t.%{usec_frac}t] \"%m %U%q %H\" %400,501>s %{ms}T %D'
        r' \"%{X-Forwarded-For}i\" %{X-Request-ID}o %{traceparent}i %%"'
    )
    line = read(
        '10.0.0.1 203.0.113.7 api.example:443 [2026-11-22 11:09:06.123456] "GET /a b?c=d HTTP/1.1" 200 12 12345'
        ' "198.51.100.1, 10.0.0.9" req-12345678 00-aa-bb-01 %'
    )

    assert told(line) == {
        "started": datetime(2026, 11, 22, 11, 9, 6, tzinfo=UTC),
        "status": 200,
        "method": "GET",
        "duration_us": 12345,
        "peer": "10.0.0.1",
        "client": "203.0.113.7",
        "path": "/a b",
        "query": "c=d",
        "forwarded_for": "198.51.100.1, 10.0.0.9",
        "request_id": "req-12345678",
        "traceparent": "00-aa-bb-01",
    }


@pytest.mark.parametrize(
    ("layout", "text", "micros"),
    [
        ("%{sec}t", "1795342146", 0),
        ("%{msec}t", "1795342146123", 123_000),
        ("%{usec}t", "1795342146123456", 123_456),
        ("[%{begin:%d/%b/%Y:%T %z}t]", "[22/Nov/2026:11:09:06 +0100]", 0),
    ],
)
def test_times(layout: str, text: str, micros: int) -> None:
    line = open_format(f"apache:{layout} %>s")(f"{text} 200")

    assert line is not None
    assert line.started == _WHEN.replace(microsecond=micros)


@pytest.mark.parametrize(
    ("layout", "word"),
    [
        ("%h%>s", "nothing between"),
        ("%h %b", "neither a request nor a status"),
        ("%{%s of %j}t %>s", "cannot be read back"),
    ],
)
def test_a_layout_no_line_can_be_read_by_is_refused_with_the_mend(layout: str, word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        open_format(f"apache:{layout}")


def test_another_server_s_line_is_refused_without_being_repeated() -> None:
    with pytest.raises(Unreadable, match="not of the apache layout") as caught:
        open_format("apache")("2026-11-22 11:09:06 W3SVC1 GET /secret 200")

    assert "secret" not in str(caught.value)


def test_hostile_lines() -> None:
    survives(
        "apache",
        f'::1 - - {_TIME} "GET /a?b HTTP/1.1" 200 5 "https://x.example/" "Mozilla/5.0 (X11)"',
        f'::1 - - {_TIME} "GET / HTTP/1.1" 200 -',
    )
