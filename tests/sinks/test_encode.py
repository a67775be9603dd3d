"""One event, one JSON line, whatever a client sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.event import AuthEvent
from bearerwatch.sinks._encode import encode_line
from bearerwatch.testing.events import make_event

ANY = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["\ud800", "\udcff\udc80", "a\r\nb", "\u2028\u2029\x85", "\x00\x1b[31m", '"\\', "\U0001f512"]
)


@given(
    ANY,
    ANY,
    ANY,
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_an_event_is_one_line_that_decodes_to_it(path: str, agent: str, scopes: str, when: datetime) -> None:
    event = make_event(path=path, user_agent=agent, scopes=scopes, ts=when)
    line = encode_line(event)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert not set(line[:-1]) & set(range(32))
    decoded = msgspec.json.decode(line, type=AuthEvent)
    clean = [text.encode("utf-8", "replace").decode() for text in (path, agent, scopes)]
    assert [decoded.path, decoded.user_agent, decoded.scopes] == clean
    assert msgspec.structs.replace(decoded, path=path, user_agent=agent, scopes=scopes) == event
    json.loads(line)
