"""Lines become events fit to keep, or are rejected with a reason that says what to do and repeats nothing."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from bearerwatch.event import AuthEvent
from bearerwatch.ingest.clean import cleaner, printable
from bearerwatch.ingest.decode import Decoder
from bearerwatch.ingest.geo import Geo
from bearerwatch.ingest.lines import HEAD, MAX_LINE, RawLine
from bearerwatch.ingest.recent import Recent

Line = Callable[..., bytes]


def raw(line: bytes, source: str = "spool:shop", length: int = -1) -> RawLine:
    return RawLine(source, "a.jsonl", 5_000, line, length)


def one(line: bytes, now: datetime, decoder: Decoder | None = None) -> Any:
    """The one canonical event of *line*, or the one rejection."""
    decoded = (decoder or Decoder())([raw(line)], now)
    assert len(decoded.lines) + len(decoded.rejected) == 1
    return json.loads(decoded.lines[0]) if decoded.lines else decoded.rejected[0]


class TestAccepted:
    def test_what_was_sent_is_kept(self, line: Line, now: datetime) -> None:
        """Every field comes through, with when and whence it was received."""
        token = f"k{secrets.token_hex(4)}:{secrets.token_hex(16)}"
        sent = line(
            7,
            verified=True,
            duration_us=1234,
            instance="host-1",
            method="GET",
            token_id=token,
            presented_id="short:9",
            scopes="read write",
            expires_at=1_800_000_000,
            peer_ip="10.0.0.1",
            user_agent="curl/8",
            request_id="abc-DEF_123.x",
            trace_id="0af7651916cd43dd8448eb211c80319c",
            parent_request_id="b7ad6b7169203331",
        )
        kept = one(sent, now)

        assert kept.pop("received_at") == "2026-11-21T10:11:12.123456Z"
        assert kept.pop("source") == "spool:shop"
        assert kept == json.loads(sent)
        assert msgspec.json.decode(sent, type=AuthEvent)

    def test_time_in_another_zone_becomes_utc(self, line: Line, now: datetime) -> None:
        kept = one(line(ts="2026-11-21T15:41:00.5+05:30"), now)
        assert kept["ts"] == "2026-11-21T10:11:00.500000Z"

    def test_the_service_of_the_folder_if_none_is_named(self, line: Line, now: datetime) -> None:
        assert one(line(service=None), now)["service"] == "shop"

    def test_unknown_fields_are_ignored_and_counted(self, line: Line, now: datetime) -> None:
        """A younger application may know more than this collector."""
        decoder = Decoder()
        kept = one(line(shoe_size=46, nested={"a": [1]}), now, decoder)

        assert "shoe_size" not in kept
        assert decoder.counts["unknown_fields"] == 1
        assert decoder.counts["accepted"] == 1

    def test_past_events_are_taken(self, line: Line, now: datetime) -> None:
        assert one(line(ts=now - timedelta(days=3000)), now)["event_id"]

    def test_a_little_ahead_is_taken(self, line: Line, now: datetime) -> None:
        assert one(line(ts=now + timedelta(seconds=59)), now)["event_id"]

    def test_addresses_are_canonical(self, line: Line, now: datetime) -> None:
        """Two spellings of one address must not count as two."""
        kept = one(line(client_ip="::ffff:203.0.113.7", peer_ip="2001:DB8:0:0::1"), now)
        assert (kept["client_ip"], kept["peer_ip"]) == ("203.0.113.7", "2001:db8::1")

    def test_whereabouts_are_not_believed(self, line: Line, now: datetime) -> None:
        kept = one(line(country="XX", city="Atlantis", lat=1.0, lon=2.0, asn=1), now)
        assert not {"country", "city", "lat", "lon", "asn"} & kept.keys()

    def test_an_absurd_exp_is_dropped_not_the_event(self, line: Line, now: datetime) -> None:
        """The claims of a forged token are its sender's choice: they must not keep the event out."""
        for absurd in (10**400, -5, 2**53):
            assert "expires_at" not in one(line(expires_at=absurd), now)


