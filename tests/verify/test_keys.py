"""Keys: the operator's are refused with a reason, an issuer's are left out and counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.errors import ConfigurationError
from bearerwatch.verify.keys import Keys, published
from fakes import b64, draw
from issuers import Issuer, issuer


def _pem(public: Any) -> bytes:
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _rsa(bits: int) -> dict[str, str]:
    n = draw.getrandbits(bits) | 1 | 1 << bits - 1
    return {"kty": "RSA", "n": b64(n.to_bytes((bits + 7) // 8)), "e": "AQAB"}


@pytest.mark.parametrize("alg", ["RS256", "ES256", "Ed25519"])
def test_a_public_key_in_pem(alg: str) -> None:
    keys = Keys.from_pem(_pem(issuer(alg).key.public_key), kid="k1")
    (key,) = keys.find("k1")
    assert keys.find("k2") == ()
    assert key.thumbprint == issuer(alg).key.thumbprint()
    assert key.algorithm((alg,)) == alg


def test_a_certificate_in_pem() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer.test")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (found,) = Keys.from_pem(pem.decode(), alg="ES256").find("whatever the token calls it")
    assert found.alg == "ES256"


def test_a_private_key_is_refused_without_showing_it() -> None:
    native = rsa.generate_private_key(65537, 2048)
    pem = native.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ConfigurationError, match="private key") as refused:
        Keys.from_pem(pem)
    assert pem.splitlines()[3].decode() not in str(refused.value)


@pytest.mark.parametrize(
    ("jwk", "says"),
    [
        (_rsa(1024), "2048"),
        (_rsa(20_000), "16384"),
        ({"kty": "oct", "k": b64(bytes(31))}, "32 bytes"),
        ({"kty": "oct", "k": "no base64url!"}, "base64url"),
        ({"kty": "oct"}, "base64url"),
        ({"kty": "oct", "k": b64(bytes(32)), "alg": "HS512"}, "alg"),
        ({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, "no key"),
        ({"kty": "EC", "crv": "P-224", "x": "AA", "y": "AA"}, "no type"),
        ({"kty": "OKP", "crv": "X25519", "x": "AA"}, "no type"),
        ({"kty": ["RSA"]}, "no type"),
        ({"kty": "RSA", "n": "AQAB"}, "lacks"),
        ({"kty": "RSA", "n": 5, "e": "AQAB"}, "lacks"),
        ({}, "no type"),
        (_rsa(2048) | {"alg": "ES256"}, "alg"),
        (_rsa(2048) | {"alg": "none"}, "alg"),
        (_rsa(2048) | {"use": "enc"}, "signatures"),
        (_rsa(2048) | {"key_ops": ["encrypt"]}, "signatures"),
        (_rsa(2048) | {"kid": 7}, "kid"),
        (_rsa(2048) | {"d": "AQAB"}, "private"),
        (_rsa(2048) | {"e": "AA"}, "no key"),
        (_rsa(2048) | {"e": b64(b"\xff" * 200)}, "64 bits"),
    ],
)
def test_a_key_that_will_not_do_is_refused_with_the_reason(jwk: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        Keys.from_jwk(issuer().jwk, jwk)
    assert "key 2" in str(refused.value)
    assert str(jwk.get("n", "never")) not in str(refused.value)


def test_a_public_key_passed_as_a_secret_is_noticed_in_any_form() -> None:
    public = issuer("RS256").key.public_key
    forms = [
        _pem(public),
        public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
    ]
    for form in forms:
        with pytest.raises(ConfigurationError, match="public key"):
            Keys.from_secret(form)


def test_a_file_holds_pem_a_key_or_a_set(tmp_path: Path) -> None:
    one, two = issuer(), issuer("RS256", "k2")
    for content, count in [
        (_pem(one.key.public_key).decode(), 1),
        (json.dumps(one.jwk), 1),
        (json.dumps({"keys": [one.jwk, two.jwk]}), 2),
    ]:
        (tmp_path / "keys").write_text(content, encoding="utf-8")
        assert len(list(Keys.from_file(tmp_path / "keys"))) == count
    for content in ("", "[]", '{"keys": 7}', '{"keys": []}', '{"keys": [7]}', "-----BEGIN nothing", "\x00"):
        (tmp_path / "keys").write_text(content, encoding="utf-8")
        with pytest.raises(ConfigurationError):
            Keys.from_file(tmp_path / "keys")
    with pytest.raises(ConfigurationError, match="No such file"):
        Keys.from_file(tmp_path / "none")


def test_of_a_published_set_bad_keys_are_left_out_and_counted() -> None:
    good, other = issuer(), issuer("RS256", "k2")
    twin = Issuer("ES256", "k1")
    private = dict(other.key.as_dict(private=True))
    found = published(
        json.dumps(
            {
                "keys": [
                    good.jwk,
                    good.jwk,
                    twin.jwk,
                    {**good.jwk, "kid": "its other name"},
                    _rsa(1024),
                    _rsa(20_000),
                    private,
                    issuer("HS256").key.as_dict(private=True),
                    {**other.jwk, "use": "enc"},
                    {**other.jwk, "alg": "HS256"},
                    {"kty": "made up"},
                    7,
                    None,
                    {"kty": "EC", "crv": "P-256", "x": "", "y": ""},
                ]
            }
        ).encode()
    )
    assert found is not None
    assert dict(found.left_out) == {
        "repeated": 1,
        "weak": 1,
        "size": 1,
        "private": 1,
        "secret": 1,
        "use": 1,
        "alg": 1,
        "type": 1,
        "malformed": 3,
    }
    assert [key.kid for key in found.keys] == ["k1", "k1", "its other name"]
    assert len(found.find("k1")) == 2
    assert len(found.find(None)) == 3


def test_of_many_keys_the_first_hundred_count() -> None:
    found = published(json.dumps({"keys": [{"kty": "made up"}] * 5000}).encode())
    assert found is not None
    assert dict(found.left_out) == {"many": 4900, "type": 100}


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[],"keys":[]}', b"\xff"])
def test_what_is_no_key_set_is_none(raw: bytes) -> None:
    assert published(raw) is None


_JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=3), max_size=2)
_MEMBERS = ["kty", "n", "e", "d", "k", "crv", "x", "y", "alg", "use", "key_ops", "kid"]
_WORDS = st.sampled_from(
    ["RSA", "EC", "OKP", "oct", "AQAB", "P-256", "Ed25519", "sig", b64(bytes(32)), b64(bytes(256))]
)


@settings(max_examples=200)
@given(st.lists(st.dictionaries(st.sampled_from(_MEMBERS), _JSON | _WORDS, max_size=8) | _JSON, max_size=4))
def test_whatever_is_published_the_rest_goes_on_working(garbage: list[Any]) -> None:
    found = published(json.dumps({"keys": [*garbage, issuer().jwk]}).encode())
    assert found is not None
    assert any(key.kid == "k1" for key in found.find("k1"))
    assert sum(found.left_out.values()) + len(found.keys) == len(garbage) + 1
