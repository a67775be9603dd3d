"""From a line to an event fit to keep: validated, bounded, redacted again, with its place on the map.

What an honest application cannot have produced is rejected, with the reason; what an attacker can make an
honest application produce (odd paths, agents, claims) is cleaned instead, so that nobody can keep their own
traces out by making them ugly.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from bearerwatch.event import REPEATED, SCHEMA_VERSION, AuthEvent, Kind
from bearerwatch.ingest.clean import CLEANERS, canonical_address
from bearerwatch.ingest.geo import Geo
from bearerwatch.ingest.lines import MAX_LINE, RawLine, Slice
from bearerwatch.ingest.plain import STAMP, Found, Plain
from bearerwatch.ingest.recent import Recent
from bearerwatch.ingest.told import Told

__all__ = ["Decoded", "Decoder", "Rejection"]

_TOKEN_ID = Annotated[str, Meta(pattern=r"^(?:k[0-9a-f]{8}:[0-9a-f]{32}|short:[0-9]{1,2})\Z")]
_HEX32 = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
_HEX16 = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
_PLAIN_ID = re.compile(r"[0-9a-f-]{8,36}\Z").match
_MAX_NUMERIC_DATE = 2**53
"""Beyond this JSON numbers lose digits (RFC 8259 §6); such an ``exp`` says nothing."""


class _Wire(AuthEvent, frozen=True, forbid_unknown_fields=True):
    """An event as it may arrive: the bounds are checked where it is parsed."""

    event_id: Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")]
    ts: Annotated[datetime, Meta(tz=True)]
    status: Annotated[int, Meta(ge=100, le=999)] | None = None
    duration_us: Annotated[int, Meta(ge=0, le=10**13)] | None = None
    count: Annotated[int, Meta(ge=1, le=10**9)] = 1
    token_id: _TOKEN_ID | None = None
    token_id_prev: _TOKEN_ID | None = None
    presented_id: _TOKEN_ID | None = None
    trace_id: _HEX32 | None = None
    span_id: _HEX16 | None = None
    parent_request_id: _HEX16 | None = None


class _Lenient(_Wire, frozen=True, forbid_unknown_fields=False):
    """The same, of a younger application that knows more fields."""


class _Version(msgspec.Struct):
    schema_version: Any = None


_AT_ONCE = 1_000
_PLACE = ("country", "city", "lat", "lon", "asn")
_WHAT_TO_DO = {
    "schema_version": "schema_version must be 1",
    "kind": "kind must be auth, leak, heartbeat or audit",
    "event_id": "event_id must be a UUID of 36 characters",
    "ts": "ts must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00.000000Z",
    "outcome": "outcome must be one of bearerwatch.event.Outcome",
    "status": "status must be an HTTP status, 100 to 999",
    "duration_us": "duration_us must be a whole number of microseconds, 0 to 10^13",
    "count": "count must be a whole number, 1 to 10^9",
    "token_id": "token_id must be bearerwatch.fingerprint(token), never a token",
    "token_id_prev": "token_id_prev must be a fingerprint, never a token",
    "presented_id": "presented_id must be a fingerprint, never a token",
    "trace_id": "trace_id must be 32 hex digits in lower case",
    "span_id": "span_id must be 16 hex digits in lower case",
    "parent_request_id": "parent_request_id must be 16 hex digits in lower case",
}
_UNREADABLE = (ValueError, msgspec.DecodeError, RecursionError)
"""What decoding raises: msgspec's errors are ValueErrors from 0.21 on."""
_AT_FIELD = re.compile(r"at `\$\.([a-z_]+)`\Z")


class Rejection(NamedTuple):
    """A line that is no event."""

    raw: RawLine
    code: str
    """What is wrong in one word: ``not_json not_utf8 too_long too_new invalid future past``."""
    reason: str
    """What is wrong and what to do, without a word of what the line says."""


class Decoded(NamedTuple):
    """What became of some lines. Every line is counted in exactly one of the three."""

    lines: list[bytes]
    """Canonical events, one JSON object each, without newline."""
    rejected: list[Rejection]
    duplicates: int
    newest: datetime | None = None
    """Latest event time among the lines."""


