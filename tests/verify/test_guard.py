"""The guard: where a token may stand, who verifies it, and what a refused request is answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bearerwatch import _guard
from bearerwatch.context import RequestContext, current
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import REASONS, Outcome
from bearerwatch.fingerprint import KeyRing, fingerprint, ring, use
from bearerwatch.verify.answers import ANYTHING, Need
from bearerwatch.verify.dpop import DpopProofs, Nonces
from bearerwatch.verify.guard import Admission, Asked, Guard
from bearerwatch.verify.jwt import JwtVerifier
from bearerwatch.verify.keys import Keys, KeysUnavailable
from bearerwatch.verify.verdict import Verdict
from fakes import leaked, opaque
from issuers import AUDIENCE, ISSUER, issuer
from proofs import Sender

Admit = Callable[..., Admission]
URL = "https://api.test/orders"
SENDER = Sender()


@pytest.fixture(params=["sync", "async"])
def admit(request: pytest.FixtureRequest) -> Admit:
    if request.param == "sync":
        return lambda guard, asked, need=ANYTHING: guard(asked, need)
    return lambda guard, asked, need=ANYTHING: asyncio.run(guard.admit(asked, need))


def jwts(**more: Any) -> JwtVerifier:
    known = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ("ES256",), "keys": Keys.from_jwk(issuer().jwk)}
    return JwtVerifier(**(known | more))


def bearer(token: str, **more: Any) -> Asked:
    return Asked("GET", URL, (f"Bearer {token}",), **more)


def dpop(token: str, *proofs: str, **more: Any) -> Asked:
    return Asked("GET", URL, (f"DPoP {token}",), proofs=proofs, **more)


def told(admission: Admission) -> tuple[str, str | None, int, str | None]:
    answer = admission.answer
    assert answer is not None
    assert json.loads(answer.body)["status"] == answer.status
    return admission.verdict.outcome.value, admission.verdict.reason, answer.status, answer.challenge


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked("GET", URL), ("missing", None, 401, "Bearer")),
        (Asked("GET", URL, ("",)), ("missing", "wrong_scheme", 401, "Bearer")),
        (Asked("GET", URL, ("Basic Ym9iOm9mIG5vIHVzZQ==",)), ("missing", "wrong_scheme", 401, "Bearer")),
        (Asked("GET", URL, query="access_token=x"), ("missing", "query_token", 401, "Bearer")),
        (Asked("GET", URL, query="access%5Ftoken=x"), ("missing", "query_token", 401, "Bearer")),
        (Asked("GET", URL, query="a=%20&access_token="), ("missing", None, 401, "Bearer")),
        (Asked("GET", URL, ("Bearer",)), ("malformed", "empty_token", 400, 'Bearer error="invalid_request"')),
        (Asked("GET", URL, ("bearer ",)), ("malformed", "empty_token", 400, 'Bearer error="invalid_request"')),
        (
            Asked("GET", URL, ("Bearer aaaaaaaaaaaaaaaaaa", "Bearer bbbbbbbbbbbbbbbbbb")),
            ("malformed", "multiple_tokens", 400, 'Bearer error="invalid_request"'),
        ),
        (
            Asked("GET", URL, ("Basic Ym9iOm9mIG5vIHVzZQ==", "Bearer bbbbbbbbbbbbbbbbbb")),
            ("malformed", "multiple_tokens", 400, 'Bearer error="invalid_request"'),
        ),
        (
            Asked("GET", URL, ("Bearer aaaaaaaaaaaaaaaaaa,Bearer bbbbbbbbbbbbbbbbbb",)),
            ("malformed", "multiple_tokens", 400, 'Bearer error="invalid_request"'),
        ),
        (
            bearer(issuer().token(), query="access_token=x"),
            ("malformed", "multiple_tokens", 400, 'Bearer error="invalid_request"'),
        ),
        (bearer('"quoted"'), ("malformed", "bad_characters", 401, 'Bearer error="invalid_token"')),
        (bearer("x" * 20_000), ("malformed", "too_long", 401, 'Bearer error="invalid_token"')),
        (bearer(issuer().token(exp=7)), ("expired", "past_exp", 401, 'Bearer error="invalid_token"')),
        (bearer(issuer().token(aud="x")), ("invalid", "wrong_audience", 401, 'Bearer error="invalid_token"')),
        (dpop(issuer().token(), "x"), ("missing", "wrong_scheme", 401, "Bearer")),
    ],
)
def test_each_refusal_has_its_answer(admit: Admit, asked: Asked, expected: Any) -> None:
    assert told(admit(Guard(jwts()), asked)) == expected


def test_a_good_token_is_let_in(admit: Admit) -> None:
    admission = admit(Guard(jwts()), bearer(issuer().token()))
    assert admission.answer is None
    assert admission.verdict.subject == "41"
    assert admit(Guard(jwts()), Asked("GET", URL, (f"bEARER   {issuer().token()}  ",))).answer is None


def test_scopes_are_asked_for_all_together(admit: Admit) -> None:
    guard, asked = Guard(jwts(), realm="orders"), bearer(issuer().token(scope="read list"))
    assert admit(guard, asked, Need.of("read list")).answer is None
    assert told(admit(guard, asked, Need.of(["read", "write"]))) == (
        "insufficient_scope",
        None,
        403,
        'Bearer realm="orders", error="insufficient_scope", scope="read write"',
    )


def test_a_more_recent_or_stronger_sign_in_can_be_asked_for(admit: Admit) -> None:
    """RFC 9470."""
    guard, now = Guard(jwts()), int(time.time())
    old = bearer(issuer().token(auth_time=now - 600, acr="pwd"))
    assert admit(guard, old, Need.of(max_age=900)).answer is None
    assert admit(guard, old, Need.of(acr_values="pwd mfa")).answer is None
    assert told(admit(guard, old, Need.of(max_age=300))) == (
        "forbidden",
        "not_fresh",
        401,
        'Bearer error="insufficient_user_authentication", max_age="300"',
    )
    assert told(admit(guard, old, Need.of(acr_values=["mfa"]))) == (
        "forbidden",
        "weak_sign_in",
        401,
        'Bearer error="insufficient_user_authentication", acr_values="mfa"',
    )
    assert told(admit(guard, bearer(issuer().token()), Need.of(max_age=300)))[1] == "not_fresh"


class _Gone:
    def find(self, kid: str | None) -> Any:
        raise KeysUnavailable(7.2)

    async def afind(self, kid: str | None) -> Any:
        raise KeysUnavailable(7.2)


def test_without_keys_the_service_is_unavailable_and_the_token_not_refused(admit: Admit) -> None:
    admission = admit(Guard(jwts(keys=_Gone())), bearer(issuer().token()))
    assert told(admission) == ("error", "keys_unavailable", 503, None)
    assert admission.answer is not None
    assert admission.answer.retry_after == 8


def test_revoked_tokens_are_told_by_any_of_their_fingerprints(admit: Admit) -> None:
    token = issuer().token()
    for known in (fingerprint(token), ring().presented_id(token)):
        found = admit(Guard(jwts(), revoked={known}), bearer(token))
        assert told(found) == ("revoked", "blacklisted", 401, 'Bearer error="invalid_token"')
        assert found.verdict.verified
    assert admit(Guard(jwts(), revoked={fingerprint(issuer().token())}), bearer(token)).answer is None


def test_a_list_that_knows_whole_tokens_is_asked_for_those(admit: Admit) -> None:
    """As ``Revocations`` does, which knows when it is empty."""

    class Empty:
        def __contains__(self, _: object) -> bool:
            raise AssertionError("asked by a fingerprint")

        def holds(self, token: str) -> bool:
            return token == revoked

    revoked = issuer().token()
    guard = Guard(jwts(), revoked=Empty())
    assert told(admit(guard, bearer(revoked)))[:2] == ("revoked", "blacklisted")
    assert admit(guard, bearer(issuer().token())).answer is None


def test_revoked_under_the_key_before(admit: Admit) -> None:
    token, old, new = issuer().token(), b"the key before this one", b"the key that came after"
    revoked = {KeyRing([old]).token_id(token)}
    use(KeyRing([new, old]))
    assert admit(Guard(jwts(), revoked=revoked), bearer(token)).verdict.outcome is Outcome.REVOKED


def _asked_elsewhere(token: str) -> Verdict:
    known = token.startswith("good")
    return Verdict(outcome=Outcome.SUCCESS if known else Outcome.INVALID, reason=None if known else "unknown_token")


def test_each_kind_of_token_has_its_verifier(admit: Admit) -> None:
    both = Guard(jwts(), opaque=_asked_elsewhere)
    assert admit(both, bearer(issuer().token())).answer is None
    assert admit(both, bearer(f"good{opaque()}")).answer is None
    assert admit(both, bearer("good.with.dots")).answer is None
    assert told(admit(both, bearer(opaque())))[1] == "unknown_token"
    assert told(admit(Guard(opaque=_asked_elsewhere), bearer(issuer().token())))[1] == "unknown_token"
    assert told(admit(Guard(jwts()), bearer(opaque())))[:3] == ("malformed", "not_jwt", 401)


def test_each_issuer_has_its_verifier(admit: Admit) -> None:
    other = issuer("RS256", "k2")
    elsewhere = jwts(issuer="https://other.test", algorithms=("RS256",), keys=Keys.from_jwk(other.jwk))
    two = Guard([jwts(), elsewhere])
    assert admit(two, bearer(issuer().token())).answer is None
    assert admit(two, bearer(other.token(iss="https://other.test"))).answer is None
    assert told(admit(two, bearer(other.token())))[1] == "alg_not_allowed"
    assert told(admit(two, bearer(issuer().token(iss="https://third.test"))))[1] == "wrong_issuer"
    assert told(admit(two, bearer(issuer().token(iss=["x"]))))[1] == "bad_claim"
    with pytest.raises(ConfigurationError, match="issuer"):
        Guard([jwts(), jwts()])


def test_what_a_verifier_raises_lets_nobody_in(admit: Admit, swallowing: None) -> None:
    def broken(token: str) -> Verdict:
        raise RuntimeError(token)

    class Broken:
        def __contains__(self, _: object) -> bool:
            raise OSError("gone")

    for guard in (Guard(opaque=broken), Guard(jwts(), revoked=Broken())):
        context = RequestContext("0123456789")
        reset = current.set(context)
        try:
            assert told(admit(guard, bearer(issuer().token()))) == ("error", "exception", 503, None)
        finally:
            current.reset(reset)
        assert context.decision is not None  # a coroutine of the same request sees the same context
        assert context.decision.outcome is Outcome.ERROR
    assert _guard.counts() == {"verifying a token": 2}


def bound(**more: Any) -> str:
    return issuer().token(cnf={"jkt": SENDER.jkt}, **more)


def test_a_bound_token_needs_its_proof_and_another_takes_none(admit: Admit) -> None:
    """RFC 9449 §7: a stolen token is of no use, neither alone nor with a key of the thief's."""
    guard, token, plain = Guard(jwts(), dpop=DpopProofs(algorithms=("ES256",))), bound(), issuer().token()
    other = ", Bearer"
    assert admit(guard, dpop(token, SENDER.proof(token))).answer is None
    assert admit(guard, bearer(plain)).answer is None
    assert told(admit(guard, bearer(token))) == (
        "invalid",
        "missing_proof",
        401,
        'Bearer error="invalid_token", DPoP algs="ES256"',
    )
    assert told(admit(guard, bearer(token, proofs=(SENDER.proof(token),))))[1] == "missing_proof"
    assert told(admit(guard, dpop(token)))[1] == "missing_proof"
    assert told(admit(guard, dpop(token, Sender().proof(token))))[1] == "not_bound"
    assert told(admit(guard, dpop(plain, SENDER.proof(plain))))[1] == "not_bound"
    assert told(admit(guard, dpop(token, "x"))) == (
        "invalid",
        "bad_proof",
        401,
        f'DPoP error="invalid_dpop_proof", algs="ES256"{other}',
    )
    assert told(admit(Guard(jwts()), bearer(token)))[1] == "missing_proof"
    strict = Guard(jwts(), dpop=DpopProofs(), bearer=False)
    assert told(admit(strict, bearer(plain)))[1] == "missing_proof"
    assert admit(strict, dpop(token, SENDER.proof(token))).answer is None


