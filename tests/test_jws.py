"""What a token says of itself, however it was made."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch import _jws
from fakes import b64, jwt, opaque

HEAD = b64(b'{"alg":"HS256"}')
EMPTY = b64(b"{}")
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_a_jwt_is_read() -> None:
    token = jwt({"sub": "u", "exp": 5})
    read = _jws.parse(token)
    assert read is not None
    assert (read.kind, read.header["alg"], read.claims) == ("jwt", "HS256", {"sub": "u", "exp": 5})
    assert read.signing_input == token.rpartition(".")[0]


def test_a_detached_payload_leaves_nothing_to_tell_tokens_apart_by() -> None:
    head, _, signature = jwt().split(".")
    read = _jws.parse(f"{head}..{signature}")
    assert read is not None
    assert read.signing_input is None


def test_five_parts_are_a_jwe_and_stay_closed() -> None:
    head = b64(b'{"alg":"dir","enc":"A256GCM"}')
    read = _jws.parse(f"{head}..{opaque(16)}.{opaque(30)}.{opaque(22)}")
    assert read is not None
    assert (read.kind, read.claims, read.signing_input) == ("jwe", {}, None)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c",
        f"{b64(b'not json')}.{EMPTY}.x",
        f"{b64(b'[1]')}.{EMPTY}.x",
        f"{EMPTY}.{EMPTY}.x",
        f"{HEAD}.{EMPTY}",
        f"{HEAD}.{EMPTY}.x.y",
        f"{HEAD}.{EMPTY}.x\n",
        jwt() + "." + opaque(),
        jwt(header=b"[" * 9000),
        jwt(header=b'{"alg":"\xff"}'),
        jwt(header=b'{"alg":' + b"[" * 3000 + b"]" * 3000 + b"}"),
        jwt({"pad": "x" * _jws.MAX_LENGTH}),
        "\ud800.\udfff.x",
        "eyJ\x00.a.b",
    ],
)
def test_what_is_none_is_not_taken_for_one(token: str) -> None:
    assert _jws.parse(token) is None


@pytest.mark.parametrize(
    "payload",
    [b"\xff\xfe", b"[]", b"1e400", b"NaN", b'{"a":' + b"[" * 4000, b'{"exp":1e400}', b'{"exp":' + b"9" * 6000 + b"}"],
)
def test_a_payload_that_cannot_be_read_leaves_no_claims(payload: bytes) -> None:
    read = _jws.parse(jwt(payload))
    assert read is not None
    assert read.claims == {}
    assert read.signing_input is not None


@given(JSON, JSON)
def test_any_json_is_survived(header: object, claims: object) -> None:
    token = jwt(json.dumps(claims).encode("utf-8", "surrogatepass"), header=json.dumps(header).encode())
    read = _jws.parse(token)
    assert read is None or isinstance(read.claims, dict)


@given(st.text(alphabet=st.characters(), max_size=60) | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_any_text_is_survived(text: str) -> None:
    _jws.parse(text)
