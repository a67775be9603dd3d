"""What an access log knows of a request, and what it does not: outcomes, callers, ids, and tokens that stand in it."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest

import fakes
from bearerwatch.event import REASONS
from ingest.access.hostile import decoded

_LAYOUT = (
    'nginx:$remote_addr [$time_iso8601] "$request" $status $request_time "$http_authorization" '
    '"$http_x_forwarded_for" "$http_user_agent" $http_x_request_id $http_traceparent'
)
_INNER = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


def _line(**given: str) -> bytes:
    values = {"peer": "203.0.113.7", "at": "2026-11-22T11:09:06+01:00", "request": "GET /orders/7 HTTP/1.1"}
    values |= {
        "status": "200",
        "took": "0.250",
        "auth": "-",
        "chain": "-",
        "agent": "-",
        "id": "-",
        "trace": "-",
    } | given
    return '{peer} [{at}] "{request}" {status} {took} "{auth}" "{chain}" "{agent}" {id} {trace}'.format(
        **values
    ).encode()


def _events(layout: str, *lines: bytes, **options: Any) -> list[dict[str, Any]]:
    done = decoded(layout, *lines, **options)
    assert not done.rejected
    return [json.loads(line) for line in done.lines]


def _combined(status: int | str, target: str = "/orders/7") -> bytes:
    return f'203.0.113.7 - - [22/Nov/2026:11:09:06 +0100] "GET {target} HTTP/1.1" {status} 0 "-" "-"'.encode()


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (200, "anonymous", "not_logged"),
        (304, "anonymous", "not_logged"),
        (404, "anonymous", "not_logged"),
        (401, "missing", "not_logged"),
        (403, "forbidden", "not_logged"),
        (429, "throttled", None),
        (499, "error", "client_closed"),
        (502, "error", None),
        ("000", "error", "no_answer"),
    ],
)
def test_a_log_that_does_not_say_whether_a_token_came_claims_the_least(status: int, outcome: str, reason: str) -> None:
    (event,) = _events("nginx", _combined(status))

    assert (event["outcome"], event.get("reason"), event.get("verified")) == (outcome, reason, None)
    assert reason is None or reason in REASONS


@pytest.mark.parametrize(
    ("auth", "status", "outcome", "reason"),
    [
        ("-", "200", "anonymous", None),
        ("-", "401", "missing", None),
        ("Bearer {token}", "200", "success", None),
        ("Bearer {token}", "401", "invalid", None),
        ("Bearer {token}", "403", "forbidden", None),
        ("Bearer {expired}", "401", "expired", "past_exp"),
        ("Bearer {none}", "200", "success", "alg_none"),
        ("Bearer", "401", "malformed", "empty_token"),
        ("Basic a2ltOmEgcGFzc3dvcmQ=", "401", "missing", "wrong_scheme"),
        ("Bearer ***", "401", "missing", "not_logged"),
        ("[REDACTED]", "200", "anonymous", "not_logged"),
    ],
)
def test_a_log_with_the_header_is_classified_as_live_requests_are(
    auth: str, status: str, outcome: str, reason: str | None
) -> None:
    token, expired = fakes.jwt(), fakes.jwt({"exp": 1_700_000_000})
    given = auth.format(token=token, expired=expired, none=fakes.jwt(header={"alg": "none"}))
    event = _events(_LAYOUT, _line(auth=given, status=status))[0]

    assert (event["outcome"], event.get("reason")) == (outcome, reason)


def test_a_credential_that_stands_in_the_log_is_fingerprinted_told_of_and_not_kept() -> None:
    """One event a request, and one for each kind of leak, which names the file and never what stands in it."""
    from bearerwatch.fingerprint import fingerprint

    token, opaque = fakes.jwt(), fakes.opaque()
    events = _events(
        _LAYOUT,
        _line(auth=f"Bearer {token}", agent=f"made with {token}"),
        _line(auth=f"Bearer {token}"),
        _line(request=f"GET /x/{opaque}?a=b&access%5Ftoken={opaque} HTTP/1.1", status="401", agent=opaque),
    )

    first, _, third, *leaks = events
    assert [event["kind"] for event in events] == ["auth", "auth", "auth", "leak", "leak"]
    assert (first["token_id"], first["token_source"]) == (fingerprint(token), "header")
    assert first["presented_id"] != first["token_id"]
    assert (third["token_id"], third["token_source"], third["reason"]) == (fingerprint(opaque), "query", "query_token")
    assert third["path"] == f"/x/[token {fingerprint(opaque)}]"
    assert [(leak["detail"], leak["reason"], leak.get("count", 1), leak["token_id"]) for leak in leaks] == [
        ("access.log Authorization", "jwt", 2, fingerprint(token)),
        ("access.log query string", "opaque", 1, fingerprint(opaque)),
    ]
    assert len({event["event_id"] for event in events}) == 5
    whole = json.dumps(events)
    assert fakes.leaked(token, whole) == []
    assert fakes.leaked(opaque, whole) == []


def test_a_token_in_both_places() -> None:
    """Each of the two leaks is an event of its own."""
    token, other = fakes.jwt(), fakes.opaque()
    line = _line(auth=f"Bearer {token}", request=f"GET /{other}?access_token={other} HTTP/1.1", status="401")
    event, *leaks = _events(_LAYOUT, line)

    assert (event["outcome"], event["reason"], event["token_source"]) == ("malformed", "multiple_tokens", "header")
    assert event["path"] == "/[token]"
    assert sorted(leak["detail"] for leak in leaks) == ["access.log Authorization", "access.log query string"]
    assert len({one["event_id"] for one in (event, *leaks)}) == 3
    assert fakes.leaked(token, json.dumps([event, *leaks])) == fakes.leaked(other, json.dumps([event, *leaks])) == []


def test_a_token_of_a_letter_makes_no_holes_in_paths() -> None:
    event = _events(_LAYOUT, _line(request="GET /api/aa?access_token=a HTTP/1.1"))[0]

    assert (event["path"], event["token_id"]) == ("/api/aa", "short:1")


def test_a_password_is_told_of_without_a_fingerprint() -> None:
    event, leak = _events(_LAYOUT, _line(auth=f"Basic {fakes.b64(b'kim:a long password')}", status="401"))

    assert (event["scheme"], event.get("token_id")) == ("basic", None)
    assert (leak["kind"], leak["reason"], leak.get("token_id")) == ("leak", "basic", None)


@pytest.mark.parametrize(
    ("peer", "chain", "trusted", "client"),
    [
        ("203.0.113.7", "198.51.100.1", (), "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", _INNER, "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", _INNER, "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1, 10.0.0.2", _INNER, "198.51.100.1"),
        ("10.0.0.1", "garbage", _INNER, "10.0.0.1"),
        ("fd00::1", "[2001:db8::7]:4711", _INNER, "2001:db8::7"),
        ("::ffff:203.0.113.7", "-", (), "203.0.113.7"),
        ("unix:", "198.51.100.1", (), None),
    ],
)
def test_who_called_is_told_through_trusted_networks_alone(
    peer: str, chain: str, trusted: tuple[Any, ...], client: str | None
) -> None:
    (event,) = _events(_LAYOUT, _line(peer=peer, chain=chain), trusted_proxies=trusted)

    assert event.get("client_ip") == client


def test_ids_are_taken_where_they_are_well_formed() -> None:
    token, opaque = "gh" + "p_" + fakes.opaque(36), fakes.opaque()
    trace = "0af7651916cd43dd8448eb211c80319c"
    good, bad, worse, worst, *_ = _events(
        _LAYOUT,
        _line(id="req-12345678", trace=f"00-{trace}-b7ad6b7169203331-01"),
        _line(id="short", trace="00-zz-01"),
        _line(id=token),
        _line(id=opaque, auth=f"Bearer {opaque}"),
    )

    assert (good["request_id"], good["trace_id"], good["parent_request_id"]) == (
        "req-12345678",
        trace,
        "b7ad6b7169203331",
    )
    assert "request_id" not in bad
    assert "trace_id" not in bad
    assert fakes.leaked(token, json.dumps(worse)) == []
    assert fakes.leaked(opaque, json.dumps(worst)) == []


def test_a_request_arrived_before_its_line_was_written() -> None:
    (event,) = _events(_LAYOUT, _line(took="1.500"))

    assert (event["ts"], event["duration_us"]) == ("2026-11-22T10:09:04.500000Z", 1_500_000)


def test_ids_of_events_are_those_of_their_place() -> None:
    """The same line of the same log has the same id whenever it is read, and the next one another."""
    first = _events("nginx", _combined(401), _combined(401), _combined(401, "/x"))
    again = _events("nginx", _combined(401), _combined(401), _combined(401, "/x"))

    ids = [event["event_id"] for event in first]
    assert len(set(ids)) == 3
    assert ids == [event["event_id"] for event in again]
    assert all(event_id[14] == "7" and event_id[19] in "89ab" for event_id in ids)


@pytest.mark.parametrize("line", [b"\xff\xfe\x00", b"", b"x" * 70_000, _combined("20x"), b'"' * 5_000])
def test_what_is_no_line_is_refused_without_being_repeated(line: bytes) -> None:
    done = decoded("nginx", line)

    assert (len(done.lines), len(done.rejected)) == (0, 1)
    assert "xx" not in done.rejected[0].reason


def test_invalid_utf8_in_a_line_keeps_nothing_from_being_read() -> None:
    (event,) = _events(_LAYOUT, _line(agent="caf\xe9").decode().encode("latin-1"))

    assert event["user_agent"] == "caf\ufffd"


def test_a_line_of_tomorrow_is_refused() -> None:
    done = decoded("nginx", _combined(200).replace(b"22/Nov/2026", b"02/Jan/2040"))

    assert [rejection.code for rejection in done.rejected] == ["future"]