def test_binding_is_looked_at_whoever_has_verified(admit: Admit) -> None:
    def introspected(_token: str) -> Verdict:
        return Verdict(outcome=Outcome.SUCCESS, verified=True, claims={"cnf": {"jkt": SENDER.jkt}})

    guard, token = Guard(opaque=introspected, dpop=DpopProofs()), opaque()
    assert told(admit(guard, bearer(token)))[1] == "missing_proof"
    assert told(admit(guard, dpop(token, Sender().proof(token))))[1] == "not_bound"
    assert admit(guard, dpop(token, SENDER.proof(token))).answer is None


def test_a_proof_is_taken_once_and_not_used_up_by_who_is_refused(admit: Admit) -> None:
    guard, token = Guard(jwts(), dpop=DpopProofs()), bound()
    proof = SENDER.proof(token)
    assert admit(guard, dpop(token, proof)).answer is None
    assert told(admit(guard, dpop(token, proof)))[1] == "replayed_proof"
    assert len(guard._dpop._replays._until) == 1  # type: ignore[union-attr]
    expired = bound(exp=7)
    assert told(admit(guard, dpop(expired, SENDER.proof(expired))))[1] == "past_exp"
    assert len(guard._dpop._replays._until) == 1  # type: ignore[union-attr]


def test_a_nonce_is_sent_along_with_the_refusal(admit: Admit) -> None:
    guard, token = Guard(jwts(), dpop=DpopProofs(nonces=Nonces())), bound()
    refused = admit(guard, dpop(token, SENDER.proof(token)))
    assert told(refused)[1] == "nonce_wanted"
    assert refused.answer is not None
    assert 'DPoP error="use_dpop_nonce"' in (refused.answer.challenge or "")
    nonce = dict(refused.answer.headers)["DPoP-Nonce"]
    assert admit(guard, dpop(token, SENDER.proof(token, nonce=nonce))).answer is None


