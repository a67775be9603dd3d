"""What an answer comes to, whatever is in it; that a server's is read so, the tests of introspection show."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bearerwatch.verify.introspection_answer import TOKEN_TYPES, AnswerReader, Unusable
from bearerwatch.verify.verdict import Verdict
from verify.introspected import Clock

WORDS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.lists(st.text(max_size=6), max_size=3),
    st.dictionaries(st.text(max_size=6), st.none(), max_size=2),
)
NAMES = ("iss", "exp", "nbf", "iat", "sub", "username", "scope", "scp", "client_id", "token_type", "cnf")
MEMBERS = st.fixed_dictionaries(
    {"active": st.one_of(st.just(True), WORDS), "aud": st.one_of(st.just("orders"), WORDS)},
    optional=dict.fromkeys(NAMES, WORDS),
)


def read(reader: AnswerReader, body: bytes, token: str) -> Verdict | None:
    """The verdict, or ``None`` if *body* is no answer."""
    try:
        return reader(body, token)
    except Unusable:
        return None


@given(MEMBERS, st.binary(max_size=60))
def test_no_answer_does_any_harm_and_few_let_anybody_in(members: dict[str, Any], noise: bytes) -> None:
    reader = AnswerReader(
        audience="orders", issuer=None, leeway=0, token_types=TOKEN_TYPES, required=(), clock=lambda: Clock.now
    )
    token = "a-token-that-was-made-up-for-this"
    for body in (json.dumps(members).encode(), noise, json.dumps(members | {"x": token}).encode()):
        verdict = read(reader, body, token)
        if verdict is None:
            continue
        assert members["active"] in (True, False)
        assert token not in repr(verdict.claims)
        if verdict.accepted:
            assert members["active"] is True
            assert "orders" in members["aud"]
            assert members.get("exp") is None or members["exp"] > Clock.now
