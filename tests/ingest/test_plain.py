"""Lines that are told at a glance become what they become one by one, and nothing that is odd passes for plain."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

import fakes
from bearerwatch.event import REASONS, AuthEvent, Kind, Outcome
from bearerwatch.fingerprint import KeyRing
from bearerwatch.formats.ndjson import encode
from bearerwatch.ingest import plain as plain_module
from bearerwatch.ingest.clean import CLEANERS
from bearerwatch.ingest.decode import Decoded, Decoder
from bearerwatch.ingest.geo import Geo
from bearerwatch.ingest.lines import RawLine, Slice
from bearerwatch.ingest.plain import _HELD, _KNOWN, Plain
from bearerwatch.ingest.told import Told
from bearerwatch.redact.gate import _expressions
from bearerwatch.redact.views import HIDING

NOW = datetime(2026, 11, 21, 10, 11, 12, 123456, tzinfo=UTC)
TEXTS = tuple(name for name in CLEANERS if name != "detail")
RING = KeyRing([b"k" * 32])


def full(draw: random.Random, **changes: Any) -> AuthEvent:
    """An event as the application side makes it, with every field it may have."""
    values: dict[str, Any] = {
        "kind": Kind.AUTH,
        "event_id": f"01890a5d-ac96-774b-bcce-{draw.getrandbits(48):012x}",
        "ts": NOW - timedelta(microseconds=draw.randrange(1, 10**9)),
        "outcome": draw.choice(list(Outcome)),
        "reason": draw.choice(sorted(REASONS)),
        "verified": draw.random() < 0.5,
        "status": draw.randrange(100, 1_000),
        "duration_us": draw.choice((0, 1, 10**13 - 1)),
        "count": draw.choice((1, 2, 10, 19, 10**9 - 1)),
        "service": "shop",
        "instance": "host-7",
        "method": "GET",
        "route": "/orders/{id}",
        "path": f"/orders/{draw.randrange(10**6)}",
        "token_id": RING.token_id(fakes.opaque()),
        "token_id_prev": draw.choice((None, RING.token_id(fakes.opaque()))),
        "presented_id": draw.choice((RING.token_id("short"), RING.token_id(fakes.opaque()))),
        "scheme": draw.choice(("bearer", "dpop", "basic")),
        "token_kind": "jwt",
        "token_source": draw.choice(("header", "form")),
        "subject_id": draw.choice((f"user-{draw.randrange(10**6)}", RING.pseudonym("sub", "somebody"))),
        "client_id": "app",
        "issuer": "https://issuer.example",
        "scopes": "orders:read orders:write",
        "required_scopes": draw.choice((None, "orders:read")),
        "expires_at": draw.choice((0, 1_900_000_000, 10**15 - 1, 2**53)),
        "client_ip": draw.choice(("203.0.113.7", "2001:db8::7", f"198.51.100.{draw.randrange(256)}")),
        "peer_ip": "10.0.0.1",
        "user_agent": draw.choice(("curl/8", "Mozilla/5.0 (X11; Linux x86_64)", "ein Gerät")),
        "request_id": draw.choice((f"01890a5d-{draw.getrandbits(16):04x}", "abc-DEF_123.x")),
        "trace_id": f"{draw.getrandbits(128):032x}",
        "span_id": f"{draw.getrandbits(64):016x}",
        "parent_request_id": f"{draw.getrandbits(64):016x}",
    }
    for name in list(values)[4:]:
        if draw.random() < 0.2 and name != "count":
            values[name] = None if name != "verified" else False
    return AuthEvent(**(values | changes))


def both(lines: list[bytes], **options: Any) -> tuple[Decoded, Decoded, Decoder]:
    """What *lines* are, at a glance where that is enough, and line by line."""
    raws = [RawLine("spool:shop", "a.jsonl", 100 * (n + 1), line) for n, line in enumerate(lines)]
    quick, slow = Decoder(**options), Decoder(**options)
    slow.told = Told()  # which has every line looked at by itself
    return quick(raws, NOW), slow(raws, NOW), quick


def same(lines: list[bytes], **options: Any) -> Decoded:
    """What *lines* are, if both ways say the same."""
    quick, slow, _ = both(lines, **options)
    assert [json.loads(line) for line in quick.lines] == [json.loads(line) for line in slow.lines]
    assert quick.rejected == slow.rejected
    assert (quick.duplicates, quick.newest) == (slow.duplicates, slow.newest)
    return quick


def plain(line: bytes) -> bool:
    return not Plain()([line], NOW - timedelta(days=30), NOW).odd


USUAL = full(
    random.Random(1),
    reason="past_exp",
    count=1,
    token_id_prev=None,
    scheme="bearer",
    token_kind="jwt",
    token_source="header",
    user_agent="curl/8",
    request_id="01890a5d-ac96-774b-bcce-b302099a8057",
    expires_at=1_900_000_000,
    path="/orders/7",
    service="shop",
    instance="host-7",
    client_ip="203.0.113.7",
    issuer="https://issuer.example",
)
LINE = encode(USUAL)


class TestPlain:
    def test_what_the_application_side_writes_is_plain(self) -> None:
        assert plain(LINE)
        draw = random.Random(7)
        for _ in range(300):
            event = full(draw, service="shop", user_agent="curl/8", expires_at=None)
            assert plain(encode(event)), encode(event)

    def test_a_line_without_anything_optional_is_plain(self) -> None:
        least = AuthEvent(Kind.AUTH, USUAL.event_id, USUAL.ts, Outcome.ANONYMOUS, service="shop")
        assert plain(encode(least))

    @pytest.mark.parametrize("text", sorted(REASONS))
    def test_a_reason_of_ours_is_nothing_cleaning_would_change(self, text: str) -> None:
        assert CLEANERS["reason"](text) == text

    def test_a_pseudonym_and_a_request_id_are_nothing_cleaning_would_change(self) -> None:
        for number in range(500):
            text = RING.pseudonym("sub", str(number))
            assert CLEANERS["subject_id"](text) == text

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"kind":"auth"', b'"kind":"audit"'),
            (b'"schema_version":1', b'"schema_version":1.0'),
            (b'"schema_version":1', b'"schema_version":2'),
            (b',"outcome"', b', "outcome"'),
            (b',"outcome"', b',"kind":"leak","outcome"'),
            (b',"service":"shop"', b',"service":"shop","service":"other"'),
            (b',"service":"shop"', b""),
            (b',"service":"shop"', b',"service":null'),
            (b',"service":"shop"', b',"service":7'),
            (b',"service":"shop"', b',"service":"sh\\u006fp"'),
            (b',"service":"shop"', b',"service":"sh\\"op"'),
            (b',"service":"shop"', b',"service":"shop\\",\\"route\\":\\"/x"'),
            (b',"service":"shop"', b',"service":"sh\x7fop"'),
            (b',"service":"shop"', b',"service":"sh\x01op"'),
            (b',"service":"shop"', b',"service":"sh\xffop"'),
            (b',"service":"shop"', b',"service":"sh\xe2\x80\xa8op"'),
            (b',"service":"shop"', b',"service":"\xc3\xa4"'),
            (b',"service":"shop"', b',"service":"%s"' % (b"x" * 257)),
            (b',"service":"shop"', b',"service":"shop","more":{"a":[1]}'),
            (b',"service":"shop"', b',"service":"shop","country":"XX"'),
            (b'"path":"/orders/7"', b'"path":"%s"' % (b"/x" * 513)),
            (b'"path":"/orders/7"', b'"path":"/orders/7","path":"/orders/8"'),
            (b'"path":"/orders/7"', b'"path":["/orders/7"]'),
            (b'"request_id":"', b'"request_id":"01890a5d","request_id":"'),
            (b'"client_ip":"203.0.113.7"', b'"client_ip":"203.0.113.07"'),
            (b'"client_ip":"203.0.113.7"', b'"client_ip":"::ffff:203.0.113.7"'),
            (b'"client_ip":"203.0.113.7"', b'"client_ip":"203.0.113.7:80"'),
            (b'"client_ip":"203.0.113.7"', b'"client_ip":""'),
            (b'"peer_ip":"10.0.0.1"', b'"peer_ip":""'),
            (b'"client_ip":"203.0.113.7"', b'"client_ip":"\xff"'),
            (b'"}', b'"} '),
            (b'"}', b'"}}'),
            (b'"}', b'","verified":true}'),
            (b'"}', b'"'),
        ],
    )
    def test_an_odd_line_is_not_and_comes_out_as_ever(self, old: bytes, new: bytes) -> None:
        assert LINE.count(old) == 1
        odd = LINE.replace(old, new)
        assert not plain(odd) or (old == b',"service":"shop"' and "ä".encode() in new)
        same([LINE, odd, LINE, odd])

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(("ts", f'"{text}"') for text in (
                "2026-11-21T10:11:12Z", "2026-11-21T10:11:12.5Z", "2026-11-21T10:11:12.000000+00:00",
                "2026-02-29T10:11:12.000000Z", "2026-13-01T10:11:12.000000Z", "2026-04-31T10:11:12.000000Z",
                "2026-11-21T24:00:00.000000Z", "2026-11-21T23:59:60.000000Z", "2026-11-21 10:11:12.000000Z",
                "1999-11-21T10:11:12.000000Z", "2026-11-21T10:13:12.000000Z", "20026-11-21T10:11:12.000000Z",
            )),
            *(("status", text) for text in ("99", "1000", "0200", "200.0", '"200"', "2e2", "null")),
            *(("duration_us", text) for text in ("-1", "01", "10000000000000000", "1.5", "NaN")),
            *(("count", text) for text in ("0", "1", "-1", "01", "1000000001", "true")),
            *(("expires_at", text) for text in ("-1", "01", "9007199254740992", "1e9", '"1"')),
            *(("verified", text) for text in ("false", "1", '"true"', "null")),
            *(("outcome", text) for text in ("null", '"fine"', '"SUCCESS"')),
            *(("token_id", f'"{text}"') for text in ("k1a2b3c4d", "short:100", "x", "")),
            *(("event_id", f'"{text}"') for text in ("x", "01890A5D-AC96-774B-BCCE-B302099A8057", "0" * 36)),
            *(("trace_id", f'"{text}"') for text in ("x", "A" * 32, "a" * 31)),
        ],
    )  # fmt: skip
    def test_an_odd_value_is_not_and_comes_out_as_ever(self, field: str, value: str) -> None:
        values = json.loads(LINE) | {"count": 2, "verified": True, "trace_id": "a" * 32, "token_id": USUAL.token_id}
        order = ("schema_version", *AuthEvent.__struct_fields__)
        texts = {name: json.dumps(values[name]) for name in order if values.get(name) is not None}
        texts[field] = value
        odd = ("{" + ",".join(f'"{name}":{texts[name]}' for name in order if name in texts) + "}").encode()
        assert not plain(odd)
        same([LINE, odd], oldest=timedelta(days=30))

    def test_the_last_day_of_february_in_a_leap_year(self) -> None:
        then = datetime(2028, 2, 29, 12, tzinfo=UTC) + timedelta(microseconds=1)
        line = encode(AuthEvent(Kind.AUTH, USUAL.event_id, then, Outcome.SUCCESS, service="shop"))
        assert not Plain()([line], then - timedelta(days=1), then + timedelta(days=1)).odd

    def test_bounds_of_time_are_those_of_the_decoder(self) -> None:
        oldest = timedelta(days=1)
        edges = (NOW + timedelta(seconds=60), NOW - oldest)
        step = timedelta(microseconds=1)
        lines = [
            encode(full(random.Random(n), ts=ts))
            for n, ts in enumerate((edges[0], edges[0] + step, edges[1], edges[1] - step))
        ]
        decoded = same(lines, oldest=oldest)
        assert [one.code for one in decoded.rejected] == ["future", "past"]


class TestTokens:
    @pytest.mark.parametrize("name", TEXTS)
    @pytest.mark.parametrize("accel", [True, False])
    def test_a_token_in_one_of_many_lines_goes_no_further(
        self, name: str, accel: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Be it alone, at either end or amid a text, and whether texts are looked at together or one by one."""
        if accel:
            assert plain_module.PREFILTER.ready()
        else:
            monkeypatch.setattr(plain_module, "PREFILTER", lambda _: None)
        for number, shape in enumerate(("{}", "x {}", "{} x", "/a/{}/b")):
            draw = random.Random(number)
            token = fakes.jwt({"sub": str(number)})
            lines = [
                encode(full(draw, **{name: f"text-{n}"}, **({} if name == "service" else {"service": "shop"})))
                for n in range(60)
            ]
            lines[17] = encode(full(draw, **({"service": "shop"} | {name: shape.format(token)})))
            decoded = same(lines)
            assert len(decoded.lines) == 60
            assert not fakes.leaked(token, *decoded.lines)

    def test_a_scheme_and_its_token_at_the_beginning_of_a_text(self) -> None:
        """Among many texts its beginning is that of a line."""
        assert plain_module.PREFILTER.ready()
        for words in ("Bearer {}", "Basic {}", "token={}", "--password={}", "password: {}", "mysql -p{}", "PASS {}"):
            token = fakes.opaque()
            lines = [encode(full(random.Random(n), path=f"/{n}")) for n in range(40)]
            lines[20] = encode(full(random.Random(99), path=words.format(token)))
            assert not fakes.leaked(token, *same(lines).lines)

    def test_no_expression_asks_for_a_texts_end_and_for_its_beginning_a_lines_will_do(self) -> None:
        """That is why many texts can be asked about together."""
        for number, expression in _expressions(HIDING):
            bare = re.sub(r"\[\^?\]?[^\]]*\]", "", re.sub(r"\\.", "", expression))
            assert "$" not in bare, number
            assert not re.search(r"(?<!\\)(?:\\\\)*\\[AzZ]", expression), number
            beginnings = re.findall(r"\(\?:\^\|(\[(?:\\.|[^\]])*\])", expression)
            assert bare.count("^") == len(beginnings), number
            for other in beginnings:
                assert re.match(other, "\n"), number