def test_behind_a_proxy_proofs_name_what_clients_call_the_service(admit: Admit) -> None:
    guard, token = Guard(jwts(), dpop=DpopProofs(), base_url="https://api.test/"), bound()
    inside = dpop(token, SENDER.proof(token))._replace(url="http://10.0.0.7:8000/orders")
    assert admit(guard, inside).answer is None


def test_the_event_hears_of_what_was_refused_and_of_whom_was_let_in() -> None:
    def heard(asked: Asked, need: Need) -> RequestContext:
        context = RequestContext("0123456789")
        reset = current.set(context)
        try:
            Guard(jwts())(asked, need)
        finally:
            current.reset(reset)
        return context

    refused = heard(bearer(issuer().token(scope="list")), Need.of("read")).decision
    assert refused is not None
    assert (refused.outcome, refused.required_scopes, refused.scopes) == (Outcome.INSUFFICIENT_SCOPE, "read", "list")
    let_in = heard(bearer(issuer().token()), Need.of("read"))
    assert let_in.decision is None
    assert let_in.noted is not None
    assert (let_in.noted.subject, let_in.noted.required_scopes) == ("41", "read")
    missing = heard(Asked("GET", URL, query="access_token=x"), Need()).decision
    assert missing is not None
    assert (missing.outcome, missing.reason) == (Outcome.MISSING, "query_token")


