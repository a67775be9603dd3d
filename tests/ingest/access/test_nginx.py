"""nginx: lines that a real one writes, and layouts as they stand in configurations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

import fakes
from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.access import AccessLine, Unreadable, open_format
from ingest.access.hostile import decoded, survives, told
from ingest.access.real_nginx import Nginx

_COMBINED = '203.0.113.7 - - [22/Nov/2026:11:09:06 +0100] "GET /a?b=c HTTP/1.1" 401 12 "-" "curl/8"'
_OWN = (
    '$remote_addr [$time_iso8601] $msec "$request" $status $request_time "$http_authorization" "$http_x_forwarded_for" '
    '"$http_user_agent" $request_id'
)
_JSON = (
    '{"at":"$time_iso8601","request":"$request","status":$status,"agent":"$http_user_agent","took":"$request_time",'
    '"auth":"$http_authorization"}'
)


_HTTP = (
    f"log_format own '{_OWN}'; log_format js escape=json '{_JSON}';\n"
    "access_log {folder}/logs/combined.log; access_log {folder}/logs/own.log own;\n"
    "access_log {folder}/logs/js.log js;\n"
    "server { listen 127.0.0.1:{port}; location / { return 401; } location /ok { return 204; } }\n"
)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    made = Nginx(tmp_path_factory.mktemp("nginx"), _HTTP)
    yield made
    made.stop()


def _read(layout: str) -> Callable[[bytes], AccessLine]:
    read = open_format(layout)

    def line(raw: bytes) -> AccessLine:
        found = read(raw.decode("utf-8", "replace"))
        assert found is not None
        return found

    return line


def test_what_a_real_nginx_writes(nginx: Nginx) -> None:
    """Of each request three lines, in three layouts, that say the same."""
    token = fakes.jwt()
    sent = [
        (b"/ok?page=2", b"User-Agent: curl/8"),
        (b"/caf%C3%A9/x", b'User-Agent: "quoted" \\ back\x7f \xc3\xa9 \xff'),
        (b"/with?access_token=" + token.encode(), b"User-Agent: q"),
        (b"/bearer", b"Authorization: Bearer " + token.encode()),
        (b"/basic", b"Authorization: Basic " + fakes.b64(b"kim:a password").encode()),
    ]
    for target, header in sent:
        nginx.get(target, header)
    for junk in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /old\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
    ):
        nginx.send(junk)
    nginx.get(b"/" + b"a" * 9_000)

    lines = {name: nginx.lines(name, 9) for name in ("combined", "own", "js")}
    combined = [_read("nginx")(raw) for raw in lines["combined"]]
    own = [_read(f"nginx:{_OWN}")(raw) for raw in lines["own"]]
    js = [_read(f"nginx:escape=json {_JSON}")(raw) for raw in lines["js"]]

    assert [line.status for line in combined] == [204, 401, 401, 401, 401, 400, 401, 400, 414]
    assert [line.target for line in combined][:5] == [target.decode() for target, _ in sent]
    assert [(line.method, line.target) for line in combined][5:7] == [(None, None), ("GET", "/old")]
    assert combined[1].user_agent == '"quoted" \\ back\x7f é \ufffd'
    for one, two, three in zip(combined, own, js, strict=True):
        assert (one.status, one.target) == (two.status, two.target) == (three.status, three.target)
        assert one.ended is not None
        assert abs(datetime.now(UTC) - one.ended) < timedelta(seconds=60)
        assert two.ended is not None
        assert timedelta(0) <= two.ended - one.ended < timedelta(seconds=1), "milliseconds are known there"
        assert two.peer == "127.0.0.1"
        assert two.duration_us is not None
        assert len(two.request_id or "") == 32
        assert (one.asked, two.asked, three.asked) == (False, True, True)
    assert [line.authorization for line in own[:4]] == [None, None, None, f"Bearer {token}"]
    assert [line.authorization for line in js[:4]] == [None, None, None, f"Bearer {token}"]

    done = decoded(f"nginx:{_OWN}", *lines["own"][2:5])
    assert not done.rejected
    assert fakes.leaked(token, *done.lines) == []
    said = [raw.split(b'"outcome":"')[1].split(b'"')[0] for raw in done.lines if b'"kind":"auth"' in raw]
    assert said == [b"invalid", b"invalid", b"missing"]
    assert sum(b'"kind":"leak"' in raw for raw in done.lines) == 3
    assert not any(b"a password" in raw or fakes.b64(b"kim:a password").encode() in raw for raw in done.lines)


def test_the_layout_of_its_packages_has_one_field_more() -> None:
    assert told(open_format("nginx")(f'{_COMBINED} "198.51.100.1"')) == told(open_format("nginx")(_COMBINED))


def test_a_log_format_with_its_quotes_and_over_several_lines() -> None:
    read = open_format("nginx:'$remote_addr - [$time_local] \"$request\" '\n    '$status ${request_time}s'")

    assert told(read('::1 - [22/Nov/2026:11:09:06 -0330] "GET / HTTP/1.1" 200 0.012s')) == {
        "ended": datetime(2026, 11, 22, 14, 39, 6, tzinfo=UTC),
        "duration_us": 12_000,
        "status": 200,
        "method": "GET",
        "target": "/",
        "peer": "::1",
    }


def test_behind_the_realip_module_the_peer_is_another() -> None:
    line = open_format("nginx:$remote_addr $realip_remote_addr $status")("203.0.113.7 10.0.0.1 200")

    assert told(line) == {"status": 200, "peer": "10.0.0.1", "client": "203.0.113.7"}


@pytest.mark.parametrize(
    ("ids", "taken"),
    [
        ("answered-1 made-12345 sent-12345", "answered-1"),
        ("- made-12345 sent-12345", "made-12345"),
        ("- - sent-12345", "sent-12345"),
    ],
)
def test_the_service_s_own_word_for_the_request_comes_first(ids: str, taken: str) -> None:
    """Then nginx's, and at last the caller's."""
    read = open_format("nginx:$upstream_http_x_request_id $request_id $http_x_request_id $status")
    line = read(f"{ids} 200")

    assert line is not None
    assert line.request_id == taken


def test_values_that_stand_side_by_side() -> None:
    line = open_format("nginx:$host$request_uri $request_method $status")("api.example/a/b?c=d PUT 200")

    assert told(line) == {"status": 200, "method": "PUT", "target": "/a/b?c=d"}
    with pytest.raises(ConfigurationError, match="nothing between"):
        open_format("nginx:$host$status $request")


def test_values_with_spaces_need_quotes_or_words_of_their_own() -> None:
    read = open_format("nginx:$request $status $http_user_agent")

    assert told(read("GET /a HTTP/1.1 200 Mozilla/5.0 (X11; Linux)")) == {
        "status": 200,
        "method": "GET",
        "target": "/a",
        "user_agent": "Mozilla/5.0 (X11; Linux)",
    }
    with pytest.raises(ConfigurationError, match="in quotes"):
        open_format("nginx:$http_user_agent $http_x_forwarded_for $status")


def test_lines_of_json_with_variables_for_keys() -> None:
    line = open_format("nginx")(
        '{"msec":"1795345746.310","remote_addr":"::1","request":"GET /x HTTP/1.1","status":"200"}'
    )

    assert told(line) == {
        "ended": datetime(2026, 11, 22, 11, 9, 6, 310_000, tzinfo=UTC),
        "status": 200,
        "method": "GET",
        "target": "/x",
        "peer": "::1",
    }


@pytest.mark.parametrize("cut", [10, 30, 50, len(_COMBINED) - 1])
def test_half_a_line_is_refused(cut: int) -> None:
    with pytest.raises(Unreadable, match="not of the nginx layout"):
        open_format("nginx")(_COMBINED[:cut])


def test_a_line_costs_time_in_proportion_to_its_length() -> None:
    """Nothing a client puts into a line makes reading it slow: 60 kB of quotes and backslashes take no second."""
    read = open_format("nginx")
    loose = open_format("nginx:$http_user_agent $status")
    began = time.process_time()
    for piece in ('\\"', '" "', "\\x22", "a ", '"'):
        for one in (read, loose):
            with suppress(Unreadable):
                one(f"{_COMBINED[:-7]}{piece * (60_000 // len(piece))}")

    assert time.process_time() - began < 1


def test_hostile_lines() -> None:
    survives("nginx", _COMBINED, f'{_COMBINED} "198.51.100.1"')
    survives(
        f"nginx:{_OWN}", '::1 [2026-11-22T11:09:06+00:00] 1.5 "GET / HTTP/1.1" 200 0.1 "-" "-" "-" 0123456789abcdef'
    )
    survives(
        f"nginx:escape=json {_JSON}",
        '{"at":"2026-11-22T11:09:06Z","request":"GET /","status":200,"agent":"","took":"1","auth":""}',
    )