class Decoder:
    """Turns raw lines into canonical ones.

    Args:
        geo: where addresses are; nowhere if not given.
        skew: how far ahead of our clock an event may be.
        oldest: how far behind it an event may be: what retention would drop at once is not taken.
        remember: how many lines repeats are told among.
    """

    def __init__(
        self,
        geo: Geo | None = None,
        *,
        skew: timedelta = timedelta(seconds=60),
        oldest: timedelta | None = None,
        remember: int = 50_000,
    ) -> None:
        self._geo = geo
        self._skew = skew
        self._oldest = oldest
        self._recent = Recent(remember)
        self._plain = Plain(geo)
        self._strict = msgspec.json.Decoder(_Wire)
        self._lenient = msgspec.json.Decoder(_Lenient)
        self._version = msgspec.json.Decoder(_Version)
        self._encode = msgspec.json.Encoder().encode
        self.counts: Counter[str] = Counter()
        """``accepted``, ``duplicates``, ``unknown_fields`` and ``rejected_<code>`` since the start."""
        self.told: Told | None = None
        """Knows which requests were told of, where access logs are read beside services."""

    def __call__(self, raws: Iterable[RawLine], now: datetime) -> Decoded:
        """What *raws*, received at *now* (aware UTC), are."""
        runs = itertools.groupby(raws, lambda raw: (raw.source, raw.segment))
        return self.slices([Slice.of(list(run)) for _, run in runs], now)

    def slices(self, slices: Sequence[Slice], now: datetime) -> Decoded:
        """What the lines in *slices*, received at *now* (aware UTC), are: plain ones are told at a glance."""
        latest = now + self._skew
        oldest = datetime(2000, 1, 1, tzinfo=UTC) if self._oldest is None else now - self._oldest
        tails = {source: self._tail(source, now) for source in {one.source for one in slices}}
        whole = Decoded([], [], 0)
        for part in _parts(slices):
            decoded = self._part(part, oldest, latest, tails)
            whole.lines.extend(decoded.lines)
            whole.rejected.extend(decoded.rejected)
            newest = max(filter(None, (whole.newest, decoded.newest)), default=None)
            whole = whole._replace(duplicates=whole.duplicates + decoded.duplicates, newest=newest)
        self.counts["accepted"] += len(whole.lines)
        self.counts["duplicates"] += whole.duplicates
        return whole

    def _part(self, slices: Sequence[Slice], oldest: datetime, latest: datetime, tails: dict[str, bytes]) -> Decoded:
        lines = [line for found in slices for line in found.lines]
        # Who told of which request is asked event by event.
        found = self._plain(lines, oldest, latest) if self.told is None else Found(range(len(lines)), None)
        runs = [(source, sum(len(one.lines) for one in run)) for source, run in itertools.groupby(slices, _source)]
        if found.odd or not self._all_new(runs, lines):
            return self._one_by_one(slices, found, oldest, latest, tails)
        taken: list[bytes] = []
        for source, count in runs:
            start, end, tail = len(taken), len(taken) + count, tails[source]
            if found.places is None:
                taken += [line[:-1] + tail for line in lines[start:end]]
            else:
                both = zip(lines[start:end], found.places[start:end], strict=True)
                taken += [line[:-1] + place + tail for line, place in both]
        return Decoded(taken, [], 0, _newest(lines))

    def _all_new(self, runs: Iterable[tuple[str, int]], lines: list[bytes]) -> bool:
        """Whether no line came before; only then all are remembered."""
        keys: list[int] = []
        for source, count in runs:
            keys += self._recent.keys(source, lines[len(keys) : len(keys) + count])
        return self._recent.all_new(keys)

    def _tail(self, source: str, now: datetime) -> bytes:
        received = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return b"," + self._encode({"received_at": received, "source": source})[1:]

    def _one_by_one(
        self, slices: Sequence[Slice], found: Found, oldest: datetime, latest: datetime, tails: dict[str, bytes]
    ) -> Decoded:
        """The same where some lines are odd, or repeat others."""
        odd = frozenset(found.odd)
        lines: list[bytes] = []
        plain: list[bytes] = []
        rejected: list[Rejection] = []
        duplicates = 0
        newest: datetime | None = None
        for number, raw in enumerate(raw for one in slices for raw in one.raws):
            event = self._checked(raw, self._event(raw), oldest, latest) if number in odd else None
            if isinstance(event, Rejection):
                rejected.append(event)
                self.counts[f"rejected_{event.code}"] += 1
            elif self._recent.seen(raw.source, raw.line):
                duplicates += 1
            elif event is None:
                place = b"" if found.places is None else found.places[number]
                lines.append(raw.line[:-1] + place + tails[raw.source])
                plain.append(raw.line)
            else:
                lines.append(self._encode(event)[:-1] + tails[raw.source])
                newest = event.ts if newest is None else max(newest, event.ts)
        others = _newest(plain)
        return Decoded(lines, rejected, duplicates, max(filter(None, (newest, others)), default=None))

    def _event(self, raw: RawLine) -> _Wire | Rejection:
        if raw.length >= 0 or len(raw.line) > MAX_LINE:
            return Rejection(raw, "too_long", f"the line is longer than {MAX_LINE} bytes; an event never is")
        try:
            return self._strict.decode(raw.line)
        except _UNREADABLE as error:
            first = error
        try:
            event = self._lenient.decode(raw.line)
        except _UNREADABLE as error:
            return self._explained(raw, error)
        if isinstance(first, msgspec.ValidationError):
            self.counts["unknown_fields"] += 1
        return event

    def _checked(self, raw: RawLine, event: _Wire | Rejection, oldest: datetime, latest: datetime) -> _Wire | Rejection:
        if isinstance(event, Rejection):
            return event
        ts = event.ts
        if ts > latest:
            ahead = f"{self._skew.total_seconds():.0f} s"
            return Rejection(
                raw, "future", f"ts is more than {ahead} ahead of the collector's clock; set the host's clock"
            )
        if ts < oldest:
            return Rejection(raw, "past", "ts is older than events are kept; raise --retain to take it in")
        if event.kind is Kind.AUTH and event.outcome is None:
            return Rejection(raw, "invalid", "an event of kind auth needs an outcome")
        try:
            changes = self._located(event)
        except ValueError:
            return Rejection(raw, "invalid", "client_ip and peer_ip must be IP addresses without a port")
        if ts.tzinfo is not UTC:
            changes["ts"] = ts.astimezone(UTC)
        for name, clean in CLEANERS.items():
            text = getattr(event, name)
            if text is None or (name == "request_id" and _PLAIN_ID(text)):
                continue
            if (cleaned := clean(text)) != text:
                changes[name] = cleaned
        if event.expires_at is not None and not 0 <= event.expires_at < _MAX_NUMERIC_DATE:
            changes["expires_at"] = None
        if event.service is None:
            changes["service"] = CLEANERS["service"](raw.source.partition(":")[2])
        told, request_id = self.told, event.request_id
        if told is not None and request_id is not None and event.kind is Kind.AUTH and told(raw.source, request_id):
            changes["reason"] = REPEATED
        return msgspec.structs.replace(event, **changes) if changes else event

    def _located(self, event: _Wire) -> dict[str, Any]:
        """Canonical addresses and their place. What a client says about its whereabouts is not believed.

        Raises:
            ValueError: an address is none.
        """
        changes: dict[str, Any] = {name: None for name in _PLACE if getattr(event, name) is not None}
        if event.peer_ip is not None and (peer := canonical_address(event.peer_ip)) != event.peer_ip:
            changes["peer_ip"] = peer
        if event.client_ip is not None:
            if (client := canonical_address(event.client_ip)) != event.client_ip:
                changes["client_ip"] = client
            if self._geo is not None:
                changes.update(self._geo(client)._asdict())
        return changes

    def _explained(self, raw: RawLine, error: Exception) -> Rejection:
        if isinstance(error, UnicodeDecodeError):
            return Rejection(raw, "not_utf8", "the line is not UTF-8; events are UTF-8 JSON")
        if isinstance(error, RecursionError):
            return Rejection(raw, "not_json", "the line is nested too deeply; an event is a flat JSON object")
        try:
            version = self._version.decode(raw.line).schema_version
        except _UNREADABLE:
            version = None
        if type(version) is int and version > SCHEMA_VERSION:
            shown = version if version < 1_000 else "beyond 999"
            return Rejection(
                raw,
                "too_new",
                f"schema_version {shown} is newer than this collector's {SCHEMA_VERSION}: upgrade the collector",
            )
        message = str(error)
        if not isinstance(error, msgspec.ValidationError):
            return Rejection(raw, "not_json", f"the line is not one JSON object ({message[:100]}); one event a line")
        field = _AT_FIELD.search(message)
        if field is not None and field[1] in _WHAT_TO_DO:
            return Rejection(raw, "invalid", _WHAT_TO_DO[field[1]])
        if message.startswith("Invalid"):  # would repeat the value
            message = "a value is not one of those there are"
        return Rejection(raw, "invalid", f"{message[:200]}; see bearerwatch.event.AuthEvent")


def _parts(slices: Sequence[Slice]) -> Iterator[list[Slice]]:
    """The same, some thousand lines at a time: what is looked at several times stays in the processor's cache."""
    part: list[Slice] = []
    count = 0
    for found in slices:
        part.append(found)
        count += len(found.lines)
        if count >= _AT_ONCE:
            yield part
            part, count = [], 0
    if part:
        yield part


def _source(found: Slice) -> str:
    return found.source


def _newest(plain: list[bytes]) -> datetime | None:
    """The latest time in *plain* lines, all of which say it in the same place and form."""
    stamps = [line[STAMP] for line in plain]
    return datetime.fromisoformat(max(stamps).decode()) if stamps else None
