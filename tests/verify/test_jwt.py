"""JWT access tokens: each failure is its own outcome and reason, and what is not established is not said."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jwt as pyjwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bearerwatch.context import RequestContext, current
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import REASONS, Outcome
from bearerwatch.verify.jwt import JwtVerifier
from bearerwatch.verify.keys import Keys, KeysUnavailable
from fakes import b64, jwt, leaked, opaque
from issuers import AUDIENCE, ISSUER, At, Issuer, issuer


def verifier(*by: Issuer, **more: Any) -> JwtVerifier:
    by = by or (issuer(),)
    given_ = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "algorithms": tuple(dict.fromkeys(one.alg for one in by)),
        "keys": Keys.from_jwk(*(one.jwk for one in by)),
    }
    return JwtVerifier(**(given_ | more))


def said(token: str, **more: Any) -> tuple[str, str | None, bool]:
    verdict = verifier(**more)(token)
    assert verdict.reason is None or verdict.reason in REASONS
    return verdict.outcome.value, verdict.reason, verdict.verified


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "ES512", "ES256K", "Ed25519", "EdDSA", "HS256"])
def test_a_good_token_of_each_algorithm_is_let_in(alg: str) -> None:
    verdict = verifier(issuer(alg))(issuer(alg).token())
    assert verdict.accepted
    assert (verdict.verified, verdict.subject, verdict.client_id) == (True, "41", "web")
    assert (verdict.issuer, verdict.scopes, verdict.reason) == (ISSUER, ("read",), None)
    assert verdict.expires_at == verdict.claims["exp"]


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "ES512", "EdDSA"])
def test_tokens_that_another_library_makes_are_let_in(alg: str) -> None:
    one = issuer(alg)
    header = {"typ": "at+jwt", "kid": one.kid}
    assert verifier(one)(pyjwt.encode(one.claims(), one.key.private_key, alg, header)).accepted


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": At(-300)}, ("expired", "past_exp", True)),
        ({"exp": At(-30)}, ("success", None, True)),
        ({"exp": At(-30.5)}, ("success", None, True)),
        ({"nbf": At(300)}, ("invalid", "not_yet_valid", True)),
        ({"nbf": At(30)}, ("success", None, True)),
        ({"iat": At(300)}, ("invalid", "bad_claim", True)),
        ({"iss": "https://issuer.test/"}, ("invalid", "wrong_issuer", True)),
        ({"iss": 1}, ("invalid", "bad_claim", True)),
        ({"aud": "another"}, ("invalid", "wrong_audience", True)),
        ({"aud": ["another", AUDIENCE]}, ("success", None, True)),
        ({"aud": []}, ("invalid", "wrong_audience", True)),
        ({"aud": [AUDIENCE, 1]}, ("invalid", "bad_claim", True)),
        ({"aud": {AUDIENCE: 1}}, ("invalid", "bad_claim", True)),
        ({"aud": "another", "exp": At(-300)}, ("invalid", "wrong_audience", True)),
        *(({name: ...}, ("invalid", "missing_claim", True)) for name in ("iss", "aud", "sub", "exp", "iat", "jti")),
        ({"client_id": ...}, ("invalid", "missing_claim", True)),
        ({"client_id": None}, ("invalid", "missing_claim", True)),
        *(({"exp": value}, ("invalid", "bad_claim", True)) for value in (True, "9999999999", [7], 1e300, -(2**60))),
        ({"exp": int("9" * 4000)}, ("invalid", "bad_claim", True)),
        ({"nbf": False}, ("invalid", "bad_claim", True)),
        ({"nbf": None}, ("invalid", "bad_claim", True)),
        ({"sub": 41}, ("invalid", "bad_claim", True)),
        ({"scope": 7}, ("invalid", "bad_claim", True)),
        ({"scope": ["read", 7]}, ("invalid", "bad_claim", True)),
        ({"cnf": {"jkt": "of some key"}}, ("invalid", "missing_proof", True)),
        ({"cnf": {"x5t#S256": "of a certificate"}}, ("invalid", "missing_proof", True)),
        ({"cnf": "some key"}, ("invalid", "bad_claim", True)),
    ],
)
def test_each_claim_that_will_not_do_has_its_reason(claims: dict[str, Any], expected: Any) -> None:
    assert said(issuer().token(**claims)) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"typ": "application/AT+JWT"}, ("success", None, True)),
        ({"typ": "JWT"}, ("invalid", "wrong_type", True)),
        ({"typ": ...}, ("invalid", "wrong_type", True)),
        ({"typ": 1}, ("malformed", "bad_header", False)),
        ({"kid": "k2"}, ("invalid", "unknown_kid", False)),
        ({"kid": ...}, ("success", None, True)),
        ({"kid": ["k1"]}, ("malformed", "bad_header", False)),
        ({"kid": "../../etc/passwd"}, ("invalid", "unknown_kid", False)),
        ({"alg": "none"}, ("invalid", "alg_none", False)),
        ({"alg": "nOnE"}, ("invalid", "alg_none", False)),
        ({"alg": "HS256"}, ("invalid", "alg_not_allowed", False)),
        ({"alg": 256}, ("malformed", "bad_header", False)),
        ({"alg": ...}, ("malformed", "not_jwt", False)),
        ({"crit": ["exp"], "exp": 1}, ("invalid", "unknown_crit", False)),
        ({"crit": ["b64"], "b64": False}, ("invalid", "unknown_crit", False)),
        ({"crit": []}, ("malformed", "bad_header", False)),
        ({"crit": ["not there"]}, ("malformed", "bad_header", False)),
        ({"jku": "https://attacker.test/keys"}, ("invalid", "untrusted_key", False)),
        ({"x5u": "file:///etc/passwd"}, ("invalid", "untrusted_key", False)),
        ({"jwk": issuer("ES256", "attacker").jwk}, ("invalid", "untrusted_key", False)),
        ({"zip": "DEF", "x5t": "which says nothing"}, ("success", None, True)),
    ],
)
def test_each_header_that_will_not_do_has_its_reason(header: dict[str, Any], expected: Any) -> None:
    assert said(issuer().token(header=header)) == expected


def _turned(token: str) -> str:
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{signature[:9]}{'A' if signature[9] != 'A' else 'B'}{signature[10:]}"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: "", ("malformed", "empty_token", False)),
        (lambda: "x" * 16_385, ("malformed", "too_long", False)),
        (lambda: "not a token", ("malformed", "bad_characters", False)),
        (lambda: f"{issuer().token()}\n", ("malformed", "bad_characters", False)),
        (opaque, ("malformed", "not_jwt", False)),
        (lambda: "a.b", ("malformed", "not_jwt", False)),
        (lambda: "..", ("malformed", "not_jwt", False)),
        (lambda: "a.b.c.d.e.f", ("malformed", "not_jwt", False)),
        (lambda: jwt(header=[]), ("malformed", "not_jwt", False)),
        (lambda: jwt(header=b'{"alg":'), ("malformed", "not_jwt", False)),
        (lambda: f"{issuer().token()}=", ("invalid", "bad_signature", False)),
        (lambda: issuer().token().rpartition(".")[0] + ".", ("invalid", "bad_signature", False)),
        (lambda: _turned(issuer().token()), ("invalid", "bad_signature", False)),
        (lambda: _turned(issuer().token(exp=At(-300))), ("invalid", "bad_signature", False)),
        (lambda: Issuer("ES256", "k1").token(), ("invalid", "bad_signature", False)),
        (lambda: f"{issuer().token()}.x.y", ("invalid", "alg_not_allowed", False)),
        (lambda: issuer().raw(b'{"alg":"ES256","alg":"ES256"}', b"{}"), ("malformed", "bad_header", False)),
        (lambda: issuer().signed(b"\xff"), ("invalid", "bad_claim", True)),
        (lambda: issuer().signed(b"[]"), ("invalid", "bad_claim", True)),
        (lambda: issuer().signed(b'{"exp":NaN}'), ("invalid", "bad_claim", True)),
        (lambda: issuer().signed(b'{"exp":-Infinity}'), ("invalid", "bad_claim", True)),
        (lambda: issuer().signed(b'{"sub":"41","sub":"1"}'), ("invalid", "bad_claim", True)),
        (lambda: issuer().signed(b'{"a":{"b":1,"b":2}}'), ("invalid", "bad_claim", True)),
        (lambda: issuer().signed(b'{"exp":' + b"9" * 5000 + b"}"), ("invalid", "bad_claim", True)),
        (lambda: issuer().signed(b'{"sub":"\\ud800"}'), ("invalid", "bad_claim", True)),
        (lambda: issuer().signed(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"), ("invalid", "bad_claim", True)),
    ],
)
def test_what_is_no_token_or_not_the_issuers_has_its_reason(make: Any, expected: Any) -> None:
    assert said(make()) == expected


def test_of_a_token_that_is_not_authentic_nothing_is_said() -> None:
    verdict = verifier()(_turned(issuer().token()))
    assert (verdict.subject, verdict.issuer, verdict.scopes, verdict.claims) == (None, None, (), {})


def test_an_authentic_token_that_is_refused_says_whose_it_is() -> None:
    verdict = verifier()(issuer().token(exp=300))
    assert (verdict.subject, verdict.client_id, verdict.expires_at) == ("41", "web", 300)


def test_the_types_and_claims_of_other_issuers_can_be_allowed() -> None:
    plain = {"client_id": ..., "jti": ..., "iat": ...}
    assert said(issuer().token(header={"typ": "JWT"}, **plain), typ=("JWT", None)) == ("success", None, True)
    assert said(issuer().token(header={"typ": ...}, **plain), typ=("JWT", None)) == ("success", None, True)
    assert said(issuer().token(exp=...), typ=(None, "at+jwt"), required=()) == ("invalid", "missing_claim", True)
    assert said(issuer().token(client_id=..., azp="web"), required=("sub",)) == ("success", None, True)
    assert said(issuer().token(), required=("tenant",)) == ("invalid", "missing_claim", True)
    header = {"jku": "https://issuer.test/keys"}
    assert said(issuer().token(header=header), ignored_headers=("jku",)) == ("success", None, True)
    bound = {"cnf": {"x5t#S256": "of a certificate"}}
    assert said(issuer().token(**bound), confirmations=("x5t#S256",)) == ("success", None, True)


def test_a_public_key_is_no_secret() -> None:
    """RFC 8725 §2.1: the public key, which everybody has, used as the secret of HS256."""
    from cryptography.hazmat.primitives import serialization

    native = issuer("RS256").key.public_key
    pem = native.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    forged = jwt(issuer().claims(), header={"alg": "HS256", "kid": "k1", "typ": "at+jwt"})
    both = verifier(issuer("RS256"), algorithms=("RS256", "HS256"))
    assert (both(forged).outcome, both(forged).reason) == (Outcome.INVALID, "unknown_kid")
    with pytest.raises(ConfigurationError, match="public key"):
        Keys.from_secret(pem)


def test_one_key_has_one_algorithm() -> None:
    """RFC 8725 §3.1: a key that says PS256 verifies no RS256, and one that says nothing only what is allowed first."""
    ps256, rs256 = issuer("PS256"), issuer("RS256")
    both = ("RS256", "PS256")
    as_rs256 = Issuer.__new__(Issuer)
    as_rs256.__dict__.update(ps256.__dict__, alg="RS256")
    assert verifier(ps256, algorithms=both)(as_rs256.token()).reason == "unknown_kid"
    silent = Keys.from_jwk({name: value for name, value in rs256.jwk.items() if name != "alg"})
    assert verifier(keys=silent, algorithms=both)(rs256.token()).accepted
    assert verifier(keys=silent, algorithms=both[::-1])(rs256.token()).reason == "unknown_kid"


def test_a_token_without_kid_is_tried_with_few_keys_at_most() -> None:
    many = [Issuer("ES256", f"k{number}") for number in range(9)]
    token = many[0].token(header={"kid": ...})
    assert verifier(*many[:8])(token).accepted
    assert verifier(*many)(token).reason == "unknown_kid"


@pytest.mark.parametrize(
    ("argument", "value", "says"),
    [
        ("issuer", "", "iss"),
        ("audience", (), "aud"),
        ("audience", "", "aud"),
        ("algorithms", (), "RS256"),
        ("algorithms", ("none",), "none"),
        ("algorithms", ("RS257",), "RS257"),
        ("leeway", 301, "300"),
        ("leeway", -1, "300"),
        ("typ", (), r"at\+jwt"),
        ("ignored_headers", ("crit",), "jku"),
        ("keys", "https://issuer.test/keys", "Jwks"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_would_do(argument: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        verifier(**{argument: value})


class _Gone:
    def find(self, kid: str | None) -> Any:
        raise KeysUnavailable(7)

    async def afind(self, kid: str | None) -> Any:
        raise KeysUnavailable(7)


def test_keys_that_cannot_be_had_are_no_fault_of_the_token() -> None:
    without = verifier(keys=_Gone())
    for verdict in (without(issuer().token()), asyncio.run(without.averify(issuer().token()))):
        assert (verdict.outcome, verdict.reason, verdict.verified) == (Outcome.ERROR, "keys_unavailable", False)


def test_waiting_or_not_the_verdict_is_the_same() -> None:
    one = verifier()
    for token in (
        issuer().token(),
        issuer().token(exp=At(-300)),
        opaque(),
        "a.b.c",
        issuer().token(header={"kid": "k2"}),
    ):
        assert one(token) == asyncio.run(one.averify(token))


def test_headers_are_remembered_up_to_a_bound() -> None:
    one = verifier()
    for number in range(2000):
        one(jwt({}, header={"alg": "ES256", "kid": f"{number}"}))
    assert 0 < len(one._headers) <= 256
    one(issuer().token(header={"x5c": ["A" * 1000]}))
    assert max(map(len, one._headers)) <= 512


def test_what_is_no_header_is_not_remembered() -> None:
    """It may be a piece of another token that has dots."""
    one, other = verifier(), f"{opaque()}.{opaque()}.{opaque()}"
    one(other)
    one(jwt(header=opaque().encode()))
    assert one._headers == {}


def test_a_header_may_be_long_but_not_huge() -> None:
    assert said(issuer().token(header={"x5c": ["A" * 5000]})) == ("success", None, True)
    assert said(issuer().token(header={"x5c": ["A" * 7000]})) == ("malformed", "bad_header", False)


@settings(max_examples=150)
@given(
    st.text(max_size=200)
    | st.binary(max_size=100).map(b64)
    | st.lists(st.binary(max_size=60), min_size=2, max_size=5).map(lambda parts: ".".join(map(b64, parts)))
)
@example("é.é.é")
@example("\ud800.a.b")
def test_whatever_is_presented_there_is_a_verdict(token: str) -> None:
    verdict = verifier()(token)
    assert not verdict.accepted
    assert verdict.reason in REASONS
    assert not verdict.verified


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "scope", "scp", "cnf", "jti", "client_id", "azp"])


@settings(max_examples=150)
@given(
    st.dictionaries(_NAMES, _JSON, max_size=4),
    st.dictionaries(st.sampled_from(["kid", "typ", "crit", "x5u", "cty"]), _JSON, max_size=2),
)
def test_whatever_claims_are_signed_there_is_a_verdict(claims: dict[str, Any], header: dict[str, Any]) -> None:
    one = verifier(issuer("HS256"))
    verdict = one(issuer("HS256").token(header=header, **claims))
    assert verdict.reason is None or verdict.reason in REASONS
    json.dumps([verdict.subject, verdict.client_id, verdict.issuer, *verdict.scopes], ensure_ascii=False).encode()


def test_no_text_of_ours_holds_a_token() -> None:
    token = issuer().token()
    one = verifier()
    verdict = one(token)
    assert leaked(token, repr(one), repr(verdict), repr(one._headers), str(_Gone())) == []


def test_the_event_hears_of_a_refusal_and_of_whom_was_let_in() -> None:
    context = RequestContext("0123456789")
    reset = current.set(context)
    try:
        verifier()(issuer().token(exp=At(-300))).record()
    finally:
        current.reset(reset)
    assert context.decision is not None
    assert (context.decision.outcome, context.decision.verified) == (Outcome.EXPIRED, True)
