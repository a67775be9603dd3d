"""Lines that say just what an honest writer says: told at a glance, and taken as they are.

Nearly every line that arrives is one that the sinks of this product wrote, of a service, a route, an agent that were
seen before. For such a line :class:`~bearerwatch.ingest.decode.Decoder` would find nothing to change, and finding that
nothing takes most of its time. So here a line is *plain* if

- it is, byte for byte, in the form in which :func:`bearerwatch.formats.ndjson.encode` writes an event: its fields in
  their order, none of them twice, none that is unknown, none that says its default, no space, no escape;
- what has a form of its own (ids, times, numbers, the outcome) has that, within the bounds that the decoder knows;
- and each text in it is one of which the decoder's own cleaning was seen to change nothing.

Of every other line this says that it is not plain, and no more: it goes through the decoder, whatever it is. So a line
may be held for odd that is not, but never the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from bearerwatch.context import live
from bearerwatch.event import REASONS, Outcome
from bearerwatch.ingest.clean import CLEANERS, canonical_address
from bearerwatch.ingest.geo import Geo, Place
from bearerwatch.redact.gate import PREFILTER

__all__ = ["STAMP", "Found", "Plain"]

_KNOWN, _HELD = 16_384, 2 << 20
"""Texts of each kind that are remembered at most, and their bytes."""
_LONGEST = 256
"""Longest text in bytes, its name included, that is looked at together with others: no bound is less."""
_FEW = 16
"""Texts that are looked at one by one."""

_TEXT = '"[^"]*+"'
_FINGERPRINT = '"(?:k[0-9a-f]{8}:[0-9a-f]{32}|short:[0-9]{1,2})"'
# RFC 3339 with microseconds, in UTC: so the order of texts is that of times. The 29th of February is of leap years,
# which those of this century are all by four.
_DATE = (
    "20[0-9]{2}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    "|20(?:[02468][048]|[13579][26])-02-29"
)
_TS = f'"(?:{_DATE})T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\\.[0-9]{{6}}Z"'


def _field(name: str, value: str, *, must: bool = False) -> str:
    return f',"{name}":{value}' if must else f'(?:,"{name}":{value})?+'


def _group(*fields: str) -> str:
    return f"({''.join(fields)})"


def _either(name: str, form: str) -> str:
    """A field of that form, which says nothing but itself, or a text like others."""
    return f'(?:,"{name}":{form}|(,"{name}":{_TEXT}))?+'


# Few words that say nothing but themselves, and stand in most lines; what follows must not be part of them.
_USUAL = ',"scheme":"(?:bearer|dpop)","token_kind":"(?:jwt|opaque)","token_source":"(?:header|cookie|query)"'
# Each group is one text, or several whose combinations are few; of one that may be missing it is empty then.
_LINE = re.compile(
    "".join(
        (
            r'\{"schema_version":1,"kind":"auth","event_id":',
            '"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"',
            _field("ts", _TS, must=True),
            _field("outcome", f'"(?:{"|".join(Outcome)})"', must=True),
            _either("reason", f'"(?:{"|".join(REASONS)})"'),
            _field("verified", "true"),
            _field("status", "[1-9][0-9]{2}"),
            _field("duration_us", "(?:0|[1-9][0-9]{0,12}+)"),
            _field("count", "(?:[1-9][0-9]{1,8}+|[2-9])"),
            _group(
                _field("service", _TEXT, must=True),
                _field("instance", _TEXT),
                _field("method", _TEXT),
                _field("route", _TEXT),
            ),
            _group(_field("path", _TEXT)),
            _field("token_id", _FINGERPRINT),
            _field("token_id_prev", _FINGERPRINT),
            _field("presented_id", _FINGERPRINT),
            f"(?:{_USUAL}|",
            _group(_field("scheme", _TEXT), _field("token_kind", _TEXT), _field("token_source", _TEXT)),
            ")",
            _either("subject_id", '"sub:k[0-9a-f]{8}:[0-9a-f]{32}"'),  # a pseudonym, or as it is
            _group(
                _field("client_id", _TEXT),
                _field("issuer", _TEXT),
                _field("scopes", _TEXT),
                _field("required_scopes", _TEXT),
            ),
            _field("expires_at", "(?:0|[1-9][0-9]{0,14}+)"),
            '(?:,"client_ip":"([^"]++)")?+',
            '(?:,"peer_ip":"([^"]++)")?+',
            _group(_field("user_agent", _TEXT)),
            _either("request_id", '"[0-9a-f-]{8,36}+"'),
            _field("trace_id", '"[0-9a-f]{32}"'),
            _field("span_id", '"[0-9a-f]{16}"'),
            _field("parent_request_id", '"[0-9a-f]{16}"'),
            r"\}",
        )
    ).encode()
)
_CLIENT, _PEER = 6, 7
_SPANS = tuple(group for group in range(_LINE.groups) if group not in {_CLIENT, _PEER})
_BEGINS = len('{"schema_version":1,"kind":"auth","event_id":"00000000-0000-0000-0000-000000000000","ts":"')
STAMP = slice(_BEGINS, _BEGINS + len("2026-01-31T12:00:00.000000Z"))
"""Where a plain line says its time: RFC 3339 with microseconds, in UTC."""
_AT_ONCE = {2: len(',"path":"'), 4: len(',"subject_id":"'), 8: len(',"user_agent":"'), 9: len(',"request_id":"')}
"""Groups whose texts may all be different, and where in them the text begins: many are looked at together."""


class Found(NamedTuple):
    """What some lines are."""

    odd: Sequence[int]
    """Numbers of those that are not plain, ascending."""
    places: list[bytes] | None
    """For each line what the place of its caller adds to it, such as ``,"country":"NL"``; None if nothing does."""


class Plain:
    """Tells plain lines from others. What it has seen to be clean it remembers, within bounds.

    Args:
        geo: where addresses are; nowhere if not given.
    """

    def __init__(self, geo: Geo | None = None) -> None:
        self._geo = geo
        self._generation = -1
        self._known: dict[int, set[bytes]] = {group: {b""} for group in _SPANS}
        self._held: dict[int, int] = dict.fromkeys(_SPANS, 0)
        self._places: dict[bytes, bytes] = {}
        self._peers: set[bytes] = {b""}
        self._decode = msgspec.json.Decoder(dict[str, str]).decode
        self._encode = msgspec.json.Encoder().encode

    def __call__(self, lines: Sequence[bytes], oldest: datetime, latest: datetime) -> Found:
        """What *lines* are; of one that is older than *oldest* or younger than *latest* that it is not plain."""
        matches = list(map(_LINE.fullmatch, lines))
        numbers: Sequence[int] = range(len(lines))
        odd: set[int] = set()
        if None in matches:
            numbers = [number for number, match in enumerate(matches) if match is not None]
            odd = {number for number, match in enumerate(matches) if match is None}
        if not numbers:
            return Found(sorted(odd), None)
        columns = list(zip(*[match.groups(b"") for match in matches if match is not None], strict=True))
        for group in _SPANS:
            new = set(columns[group]) - self._known[group]
            if new and (wrong := self._unclean(group, new)):
                odd |= {number for number, text in zip(numbers, columns[group], strict=True) if text in wrong}
        clients = columns[_CLIENT]
        wrong = self._unlocated(set(clients)) | self._unknown(set(columns[_PEER]))
        if wrong:
            both = zip(numbers, clients, columns[_PEER], strict=True)
            odd |= {number for number, client, peer in both if client in wrong or peer in wrong}
        stamps = [lines[number][STAMP] for number in numbers]
        first, last = (f"{at:%Y-%m-%dT%H:%M:%S.%f}Z".encode() for at in (oldest, latest))
        if min(stamps) < first or max(stamps) > last:
            odd |= {number for number, at in zip(numbers, stamps, strict=True) if not first <= at <= last}
        return Found(sorted(odd), self._added(lines, numbers, clients))

    def _added(self, lines: Sequence[bytes], numbers: Sequence[int], clients: Sequence[bytes]) -> list[bytes] | None:
        if self._geo is None:
            return None
        known = self._places
        found = [known.get(client, b"") for client in clients]
        if len(found) == len(lines):
            return found
        added = [b""] * len(lines)
        for number, place in zip(numbers, found, strict=True):
            added[number] = place
        return added

    def _unclean(self, group: int, new: set[bytes]) -> set[bytes]:
        """Those of the *new* texts of a group that cleaning would change. The others are known from now on."""
        start = _AT_ONCE.get(group)
        texts = list(new)
        wrong = set(self._odd_ones(texts) if start is None else self._odd_among(texts, start))
        clean = new - wrong
        size = sum(map(len, clean))
        if len(self._known[group]) + len(clean) > _KNOWN or self._held[group] + size > _HELD:
            self._known[group], self._held[group] = {b""}, 0
        if len(clean) < _KNOWN and size <= _HELD:
            self._known[group] |= clean
            self._held[group] += size
        return wrong

    def _odd_ones(self, spans: Iterable[bytes]) -> list[bytes]:
        return [span for span in spans if not self._clean(span)]

    def _clean(self, span: bytes) -> bool:
        """Whether cleaning leaves all texts in ``,"name":"text",…`` as they are."""
        if b"\\" in span:
            return False
        try:
            texts = self._decode(b"{" + span[1:] + b"}")
        except ValueError:  # no UTF-8, or a control character
            return False
        return all(CLEANERS[name](text) == text for name, text in texts.items())

    def _odd_among(self, spans: list[bytes], start: int) -> list[bytes]:
        """The same as :meth:`_odd_ones`; most are found to be fine together, without a look at each."""
        if len(spans) <= _FEW:
            return self._odd_ones(spans)
        if _quiet(spans, start):
            return []
        middle = len(spans) // 2
        return self._odd_among(spans[:middle], start) + self._odd_among(spans[middle:], start)

    def _unlocated(self, clients: set[bytes]) -> set[bytes]:
        """Those that are no addresses in canonical form. Where the others are is known from now on."""
        geo, places = self._geo, self._places
        if geo is not None and geo.generation != self._generation:
            self._generation = geo.generation
            places.clear()
        new = {address for address in clients if address not in places}  # a set less keys would go through all keys
        if not new:
            return set()
        if len(places) + len(new) > _KNOWN * 4:
            places.clear()
            new = clients
        wrong = {address for address in new if address and not _canonical(address)}
        if geo is None:
            places.update(dict.fromkeys(new - wrong, b""))
        else:
            for address in new - wrong:
                places[address] = self._told(geo(address.decode())) if address else b""
        return wrong

    def _told(self, place: Place) -> bytes:
        """What is known of a place, as it is added to an event."""
        known = {name: value for name, value in place._asdict().items() if value is not None}
        return b"," + self._encode(known)[1:-1] if known else b""

    def _unknown(self, peers: set[bytes]) -> set[bytes]:
        """Those that are no addresses in canonical form."""
        new = peers - self._peers
        wrong = {address for address in new if not _canonical(address)}
        if len(self._peers) + len(new) > _KNOWN:
            self._peers = {b""}
        self._peers |= new - wrong
        return wrong


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}".encode()).fullmatch


def _canonical(address: bytes) -> bool:
    if _IPV4(address):
        return True
    try:
        text = address.decode("ascii")
        return canonical_address(text) == text
    except ValueError:
        return False


def _quiet(spans: Sequence[bytes], start: int) -> bool:
    """Whether there is surely nothing in any of many texts that cleaning would change.

    Only Hyperscan can say so of many at once: of what holds nothing that may be a token no part does, for none of its
    expressions asks for a text's end, and where one asks for its beginning that of a line will do.
    """
    if live or max(map(len, spans)) > _LONGEST:
        return False
    joined = b"\n".join([span[start:-1] for span in spans])
    if not joined.isascii() or b"\\" in joined or joined.count(b"\n") != len(spans) - 1:
        return False
    text = joined.decode("ascii")
    return text.replace("\n", "").isprintable() and PREFILTER(text) == []
