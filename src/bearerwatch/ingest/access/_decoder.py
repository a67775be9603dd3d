"""Lines of access logs on their way to the decoder that every other event goes through as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import blake2b

import msgspec

from bearerwatch.event import AuthEvent, Kind
from bearerwatch.ingest.access._events import AccessEvents, Leaked
from bearerwatch.ingest.access._line import Unreadable
from bearerwatch.ingest.decode import Decoded, Decoder, Rejection
from bearerwatch.ingest.lines import RawLine
from bearerwatch.ingest.told import Told
from bearerwatch.redact import redact_text

__all__ = ["AccessDecoder", "Lookup"]

Lookup = Callable[[set[str], datetime, datetime], Iterable[tuple[str, str]]]
"""Finds who has told of these request ids between two instants: pairs of source and id."""

_MAX_DETAIL = 512


class AccessDecoder:
    """Turns raw lines of logs into canonical events: one a request, and one a batch for each kind of leak.

    Args:
        decoder: what the events go through.
        makes: gives what makes the events of the log that a line is from.
        lookup: what looks up who told of a request before; without it the decoder's own memory is asked.
    """

    def __init__(
        self, decoder: Decoder, makes: Callable[[RawLine], AccessEvents], *, lookup: Lookup | None = None
    ) -> None:
        self._decoder = decoder
        self._makes = makes
        self._lookup = lookup
        self._encode = msgspec.json.Encoder().encode
        self.passed_over = 0
        """Lines that are about no request."""

    def __call__(self, raws: Iterable[RawLine], now: datetime) -> Decoded:
        """What *raws*, read at *now* (aware UTC), are."""
        made: list[tuple[RawLine, AuthEvent]] = []
        rejected: list[Rejection] = []
        leaks: dict[tuple[str, str, Leaked], list[tuple[RawLine, AuthEvent]]] = {}
        for raw in raws:
            try:
                found = self._makes(raw)(raw, now)
            except Unreadable as unreadable:
                rejected.append(Rejection(raw, unreadable.code, unreadable.reason))
                self._decoder.counts[f"rejected_{unreadable.code}"] += 1
                continue
            if found is None:
                self.passed_over += 1
                continue
            event, clear = found
            made.append((raw, event))
            for leak in clear:
                place = raw.source, raw.segment, leak._replace(token_id=None)
                leaks.setdefault(place, []).append((raw, event))
        if self._lookup is not None and made:
            self._decoder.told = Told(self._told(made))
        made += [self._leak(place, told) for place, told in leaks.items()]
        lines = [raw._replace(line=self._encode(event), length=-1) for raw, event in made]
        decoded = self._decoder(lines, now)
        return decoded._replace(rejected=rejected + decoded.rejected)

    def _told(self, made: list[tuple[RawLine, AuthEvent]]) -> Iterable[tuple[str, str]]:
        ids = {event.request_id for _, event in made if event.request_id is not None}
        if not ids or self._lookup is None:
            return ()
        stamps = [event.ts for _, event in made]
        return self._lookup(ids, min(stamps), max(stamps))

    def _leak(self, place: tuple[str, str, Leaked], told: list[tuple[RawLine, AuthEvent]]) -> tuple[RawLine, AuthEvent]:
        """That a log holds credentials in clear: said once a batch, with how often."""
        _, segment, leak = place
        raw, first = told[0]
        counts: Counter[str] = Counter(event.token_id for _, event in told if event.token_id is not None)
        token_id = counts.most_common(1)[0][0] if counts else None
        # an id of its own that is the same each time: of the first line's, and of what leaks there
        own = blake2b(f"{first.event_id} {leak.where} {leak.form}".encode(), digest_size=6).hexdigest()
        event = AuthEvent(
            Kind.LEAK,
            first.event_id[: -len(own)] + own,
            first.ts,
            reason=leak.form,
            count=len(told),
            detail=f"{redact_text(segment)[-_MAX_DETAIL:]} {leak.where}",
            service=first.service,
            token_id=token_id,
            token_source="log",  # noqa: S106 - the name of a place
        )
        return raw, event
