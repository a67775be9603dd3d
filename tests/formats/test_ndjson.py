"""Our own schema: what is exported is what the collector takes in again."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from bearerwatch.event import AuthEvent, Outcome
from bearerwatch.formats.ndjson import encode
from bearerwatch.ingest.decode import Decoder
from bearerwatch.ingest.lines import RawLine
from events_made import full
from fakes import jwt, leaked

PLACE = ("country", "city", "lat", "lon", "asn")  # what others say of it is not believed


@pytest.mark.parametrize("outcome", Outcome)
def test_a_collector_takes_in_what_another_has_exported(outcome: Outcome) -> None:
    event = full(outcome=outcome)
    (line,) = Decoder()([RawLine("http:other", "", 0, encode(event))], datetime.now(UTC)).lines
    taken = msgspec.json.decode(line, type=AuthEvent)
    assert taken == msgspec.structs.replace(event, **dict.fromkeys(PLACE))


def test_a_token_that_somebody_has_put_into_an_event_is_not_taken_in() -> None:
    token = jwt()
    line = encode(full(path=f"/{token}", user_agent=f"x {token}"))
    taken = Decoder()([RawLine("http:other", "", 0, line)], datetime.now(UTC)).lines
    assert leaked(token, *taken) == []