def test_a_token_may_be_optional_and_is_verified_where_it_is_there() -> None:
    guard = Guard(jwts())
    context = RequestContext("0123456789")
    reset = current.set(context)
    try:
        without = guard(Asked("GET", URL), optional=True)
        also = asyncio.run(guard.admit(Asked("GET", URL), optional=True))
    finally:
        current.reset(reset)
    assert without == also
    assert (without.answer, without.verdict.outcome, context.decision) == (None, Outcome.MISSING, None)
    assert told(guard(bearer(opaque()), optional=True))[2] == 401
    assert told(guard(Asked("GET", URL, ("Bearer",)), optional=True))[2] == 400


def test_what_can_never_work_is_refused() -> None:
    for wrong in (
        {},
        {"jwt": jwts(), "bearer": False},
        {"jwt": jwts(), "realm": 'a"b'},
        {"jwt": jwts(), "realm": "a\nb"},
    ):
        with pytest.raises(ConfigurationError):
            Guard(**wrong)
    for scope in ('a"b', "a\\b", "a\r\nX: y", "é"):
        with pytest.raises(ConfigurationError):
            Need.of([scope])
    with pytest.raises(ConfigurationError, match="max_age"):
        Need.of(max_age=-1)


def test_metadata_is_named_where_there_is_some() -> None:
    """RFC 9728 §5.1."""
    guard = Guard(jwts(), resource_metadata="https://api.test/.well-known/oauth-protected-resource")
    assert told(guard(Asked("GET", URL)))[3] == (
        'Bearer resource_metadata="https://api.test/.well-known/oauth-protected-resource"'
    )


_TEXT = st.text(max_size=60)


@settings(max_examples=200)
@given(
    st.lists(_TEXT | st.builds("{} {}".format, st.sampled_from(["Bearer", "DPoP", "Basic", ""]), _TEXT), max_size=3),
    _TEXT,
)
def test_whatever_is_sent_the_answer_holds_nothing_of_it(headers: list[str], query: str) -> None:
    guard = Guard(jwts(), dpop=DpopProofs())
    admission = guard(Asked("GET", URL, headers, query=query, proofs=headers))
    assert admission.answer is not None
    said = f"{admission.answer.headers!r}{admission.answer.body!r}{admission!r}"
    ours = repr(guard(Asked("GET", URL, ("Bearer",)))) + " ".join(REASONS)  # examples are drawn from our own words too
    for header in headers:
        assert [piece for piece in leaked(header, said) if piece not in ours] == []
    assert "\n" not in "".join(value for _, value in admission.answer.headers)


def test_no_two_refusals_of_a_token_can_be_told_apart() -> None:
    """Whoever tries tokens does not learn which of the checks each has failed."""
    guard = Guard(jwts(), revoked={fingerprint(revoked := issuer().token())})
    answers = {
        guard(bearer(token)).answer
        and json.dumps([guard(bearer(token)).answer.status, guard(bearer(token)).answer.headers])  # type: ignore[union-attr]
        for token in (revoked, issuer().token(exp=7), issuer().token(aud="x"), opaque(), "a.b.c", "x" * 20_000)
    }
    assert len(answers) == 1