class TestCleaned:
    def test_tokens_in_free_text(self, line: Line, now: datetime, jwt: str) -> None:
        """A raw token in any free text field does not get any further."""
        fields = ("path", "user_agent", "route", "detail", "subject_id", "client_id", "issuer", "service", "instance")
        more = ("reason", "scopes", "required_scopes", "method", "request_id")
        decoded = Decoder()([raw(line(**{name: f"x {jwt} y"})) for name in (*fields, *more)], now)

        assert len(decoded.lines) == len(fields) + len(more)
        for kept in decoded.lines:
            assert jwt[40:52].encode() not in kept
            assert jwt[-12:].encode() not in kept

    def test_a_request_id_that_is_a_token(self, line: Line, now: datetime, jwt: str) -> None:
        assert jwt[30:] not in one(line(request_id=jwt), now)["request_id"]

    def test_control_characters(self, line: Line, now: datetime) -> None:
        kept = one(line(path="/a\r\nInjected: 1\x1b[2J\u2028\x00", user_agent="\u202eevil"), now)

        assert kept["path"] == "/a\\r\\nInjected: 1\\x1b[2J\\u2028\\x00"
        assert kept["user_agent"] == "\\u202eevil"

    def test_overlong_text_is_cut_not_rejected(self, line: Line, now: datetime) -> None:
        """Else a client could keep its traces out by sending a long enough agent."""
        kept = one(line(user_agent="Mozilla " * 4_000, path="/" + "a" * 20_000), now)

        assert len(kept["user_agent"]) == 512
        assert len(kept["path"]) <= 1_024

    def test_a_token_across_the_cut_leaves_nothing(self, jwt: str) -> None:
        """Where a long text is cut, no piece of a token may stay."""
        clean = cleaner(10_000)
        for before in range(4_096 - len(jwt) - 5, 4_100, 7):
            assert jwt[60:72] not in clean("p " * (before // 2) + jwt)

    @given(st.text())
    def test_always_one_printable_line(self, text: str) -> None:
        assert printable(text).isprintable()

    def test_long_texts_are_not_remembered(self) -> None:
        """The memory for repeated texts is bounded in bytes, not only in number."""
        clean = cleaner(100, remember=4)
        assert clean("x" * 100_000) == "[100000 characters]"
        cached = clean.__closure__[0].cell_contents  # type: ignore[index]
        assert cached.cache_info().currsize == 0


class TestRejected:
    @pytest.mark.parametrize(
        ("line", "code", "word"),
        [
            (b"", "not_json", "one JSON object"),
            (b"\x00\x00\x00", "not_json", "one JSON object"),
            (b"null", "invalid", "object"),
            (b"[1]", "invalid", "object"),
            (b'"text"', "invalid", "object"),
            (b"{}", "invalid", "missing required field"),
            (b'{"kind":"auth"', "not_json", "one JSON object"),
            (b"\xff\xfe{}", "not_json", "one JSON object"),
            (b'{"kind":"auth","service":"\xc3\x28"}', "not_utf8", "UTF-8"),
            (b"[" * 60_000, "invalid", "object"),
            (b'{"x":' * 12_000, "not_json", "nested too deeply"),
            (b'{"schema_version":2}', "too_new", "upgrade the collector"),
            (b'{"schema_version":99999999999999999999}', "too_new", "upgrade the collector"),
            (b'{"kind":7,"future":[],"schema_version":3}', "too_new", "upgrade the collector"),
            (b'{"schema_version":0}', "invalid", "schema_version must be 1"),
            (b'{"schema_version":"1"}', "invalid", "schema_version must be 1"),
            (b'{"schema_version":1,"kind":"other"}', "invalid", "kind must be"),
        ],
    )
    def test_no_event_at_all(self, line: bytes, code: str, word: str, now: datetime) -> None:
        rejection = one(line, now)
        assert (rejection.code, word in rejection.reason) == (code, True), rejection.reason

    def test_two_events_on_one_line(self, line: Line, now: datetime) -> None:
        """What is left of a line whose newline was lost."""
        assert one(line(1) + line(2), now).code == "not_json"

    @pytest.mark.parametrize(
        ("field", "value", "word"),
        [
            ("ts", "yesterday", "RFC 3339"),
            ("ts", "2026-11-21T10:00:00", "with an offset"),
            ("ts", 1_763_719_872, "RFC 3339"),
            ("event_id", "1", "UUID"),
            ("outcome", "great", "outcome must be"),
            ("outcome", None, "needs an outcome"),
            ("status", "401", "HTTP status"),
            ("status", 99, "HTTP status"),
            ("status", 10**30, "HTTP status"),
            ("status", 401.5, "HTTP status"),
            ("count", -1, "count must be"),
            ("count", 0, "count must be"),
            ("count", 10**12, "count must be"),
            ("duration_us", -1, "duration_us must be"),
            ("trace_id", "xyz", "trace_id must be"),
            ("span_id", "B7AD6B7169203331", "span_id must be"),
            ("parent_request_id", "1", "parent_request_id must be"),
            ("client_ip", "203.0.113.7:80", "IP addresses"),
            ("client_ip", "9" * 5_000, "IP addresses"),
            ("peer_ip", "localhost", "IP addresses"),
            ("verified", "yes", "bool"),
            ("path", 5, "str"),
            ("path", {"a": 1}, "str"),
            ("expires_at", 1.5, "int"),
        ],
    )
    def test_wrong_values(self, line: Line, now: datetime, field: str, value: Any, word: str) -> None:
        rejection = one(line(**{field: value}), now)
        assert word in rejection.reason
        assert rejection.code == "invalid"

    def test_a_raw_token_where_its_id_belongs(self, line: Line, now: datetime, jwt: str) -> None:
        for field in ("token_id", "token_id_prev", "presented_id"):
            rejection = one(line(**{field: jwt}), now)
            assert "never a token" in rejection.reason
            assert jwt[:12] not in rejection.reason

    def test_reasons_repeat_nothing_of_the_line(self, line: Line, now: datetime) -> None:
        secret = secrets.token_urlsafe(24)
        for field in AuthEvent.__struct_fields__:
            for value in (secret, {secret: 1}, [secret]):
                decoded = Decoder()([raw(line(**{field: value}))], now)
                assert all(secret not in rejection.reason for rejection in decoded.rejected)

    def test_future_dated(self, line: Line, now: datetime) -> None:
        for ahead in (timedelta(seconds=61), timedelta(days=365_000)):
            assert one(line(ts=now + ahead), now).code == "future"

    def test_extreme_times_with_extreme_offsets(self, line: Line, now: datetime) -> None:
        """Beyond what can be turned into UTC."""
        assert one(line(ts="0001-01-01T00:00:00+23:59"), now).code == "past"
        assert one(line(ts="9999-12-31T23:59:59-23:59"), now).code == "future"

    def test_older_than_kept(self, line: Line, now: datetime) -> None:
        """What retention would drop at once is not taken, rather than taken and lost in silence."""
        decoder = Decoder(oldest=timedelta(days=30))
        rejection = one(line(ts=now - timedelta(days=31)), now, decoder)
        assert (rejection.code, "--retain" in rejection.reason) == ("past", True)

    def test_heads_of_overlong_lines(self, now: datetime) -> None:
        decoded = Decoder()([raw(b"x" * HEAD, length=10 << 20), raw(b" " * (MAX_LINE + 1))], now)
        assert [rejection.code for rejection in decoded.rejected] == ["too_long", "too_long"]

    @given(st.binary(max_size=200))
    @settings(max_examples=150)
    def test_any_bytes_are_one_of_the_three(self, data: bytes) -> None:
        decoded = Decoder()([raw(data)], datetime(2026, 1, 1, tzinfo=UTC))
        assert len(decoded.lines) + len(decoded.rejected) + decoded.duplicates == 1

    @given(
        st.dictionaries(
            st.sampled_from(AuthEvent.__struct_fields__),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
                max_leaves=5,
            ),
        )
    )
    @settings(max_examples=150)
    def test_any_values_are_survived(self, values: dict[str, Any]) -> None:
        """Whatever stands in the fields: accepted ones can be read again as an event, on one line."""
        base = {
            "schema_version": 1,
            "kind": "audit",
            "event_id": "01890a5d-ac96-774b-bcce-b302099a8057",
            "ts": "2026-01-01T00:00:00Z",
        }
        data = json.dumps(base | values).encode()
        decoded = Decoder()([raw(data)], datetime(2026, 1, 1, tzinfo=UTC))
        for kept in decoded.lines:
            assert b"\n" not in kept
            read = msgspec.json.decode(kept, type=AuthEvent)
            assert all(text.isprintable() for text in msgspec.structs.astuple(read) if isinstance(text, str))


class TestDuplicates:
    def test_the_same_line_again(self, line: Line, now: datetime) -> None:
        decoder, sent = Decoder(), line()
        first = decoder([raw(sent)], now)
        again = decoder([raw(sent), raw(line(1)), raw(sent)], now)

        assert (len(first.lines), first.duplicates) == (1, 0)
        assert (len(again.lines), again.duplicates) == (1, 2)
        assert decoder.counts["duplicates"] == 2

    def test_the_same_line_of_another_source_is_another(self, line: Line, now: datetime) -> None:
        """Nobody can suppress another's events by sending copies of them first."""
        sent = line()
        decoded = Decoder()([raw(sent, "http:mallory"), raw(sent, "spool:shop")], now)
        assert len(decoded.lines) == 2

    def test_the_same_id_with_other_content_is_another(self, line: Line, now: datetime) -> None:
        same = {"event_id": "01890a5d-ac96-774b-bcce-b302099a8057"}
        decoded = Decoder()([raw(line(1, **same)), raw(line(2, **same))], now)
        assert len(decoded.lines) == 2

    def test_memory_is_bounded(self) -> None:
        recent = Recent(100)
        for number in range(1_000):
            assert not recent.seen("s", b"%d" % number)
        assert recent.seen("s", b"950")
        assert not recent.seen("s", b"0")
        assert len(recent._young) + len(recent._old) <= 200


class TestPlaces:
    def test_country_and_network_of_the_client(self, line: Line, now: datetime, tmp_path: Path) -> None:
        path = tmp_path / "geo.mmdb"
        writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="test")
        writer.insert_network(IPSet(["203.0.113.0/24"]), {"country_code": "NL", "autonomous_system_number": 64500})
        writer.to_db_file(str(path))
        geo = Geo([path])
        kept = one(line(client_ip="203.0.113.7", peer_ip="198.51.100.1"), now, Decoder(geo))
        geo.close()

        assert (kept["country"], kept["asn"]) == ("NL", 64500)
