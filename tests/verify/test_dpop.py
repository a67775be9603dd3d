"""DPoP: a proof holds for one request, one token and one time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch.errors import ConfigurationError
from bearerwatch.fingerprint import KeyRing, use
from bearerwatch.verify.dpop import DpopProofs, Memory, Nonces, Proved, _key, same_url
from bearerwatch.verify.verdict import Verdict
from fakes import at_once, b64, draw, leaked, opaque
from issuers import At, issuer
from proofs import Sender

URL = "https://api.test/orders"
SENDER = Sender()
TOKEN = opaque()


def check(proof: str | list[str], one: DpopProofs | None = None, **more: str) -> Proved | Verdict:
    asked = {"method": "GET", "url": URL, "token": TOKEN} | more
    return (one or DpopProofs())([proof] if isinstance(proof, str) else proof, **asked)


@pytest.mark.parametrize(
    "sender", [SENDER, Sender("Ed25519", "OKP", "Ed25519"), Sender("PS256", "RSA", 2048)], ids=lambda one: one.alg
)
def test_a_proof_that_holds_says_whose_it_is(sender: Sender) -> None:
    found = check(sender.proof(TOKEN))
    assert isinstance(found, Proved)
    assert found.jkt == sender.jkt


@pytest.mark.parametrize(
    "more",
    [
        {"header": {"typ": "JWT"}},
        {"header": {"typ": ...}},
        {"header": {"alg": "none"}},
        {"header": {"alg": "HS256"}},
        {"header": {"alg": "ES384"}},
        {"header": {"alg": 7}},
        {"header": {"jwk": ...}},
        {"header": {"jwk": "a key"}},
        {"header": {"jwk": {"kty": "oct", "k": b64(bytes(32))}}},
        {"header": {"jwk": SENDER.key.as_dict(private=True)}},
        {"header": {"jwk": Sender().key.as_dict(private=False)}},
        {"header": {"jwk": {"kty": "RSA", "e": "AQAB", "n": b64(b"\xff" * 2048)}}},
        {"header": {"crit": ["made up"], "made up": 1}},
        {"jti": ...},
        {"jti": 7},
        {"jti": ""},
        {"jti": "x" * 257},
        {"htm": "POST"},
        {"htm": "get"},
        {"htm": ...},
        {"htu": "https://api.test/others"},
        {"htu": "https://elsewhere.test/orders"},
        {"htu": "http://api.test/orders"},
        {"htu": "/orders"},
        {"htu": ...},
        {"htu": ["https://api.test/orders"]},
        {"iat": At(-120)},
        {"iat": At(60)},
        {"iat": ...},
        {"iat": "1700000000"},
        {"iat": True},
        {"ath": ...},
        {"ath": b64(bytes(32))},
        {"ath": 7},
        {"payload": b"{}"},
        {"payload": b'{"jti":"a","jti":"b"}'},
        {"payload": b"[]"},
    ],
)
def test_a_proof_that_lacks_anything_does_not_hold(more: dict[str, Any]) -> None:
    found = check(SENDER.proof(TOKEN, **more))
    assert isinstance(found, Verdict)
    assert (found.outcome.value, found.reason) == ("invalid", "bad_proof")


def test_a_proof_is_signed_with_what_is_allowed() -> None:
    proof = Sender("Ed25519", "OKP", "Ed25519").proof(TOKEN)
    assert isinstance(check(proof, DpopProofs(algorithms=("Ed25519",))), Proved)
    assert isinstance(check(proof, DpopProofs(algorithms=("ES256",))), Verdict)


@pytest.mark.parametrize("proofs", [[], ["a.b.c"], ["x" * 9000], [""], ["é.é.é"]])
def test_what_is_no_proof_does_not_hold(proofs: list[str]) -> None:
    assert isinstance(check(proofs), Verdict)


def test_two_proofs_are_none() -> None:
    assert isinstance(check([SENDER.proof(TOKEN), SENDER.proof(TOKEN)]), Verdict)


def test_a_proof_is_for_its_token_alone() -> None:
    assert isinstance(check(SENDER.proof(TOKEN), token=opaque()), Verdict)


def test_a_changed_proof_does_not_hold() -> None:
    head, payload, signature = SENDER.proof(TOKEN).split(".")
    turned = "A" if signature[9] != "A" else "B"
    assert isinstance(check(f"{head}.{payload}.{signature[:9]}{turned}{signature[10:]}"), Verdict)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("HTTPS://API.test:443/orders", True),
        ("https://api.test/orders?page=2#top", True),
        ("https://api.test/%6Frders", True),
        ("https://api.test:8443/orders", False),
        ("https://api.test:0/orders", False),
        ("https://user@api.test/orders", False),
        ("https://api.test/orders/", False),
        ("https://api.test/x/../orders", False),
        ("https://api.test/Orders", False),
        ("https://api.test:99999/orders", False),
        ("https://[api.test/orders", False),
        ("", False),
    ],
)
def test_urls_are_compared_normalised(one: str, same: bool) -> None:
    assert same_url(one, URL) is same
    assert same_url(URL, one) is same


def test_a_url_with_dots_in_its_path_is_none() -> None:
    """Whoever reads it elsewhere may take it for another."""
    for dotted in ("https://api.test/x/../orders", "https://api.test/./orders", "https://api.test/%2E%2E"):
        assert not same_url(dotted, dotted)
    assert same_url("https://api.test/..orders", "https://api.test/..orders")


def test_a_key_is_not_larger_than_it_has_to_be() -> None:
    """Its sender picks it, and the work is ours."""
    for bits, taken in ((4096, True), (4352, False)):
        modulus = (draw.getrandbits(bits) | 1 | 1 << bits - 1).to_bytes(bits // 8)
        header = {"typ": "dpop+jwt", "jwk": {"kty": "RSA", "e": "AQAB", "n": b64(modulus)}}
        assert (_key(header) is not None) is taken


def test_an_empty_path_is_the_root() -> None:
    assert same_url("https://api.test", "https://api.test/")
    assert same_url("http://api.test:80", "http://api.test/")


def test_a_proof_is_used_once() -> None:
    one = DpopProofs()
    proof = SENDER.proof(TOKEN)
    found = check(proof, one)
    assert isinstance(found, Proved)
    assert one.used(found) is None
    again = check(proof, one)
    assert isinstance(again, Proved)
    refused = one.used(again)
    assert refused is not None
    assert refused.reason == "replayed_proof"
    other = check(Sender().proof(TOKEN, jti="the same"), one)
    mine = check(SENDER.proof(TOKEN, jti="the same"), one)
    assert isinstance(other, Proved)
    assert isinstance(mine, Proved)
    assert one.used(other) is one.used(mine) is None


def test_of_one_proof_in_many_threads_one_is_the_first() -> None:
    memory, firsts = Memory(), []
    at_once(lambda: firsts.extend(memory.first(str(number), 60) for number in range(1000)), threads=4)
    assert sum(firsts) == 1000


def test_the_memory_is_bounded_and_forgets_in_time() -> None:
    now = 0.0
    memory = Memory(most=100, clock=lambda: now)
    assert all(memory.first(str(number), 60) for number in range(150))
    assert memory.forgotten == 50
    assert len(memory._until) == 100
    assert not memory.first("149", 60)
    now = 61
    assert memory.first("149", 60)
    assert len(memory._until) == 1


def test_nonces_are_asked_for_and_taken_for_a_while() -> None:
    now = 1_000_000.0
    nonces = Nonces(300, clock=lambda: now)
    one = DpopProofs(nonces=nonces)
    for wrong in (..., "made up", 7, "é"):
        found = check(SENDER.proof(TOKEN, nonce=wrong), one)
        assert isinstance(found, Verdict)
        assert found.reason == "nonce_wanted"
    given_out = nonces.current()
    assert isinstance(check(SENDER.proof(TOKEN, nonce=given_out), one), Proved)
    now += 300
    assert isinstance(check(SENDER.proof(TOKEN, nonce=given_out), one), Proved)
    now += 300
    assert isinstance(check(SENDER.proof(TOKEN, nonce=given_out), one), Verdict)


def test_nonces_are_of_the_fingerprint_key() -> None:
    one = Nonces(clock=lambda: 1e6).current()
    use(KeyRing([b"another key, which nobody has seen"]))
    assert Nonces(clock=lambda: 1e6).current() != one
    assert not Nonces(clock=lambda: 1e6).holds(one)


@pytest.mark.parametrize(
    "wrong", [{"algorithms": ("HS256",)}, {"algorithms": ()}, {"max_age": 0}, {"max_age": 601}, {"leeway": -1}]
)
def test_a_wrong_argument_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        DpopProofs(**wrong)


_JSON = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30) | st.lists(st.text(), max_size=2)
_WORDS = st.sampled_from(["RSA", "EC", "OKP", "oct", "AQAB", "P-256", "Ed25519", "sig", "ES256", b64(bytes(256))])
_JWK = st.dictionaries(
    st.sampled_from(["kty", "n", "e", "crv", "x", "y", "alg", "use", "key_ops", "kid"]), _JSON | _WORDS
)


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "crit"]), _JSON | _WORDS | _JWK, max_size=3),
    st.dictionaries(st.sampled_from(["jti", "htm", "htu", "iat", "ath"]), _JSON, max_size=4),
)
def test_whatever_is_in_a_proof_it_holds_or_not(header: dict[str, Any], claims: dict[str, Any]) -> None:
    assert isinstance(check(SENDER.proof(TOKEN, header=header, **claims)), Verdict | Proved)


@settings(max_examples=100)
@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_url_is_comparing_it_tells(one: str, other: str) -> None:
    assert isinstance(same_url(one, other), bool)
    same_url(f"https://{one}", f"https://{other}")


def test_no_text_of_ours_holds_a_proof() -> None:
    one, proof = DpopProofs(), SENDER.proof(issuer().token())
    found = check(proof, one)
    assert leaked(proof, repr(one), repr(found), repr(one._replays)) == []
