"""What two parsers may read in two ways is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.util import urlsafe_b64decode

from bearerwatch.verify._strict import decoded, json_object
from fakes import b64


@settings(max_examples=150)
@given(st.text(alphabet="AQgwE_-+/= \nzé9", max_size=12) | st.binary(max_size=40).map(b64))
def test_base64url_is_read_as_by_joserfc(segment: str) -> None:
    try:
        theirs = urlsafe_b64decode(segment.encode("ascii"))
    except ValueError:
        theirs = None
    assert decoded(segment) == theirs


@given(st.binary(max_size=60))
def test_there_is_one_base64url_of_anything(raw: bytes) -> None:
    segment = b64(raw)
    assert decoded(segment) == raw
    for end in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        other = segment[:-1] + end
        assert other == segment or decoded(other) != raw


@settings(max_examples=80)
@given(
    st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()), max_size=4)
)
def test_json_that_can_be_read_in_one_way_is_read(value: dict[str, Any]) -> None:
    assert json_object(json.dumps(value).encode()) == value
    assert json_object(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'"{}"',
        b"{} {}",
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":[{"b":1,"b":2}]}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":"\\ud800"}',
        b'{"\\udc00":1}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' * 100_000,
        b"[" * 100_000,
    ],
)
def test_anything_else_is_not(raw: bytes) -> None:
    assert json_object(raw) is None
