"""Envoy's text and JSON: made up after its documentation."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import Unreadable, open_format
from ingest.access.hostile import decoded, survives, told

_WHEN = datetime(2026, 11, 22, 11, 9, 6, 310_000, tzinfo=UTC)
_START = '[2026-11-22T11:09:06.310Z] "GET /orders/7 HTTP/2" 401 - 0 19 26 25'
_ID = "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2"
_LINE = f'{_START} "203.0.113.7,10.0.0.4" "okhttp/4.12" "{_ID}" "api.example" "10.0.2.1:80"'


def test_the_default_text() -> None:
    assert told(open_format("envoy")(_LINE)) == {
        "started": _WHEN,
        "duration_us": 26_000,
        "status": 401,
        "method": "GET",
        "target": "/orders/7",
        "forwarded_for": "203.0.113.7,10.0.0.4",
        "user_agent": "okhttp/4.12",
        "request_id": _ID,
    }


def test_no_answer_has_status_zero() -> None:
    done = decoded("envoy", _LINE.replace(" 401 - ", " 0 DC ").encode())

    assert b'"outcome":"error","reason":"no_answer"' in done.lines[0]


def test_nobody_can_keep_their_traces_out_by_a_quote() -> None:
    """Envoy escapes nothing: what stands before the client's own text is read all the same."""
    line = open_format("envoy")(f'{_START} "203.0.113.7" "a" "b" "{_ID}" "api.example" "10.0.2.1:80"')

    assert told(line) == {
        "started": _WHEN,
        "duration_us": 26_000,
        "status": 401,
        "method": "GET",
        "target": "/orders/7",
    }


def test_who_called_is_told_by_trusted_proxies_alone() -> None:
    """The default text names no peer: until somebody says which proxies to trust, the chain is anybody's word."""
    unsure, sure = (decoded("envoy", _LINE.encode(), **more).lines[0] for more in ({}, {"trusted_proxies": _INNER}))

    assert b"client_ip" not in unsure
    assert b'"client_ip":"203.0.113.7"' in sure


def test_operators() -> None:
    read = open_format(
        "envoy:%START_TIME(%s.%3f)% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% "
        '"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH):256%" %RESPONSE_CODE% %RESP(X-REQUEST-ID)% '
        "%REQ(AUTHORIZATION?X-NONE)% %TRACE_ID%\\n"
    )
    line = read('1795345746.310 [2001:db8::1]:4711 198.51.100.9 "POST /x?y" 200 req-12345678 - 0123456789abcdef')

    assert told(line) == {
        "started": datetime(2026, 11, 22, 11, 9, 6, 310_000, tzinfo=UTC),
        "peer": "[2001:db8::1]:4711",
        "client": "198.51.100.9",
        "method": "POST",
        "target": "/x?y",
        "status": 200,
        "request_id": "req-12345678",
        "trace_id": "0123456789abcdef",
        "asked": True,
    }


def test_json_with_keys_of_one_s_own() -> None:
    read = open_format('envoy:{"at": "%START_TIME%", "http": {"path": "%REQ(:PATH)%", "code": "%RESPONSE_CODE%"}}')

    assert told(read('{"http": {"code": 404, "path": "/x"}, "at": "2026-11-22T11:09:06.310Z"}')) == {
        "started": _WHEN,
        "status": 404,
        "target": "/x",
    }


def test_json_with_the_usual_keys() -> None:
    line = open_format("envoy")(
        '{"start_time":"2026-11-22T11:09:06.310Z","method":"GET","path":"/x","response_code":200,"duration":7,'
        '"downstream_remote_address":"203.0.113.7:4711","request_id":null,"user_agent":"a"}'
    )

    assert told(line) == {
        "started": _WHEN,
        "method": "GET",
        "target": "/x",
        "status": 200,
        "duration_us": 7_000,
        "client": "203.0.113.7:4711",
        "user_agent": "a",
    }


@pytest.mark.parametrize("line", ["{", '{"a":1}', "[]", "x", '{"path":' + "[" * 2_000])
def test_what_is_no_line_of_it(line: str) -> None:
    with pytest.raises(Unreadable):
        open_format("envoy")(line)


@pytest.mark.parametrize("layout", ["{", '{"a": "b"}', "%BYTES_SENT%", "%START_TIME(%Q)% %RESPONSE_CODE%"])
def test_a_layout_that_says_too_little_is_refused(layout: str) -> None:
    with pytest.raises(ConfigurationError, match="envoy layout"):
        open_format(f"envoy:{layout}")


def test_hostile_lines() -> None:
    survives("envoy", _LINE, '{"start_time":"2026-11-22T11:09:06.310Z","path":"/x","response_code":200}')


def _inner() -> tuple[object, ...]:
    import ipaddress

    return (ipaddress.ip_network("10.0.0.0/8"),)


_INNER = _inner()