class TestSame:
    @given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(0, 999), st.binary(max_size=3)), max_size=4))
    @settings(max_examples=150, deadline=None)
    def test_changed_bytes(self, seed: int, changes: list[tuple[int, bytes]]) -> None:
        """Valid lines, and the same with some bytes put in, taken away or exchanged."""
        draw = random.Random(seed)
        lines = [encode(full(draw)) for _ in range(3)]
        changed = lines[0]
        for at, more in changes:
            place = at % len(changed)
            changed = changed[:place] + more + changed[place + draw.randrange(3) :]
        same([*lines, changed, lines[draw.randrange(3)]])

    @given(st.integers(0, 2**32), st.sampled_from(TEXTS), st.text(max_size=300))
    @settings(max_examples=150, deadline=None)
    def test_any_text(self, seed: int, name: str, text: str) -> None:
        draw = random.Random(seed)
        same([json.dumps(json.loads(encode(full(draw))) | {name: text}, separators=(",", ":")).encode() for _ in "ab"])
        with suppress(UnicodeEncodeError):  # half a pair of surrogates, which no application can write
            same([encode(full(draw, **{name: text})) for _ in "ab"])

    def test_many_lines_of_several_sources_keep_their_order(self) -> None:
        draw = random.Random(3)
        slices = [
            Slice(f"spool:{source}", "a.jsonl", 0, [encode(full(draw)) for _ in range(count)])
            for source, count in (("a", 3), ("b", 2), ("b", 1), ("a", 4))
        ]
        slow = Decoder()
        slow.told = Told()
        quick = Decoder().slices(slices, NOW)
        assert quick.lines
        assert [json.loads(line) for line in quick.lines] == [
            json.loads(line) for line in slow.slices(slices, NOW).lines
        ]
        assert {json.loads(line)["source"] for line in quick.lines} == {"spool:a", "spool:b"}

    def test_repeats_are_told_whichever_way_they_come(self) -> None:
        decoder, draw = Decoder(), random.Random(5)
        usual = [encode(full(draw, user_agent="curl/8")) for _ in range(5)]
        odd = [encode(full(draw, user_agent="ein\nGerät")) for _ in range(2)]
        source = "spool:shop"
        assert len(decoder.slices([Slice(source, "a", 0, usual)], NOW).lines) == 5
        again = decoder.slices([Slice(source, "b", 0, [usual[2], *odd, usual[3]])], NOW)
        assert (len(again.lines), again.duplicates) == (2, 2)
        assert decoder.slices([Slice(source, "c", 0, odd)], NOW).duplicates == 2
        assert decoder.slices([Slice(source, "c", 0, [encode(full(draw))] * 3)], NOW).duplicates == 2

    def test_a_rejected_line_has_its_place_in_the_segment(self) -> None:
        draw = random.Random(6)
        good = [encode(full(draw)) for _ in range(4)]
        lines = [good[0], b"nonsense", good[1], b"x" * 70_000, good[2]]
        (first, second) = Decoder().slices([Slice("spool:shop", "a", 1_000, lines)], NOW).rejected
        assert (first.raw.offset, first.code) == (1_000 + len(good[0]) + 1, "not_json")
        assert (second.raw.offset, second.code) == (first.raw.end + len(good[1]) + 1, "too_long")


