"""Encrypted tokens: refused unless a key is given, and bounded in what they may cost."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import JWKRegistry

from bearerwatch.errors import ConfigurationError
from bearerwatch.verify.jwe import Decryption
from bearerwatch.verify.jwt import JwtVerifier
from bearerwatch.verify.keys import Keys
from fakes import b64, leaked
from issuers import AUDIENCE, ISSUER, issuer

KEY = JWKRegistry.generate_key("EC", "P-256", {"kid": "ours"})
ALG, ENC = "ECDH-ES+A256KW", "A256GCM"


def sealed(plaintext: bytes, alg: str = ALG, enc: str = ENC, **header: Any) -> str:
    registry = jwe.JWERegistry(algorithms=[alg, enc, "DEF"])
    return jwe.encrypt_compact({"alg": alg, "enc": enc, **header}, plaintext, KEY, registry=registry)


def verifier(**more: Any) -> JwtVerifier:
    return JwtVerifier(
        issuer=ISSUER, audience=AUDIENCE, algorithms=("ES256",), keys=Keys.from_jwk(issuer().jwk), **more
    )


def opening(**more: Any) -> JwtVerifier:
    key = KEY.as_dict(private=True)
    return verifier(decryption=Decryption([key], **({"algorithms": (ALG,)} | more)))


def test_without_a_key_they_are_refused() -> None:
    verdict = verifier()(sealed(issuer().token().encode()))
    assert (verdict.outcome.value, verdict.reason, verdict.verified) == ("invalid", "alg_not_allowed", False)


@pytest.mark.parametrize("header", [{}, {"cty": "JWT", "kid": "ours"}, {"zip": "DEF"}])
def test_what_is_inside_is_verified(header: dict[str, str]) -> None:
    assert opening()(sealed(issuer().token().encode(), **header)).accepted
    assert opening()(sealed(issuer().token(exp=7).encode(), **header)).reason == "past_exp"


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        (b"", "bad_characters"),
        (b"{}", "bad_characters"),
        (json.dumps({"sub": "41"}).encode(), "bad_characters"),
        (b"\xff" * 9, "not_jwt"),
    ],
)
def test_what_is_inside_may_be_anything(inside: bytes, reason: str) -> None:
    assert opening()(sealed(inside)).reason == reason


def test_what_is_inside_is_no_longer_than_any_token() -> None:
    token = sealed(b"a" * 20_000, zip="DEF")
    assert len(token) < 16_384
    assert opening()(token).reason == "too_long"


def test_what_is_encrypted_twice_is_not_opened_twice() -> None:
    assert opening()(sealed(sealed(issuer().token().encode()).encode())).reason == "not_jwt"


def _packed(raw: bytes) -> str:
    """A token whose content says to be compressed, and is *raw*: whoever has our public key can make one."""
    model = jwe.JWERegistry.algorithms["zip"]["DEF"]
    theirs, model.compress = model.compress, lambda _: raw  # type: ignore[method-assign]
    try:
        return sealed(b"x", zip="DEF")
    finally:
        model.compress = theirs  # type: ignore[method-assign]


def test_a_compressed_bomb_takes_no_memory() -> None:
    packed = zlib.compressobj(9, wbits=-15)
    token = _packed(packed.compress(bytes(8_000_000)) + packed.flush())
    assert len(token) < 16_384
    one = opening()
    one(sealed(b"x"))
    tracemalloc.start()
    try:
        verdict = one(token)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not verdict.accepted
    assert peak < 2_000_000


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x00", b"\x78\x9c\xff", b""])
def test_what_only_says_to_be_compressed_is_refused(raw: bytes) -> None:
    assert not opening()(_packed(raw)).accepted


def test_of_several_keys_the_one_that_is_named_is_used_or_each_is_tried() -> None:
    other = JWKRegistry.generate_key("EC", "P-256", {"kid": "another"}).as_dict(private=True)
    one = verifier(decryption=Decryption([other, KEY.as_dict(private=True)], algorithms=(ALG,)))
    token = issuer().token().encode()
    assert one(sealed(token)).accepted
    assert one(sealed(token, kid="ours")).accepted
    assert one(sealed(token, kid="another")).reason == "bad_signature"


@pytest.mark.parametrize("change", ["alg", "enc", "key", "tag"])
def test_what_cannot_be_opened_is_refused(change: str) -> None:
    token = sealed(issuer().token().encode())
    if change == "alg":
        assert opening(algorithms=("RSA-OAEP",))(token).reason == "alg_not_allowed"
    elif change == "enc":
        assert opening(encodings=("A128GCM",))(token).reason == "alg_not_allowed"
    elif change == "key":
        other = JWKRegistry.generate_key("EC", "P-256").as_dict(private=True)
        one = verifier(decryption=Decryption([other], algorithms=(ALG,)))
        assert one(token).reason == "bad_signature"
    else:
        head, _, tag = token.rpartition(".")
        assert opening()(f"{head}.{'A' if tag[0] != 'A' else 'B'}{tag[1:]}").reason == "bad_signature"


@pytest.mark.parametrize("alg", ["RSA1_5", "PBES2-HS256+A128KW", "none"])
def test_algorithms_that_are_not_to_be_used_are_refused(alg: str) -> None:
    with pytest.raises(ConfigurationError, match=alg.replace("+", r"\+")):
        Decryption([KEY.as_dict(private=True)], algorithms=(alg,))


def test_a_key_that_cannot_be_read_is_not_shown() -> None:
    key = {**KEY.as_dict(private=True), "kty": "made up"}
    with pytest.raises(ConfigurationError) as refused:
        Decryption([key], algorithms=(ALG,))
    assert leaked(str(key["d"]), str(refused.value), repr(opening())) == []


_JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=3), max_size=2)
_HEADER = ["epk", "apu", "apv", "zip", "kid", "iv", "tag", "crit", "p2c", "cty"]


@settings(max_examples=150)
@given(
    st.dictionaries(st.sampled_from(_HEADER), _JSON | st.just(KEY.as_dict(private=False)), max_size=4),
    st.lists(st.binary(max_size=64), min_size=4, max_size=4),
)
def test_whatever_is_in_an_envelope_there_is_a_verdict(header: dict[str, Any], parts: list[bytes]) -> None:
    head = json.dumps({"alg": ALG, "enc": ENC, **header}).encode()
    assert not opening()(".".join(b64(part) for part in (head, *parts))).accepted
