"""The stream the collector is measured with: as many events as it says, each of them valid."""

from __future__ import annotations

from collections import Counter

import msgspec

from bearerwatch.event import FAILURES, AuthEvent
from bench import _requests, _stream


def test_the_stream_writes_what_it_says_at_the_pace_it_was_told(tmp_path):
    wrote = _stream.write(tmp_path, 4_000, 0.5)
    lines = [line for file in tmp_path.rglob("*.jsonl") for line in file.read_bytes().splitlines()]
    events = [msgspec.json.decode(line, type=AuthEvent) for line in lines]
    assert len(events) == wrote["written"]
    assert 1_000 <= len(events) <= 2_000
    assert len({event.event_id for event in events}) == len(events)


def test_few_tokens_do_much_and_few_requests_fail(tmp_path):
    _stream.write(tmp_path, 8_000, 0.5)
    lines = [line for file in tmp_path.rglob("*.jsonl") for line in file.read_bytes().splitlines()]
    events = [msgspec.json.decode(line, type=AuthEvent) for line in lines]
    busiest = Counter(event.token_id for event in events).most_common(50)
    assert sum(count for _, count in busiest) > len(events) / 3
    assert 0.01 < sum(event.outcome in FAILURES for event in events) / len(events) < 0.1


def test_requests_bring_known_tokens_or_new_ones():
    usual = {environ["HTTP_AUTHORIZATION"] for environ in _requests.environs(500)}
    fresh = {environ["HTTP_AUTHORIZATION"] for environ in _requests.environs(500, kind=_requests.FRESH)}
    assert len(usual) <= len(_requests.TOKENS)
    assert len(fresh) == 500
    assert not usual & fresh
    assert {scope["path"] for scope in _requests.scopes(50)} == {
        environ["PATH_INFO"] for environ in _requests.environs(50)
    }