class TestBounds:
    def test_a_flood_of_new_texts_is_not_remembered(self) -> None:
        known = Plain()
        lines = [
            LINE.replace(b'"shop"', b'"shop-%d"' % n).replace(b"203.0.113.7", b"10.%d.%d.1" % (n >> 8, n & 255))
            for n in range(40_000)
        ]
        for start in range(0, len(lines), 10_000):
            assert not known(lines[start : start + 10_000], NOW - timedelta(days=1), NOW).odd
            assert max(map(len, known._known.values())) <= _KNOWN
            assert len(known._peers) <= _KNOWN
            assert len(known._places) <= 4 * _KNOWN

    def test_nor_are_many_long_ones(self) -> None:
        known = Plain()
        for start in range(0, 5_000, 1_000):
            scopes = (b'"scopes":"%s' % (b"read:%d " % n * 150) for n in range(start, start + 1_000))
            lines = [LINE.replace(b'"scopes":"', some) for some in scopes]
            assert not known(lines, NOW - timedelta(days=1), NOW).odd
            assert max(sum(map(len, texts)) for texts in known._known.values()) <= _HELD


class TestPlaces:
    @pytest.fixture
    def located(self, tmp_path: Path) -> Callable[[str], Path]:
        def write(country: str) -> Path:
            path = tmp_path / "geo.mmdb"
            writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="test")
            writer.insert_network(IPSet(["203.0.113.0/24"]), {"country_code": country, "asn": "AS64500"})
            writer.insert_network(IPSet(["2001:db8::/32"]), {"country": "DE", "lat": 52.5, "lng": 13.4, "city": "B"})
            writer.to_db_file(str(path))
            return path

        return write

    def test_each_event_has_the_place_of_its_caller(self, located: Callable[[str], Path]) -> None:
        geo = Geo([located("NL")])
        draw = random.Random(9)
        lines = [encode(full(draw, user_agent="curl/8")) for _ in range(50)]
        lines[3] = b"nonsense"
        decoded = same(lines, geo=geo)
        geo.close()
        found = [json.loads(line) for line in decoded.lines]
        assert {event.get("country") for event in found} == {"NL", "DE", None}
        for event in found:
            inside = event.get("client_ip") == "203.0.113.7"
            assert (event.get("country") == "NL") == inside
            assert (event.get("asn") == 64500) == inside

    def test_a_new_file_of_places_is_believed_at_once(self, located: Callable[[str], Path]) -> None:
        geo = Geo([located("NL")])
        decoder = Decoder(geo)
        (before,) = decoder.slices([Slice("spool:shop", "a", 0, [LINE])], NOW).lines
        located("FR")
        assert geo.reload()
        other = LINE.replace(b"/orders/7", b"/orders/8")
        (after,) = decoder.slices([Slice("spool:shop", "a", 0, [other])], NOW).lines
        geo.close()
        assert (json.loads(before)["country"], json.loads(after)["country"]) == ("NL", "FR")
