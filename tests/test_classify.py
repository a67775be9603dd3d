"""What a credential tells by itself, and what the answer makes of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bearerwatch._jws import MAX_LENGTH
from bearerwatch.classify import NOTHING, Challenge, Presented, State, classify, present
from bearerwatch.context import Decision
from bearerwatch.event import REASONS, Outcome
from fakes import b64, jwt, opaque

JWE = b'{"alg":"dir","enc":"A256GCM"}'
NOW = 1_800_000_000.0
GOOD = jwt({"sub": "u", "exp": NOW + 600})
STALE = jwt({"sub": "u", "exp": NOW - 600})
EARLY = jwt({"sub": "u", "nbf": NOW + 600})
UNSIGNED = jwt({"sub": "u", "exp": NOW + 600}, header={"alg": "none"}, signature="")


def show(credential: str, scheme: str | None = "bearer", *, carries: bool | None = None) -> Presented:
    carries = scheme in ("bearer", "token") if carries is None else carries
    return present(scheme, credential, carries_token=carries)


# -- what was presented --------------------------------------------------------------------------------


def test_a_jwt_is_read_but_nothing_of_it_established() -> None:
    shown = show(
        jwt(
            {
                "iss": "https://issuer.test",
                "sub": 4711,
                "azp": "web",
                "scope": "read write",
                "exp": NOW + 0.9,
                "nbf": NOW,
            }
        )
    )
    assert shown.state == State.FINE
    assert (shown.token_kind, shown.issuer, shown.subject) == ("jwt", "https://issuer.test", "4711")
    assert (shown.client_id, shown.scopes, shown.expires_at) == ("web", "read write", int(NOW))
    assert shown.reason is None


@pytest.mark.parametrize("spelling", ["none", "None", "NONE", "nOnE"])
def test_alg_none_in_any_spelling_is_told(spelling: str) -> None:
    token = jwt({"sub": "u"}, header={"alg": spelling}, signature="")
    assert show(token).alg_none
    assert not show(jwt(header={"alg": "none", "enc": "x"}) + ".a.b").alg_none  # a JWE's alg is another thing


@pytest.mark.parametrize("alg", [None, 1, [], {"none": 1}, "nonesuch", True])
def test_an_alg_of_another_kind_is_not_none(alg: Any) -> None:
    assert not show(jwt(header={"alg": alg, "typ": "JWT"})).alg_none


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("exp", "tomorrow"),
        ("exp", True),
        ("exp", None),
        ("exp", [1]),
        ("exp", 2**53),
        ("exp", -(2**60)),
        ("exp", 1e300),
        ("exp", {"a": 1}),
        ("nbf", "1"),
        ("nbf", 2.0**54),
        ("sub", {"name": "x"}),
        ("sub", True),
        ("sub", ""),
        ("sub", 1.5),
        ("iss", ["a"]),
        ("azp", 1.5),
        ("scope", 7),
        ("scope", {}),
        ("scp", [1, None]),
    ],
)
def test_a_claim_of_another_type_counts_as_not_said(claim: str, value: Any) -> None:
    names = {"exp": "expires_at", "nbf": "not_before", "sub": "subject", "iss": "issuer", "azp": "client_id"}
    shown = show(jwt({claim: value}))
    assert shown.state == State.FINE
    assert getattr(shown, names.get(claim, "scopes")) is None


@pytest.mark.parametrize("raw", ["1e400", "-1e400", "NaN", "Infinity", "9" * 5000])
def test_a_number_beyond_all_numbers_leaves_no_claims(raw: str) -> None:
    shown = show(jwt(f'{{"exp":{raw}}}'.encode()))
    assert shown.state == State.FINE
    assert shown.expires_at is None


def test_long_claims_are_cut() -> None:
    shown = show(jwt({"iss": "i" * 3000, "sub": "s" * 3000, "azp": 10**300, "scp": ["x"] * 600}))
    assert [len(text or "") for text in (shown.issuer, shown.subject)] == [256, 256]
    assert len(shown.scopes or "") == 512


@pytest.mark.parametrize(
    ("credential", "scheme", "state", "reason", "kind"),
    [
        (opaque(), "bearer", State.FINE, None, "opaque"),
        ("short", "bearer", State.FINE, None, "opaque"),
        (f"v4.public.{opaque(40)}", "bearer", State.FINE, None, "paseto"),
        (f"v4.local.{opaque(40)}.{opaque(8)}", "bearer", State.FINE, None, "paseto"),
        ("a.b", "bearer", State.FINE, None, "opaque"),
        (f"{b64(JWE)}..a.b.c", "bearer", State.FINE, None, "jwe"),
        ("a.b.c", "bearer", State.SUSPECT, "not_jwt", "opaque"),
        (f"eyJ{opaque(30)}", "bearer", State.SUSPECT, "not_jwt", "opaque"),
        (f"{b64(b'{broken')}.{b64(b'{}')}.sig", "bearer", State.SUSPECT, "not_jwt", "opaque"),
        ("", "bearer", State.BROKEN, "empty_token", None),
        ("two words", "bearer", State.BROKEN, "bad_characters", None),
        ("tok\x00en" * 4, "bearer", State.BROKEN, "bad_characters", None),
        ("tok\r\nX-Evil: 1", "bearer", State.BROKEN, "bad_characters", None),
        ("tok\x1b[31m", "bearer", State.BROKEN, "bad_characters", None),
        ("tök", "bearer", State.BROKEN, "bad_characters", None),
        ("\ud800\udfff", "bearer", State.BROKEN, "bad_characters", None),
        ("a==b", "bearer", State.BROKEN, "bad_characters", None),
        ("tok\n", "bearer", State.BROKEN, "bad_characters", None),
        ('"quoted"', "bearer", State.BROKEN, "bad_characters", None),
        (f"{opaque()}, Bearer {opaque()}", "bearer", State.BROKEN, "multiple_tokens", None),
        (f"{opaque()},Bearer {opaque()}", "bearer", State.BROKEN, "multiple_tokens", None),
        ("x" * (MAX_LENGTH + 1), "bearer", State.BROKEN, "too_long", None),
        ("x" * 1_000_000, "bearer", State.BROKEN, "too_long", None),
        ("dXNlcjpwYXNzd29yZA==", "basic", State.OTHER, "wrong_scheme", None),
        ("whatever", "unheard-of", State.OTHER, "wrong_scheme", None),
        (opaque(), None, State.OTHER, "wrong_scheme", None),
        (GOOD, None, State.FINE, "wrong_scheme", "jwt"),
    ],
)
def test_what_is_presented(credential: str, scheme: str | None, state: int, reason: str | None, kind: Any) -> None:
    shown = show(credential, scheme)
    assert (shown.state, shown.reason, shown.token_kind) == (state, reason, kind)
    assert reason is None or reason in REASONS


def test_a_word_that_is_no_scheme_is_not_kept() -> None:
    """It may be a piece of a token."""
    assert show("x", "s3cr3tpiece").scheme == "other"
    assert show("x", "digest").scheme == "digest"


# -- what the answer makes of it -----------------------------------------------------------------------

INVALID = 'Bearer realm="x", error="invalid_token"'
REVOKED = 'Bearer error="invalid_token", error_description="The token was Revoked"'
EXPIRED = 'Bearer error="invalid_token", error_description="The access token expired"'
SCOPE = 'Bearer error="insufficient_scope", scope="orders:write orders:read"'


@pytest.mark.parametrize(
    ("credential", "status", "challenge", "outcome", "reason"),
    [
        (None, 200, None, "anonymous", None),
        (None, 302, None, "anonymous", None),
        (None, 404, None, "anonymous", None),
        (None, 401, "Bearer", "missing", None),
        (None, 403, None, "missing", None),
        (None, 429, None, "throttled", None),
        (None, 500, None, "error", None),
        (None, 499, None, "error", "client_closed"),
        (GOOD, 101, None, "success", None),
        (GOOD, 200, None, "success", None),
        (GOOD, 304, None, "success", None),
        (GOOD, 401, None, "invalid", None),
        (GOOD, 401, INVALID, "invalid", None),
        (GOOD, 400, INVALID, "invalid", None),
        (GOOD, 403, None, "forbidden", None),
        (GOOD, 403, INVALID, "invalid", None),
        (GOOD, 403, SCOPE, "insufficient_scope", None),
        (GOOD, 401, SCOPE, "insufficient_scope", None),
        (GOOD, 401, REVOKED, "revoked", None),
        (GOOD, 401, EXPIRED, "expired", "past_exp"),
        (GOOD, 429, None, "throttled", None),
        (GOOD, 503, None, "error", None),
        (STALE, 401, None, "expired", "past_exp"),
        (STALE, 401, INVALID, "expired", "past_exp"),
        (STALE, 401, REVOKED, "revoked", None),
        (STALE, 200, None, "success", "past_exp"),
        (EARLY, 401, None, "invalid", "not_yet_valid"),
        (UNSIGNED, 401, None, "invalid", "alg_none"),
        (UNSIGNED, 200, None, "success", "alg_none"),
        ("a.b.c", 401, None, "malformed", "not_jwt"),
        ("a.b.c", 422, None, "malformed", "not_jwt"),
        ("a.b.c", 200, None, "success", None),
        ("", 401, INVALID, "malformed", "empty_token"),
        ("", 400, None, "malformed", "empty_token"),
        ("two words", 401, None, "malformed", "bad_characters"),
        ("two words", 400, 'Bearer error="invalid_request"', "malformed", "bad_characters"),
        ("two words", 200, None, "anonymous", "token_ignored"),
        ("x" * 20_000, 401, None, "malformed", "too_long"),
    ],
)
def test_the_outcome(
    credential: str | None, status: int, challenge: str | None, outcome: str, reason: str | None
) -> None:
    shown = NOTHING if credential is None else show(credential)
    verdict = classify(shown, status, challenge, None, NOW)
    assert (verdict.outcome.value, verdict.reason) == (outcome, reason)
    assert not verdict.verified


def test_another_scheme_is_no_token() -> None:
    shown = show("dXNlcjpwYXNzd29yZA==", "basic")
    assert classify(shown, 200, None, None, NOW).outcome is Outcome.ANONYMOUS
    assert classify(shown, 401, "Bearer", None, NOW)[:2] == (Outcome.MISSING, "wrong_scheme")


def test_a_token_without_its_scheme_is_refused_as_such() -> None:
    assert classify(show(GOOD, None), 401, None, None, NOW)[:2] == (Outcome.INVALID, "wrong_scheme")


def test_the_scopes_that_were_needed_are_kept() -> None:
    assert classify(show(GOOD), 403, SCOPE, None, NOW).required_scopes == "orders:write orders:read"


def test_a_service_may_allow_for_clock_skew() -> None:
    just_past = show(jwt({"exp": NOW - 30}))
    assert classify(just_past, 200, None, None, NOW)[:2] == (Outcome.SUCCESS, None)
    assert classify(just_past, 401, None, None, NOW)[:2] == (Outcome.EXPIRED, "past_exp")


def test_what_the_application_says_wins() -> None:
    decision = Decision(Outcome.REVOKED, reason="unknown_token", verified=True, required_scopes="a")
    for status in (200, 401, 404):
        verdict = classify(show(GOOD), status, SCOPE, decision, NOW)
        assert verdict == (Outcome.REVOKED, "unknown_token", True, "a")


def test_what_can_be_no_token_is_malformed_though_a_library_looked_for_it() -> None:
    noted = Decision(Outcome.INVALID, reason="unknown_token")
    verdict = classify(show("not!a!token!at!all"), 401, None, None, NOW, noted=noted)
    assert verdict == (Outcome.MALFORMED, "bad_characters", False, None)
    assert classify(show(opaque()), 401, None, None, NOW, noted=noted)[:2] == (Outcome.INVALID, "unknown_token")


# -- the challenge -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "error", "description", "scope"),
    [
        (None, None, "", None),
        ("", None, "", None),
        ("Bearer", None, "", None),
        ("Bearer error=invalid_token", "invalid_token", "", None),
        ('Basic realm="a", Bearer error = "invalid_token" , scope="a b"', "invalid_token", "", "a b"),
        ('bearer ERROR="invalid_token", Error_Description="Token \\"x\\" REVOKED"', "invalid_token", None, None),
        ('Bearer realm="error=\\"insufficient_scope\\""', None, "", None),
        ('Bearer error="unclosed', None, "", None),
        ("Bearer " + "a" * 100_000, None, "", None),
        ('Bearer error="' + "a" * 600 + '"', None, "", None),
        ("\x00\x1b\ud800=,,,===", None, "", None),
    ],
)
def test_a_challenge_is_read(header: str | None, error: str | None, description: str | None, scope: str | None) -> None:
    challenge = Challenge.parse(header)
    assert (challenge.error, challenge.scope) == (error, scope)
    if description is None:
        assert "revoked" in challenge.description
    else:
        assert challenge.description == description


def test_a_description_that_names_every_reason_there_is_names_none() -> None:
    said = "The access token provided is expired, revoked, malformed, or invalid for other reasons."
    header = f'Bearer error="invalid_token", error_description="{said}"'  # RFC 6750 §3.1
    assert classify(show(opaque()), 401, header, None, NOW)[:2] == (Outcome.INVALID, None)
    assert classify(show(jwt({"exp": NOW - 1})), 401, header, None, NOW)[:2] == (Outcome.EXPIRED, "past_exp")
    assert classify(show(jwt({"exp": NOW + 9})), 401, header, None, NOW)[:2] == (Outcome.INVALID, None)


HOSTILE = [
    "a" * 5000,
    "a=" * 2500,
    'a="' * 1700,
    "a ,\t" * 1200,
    '="\\' * 1700,
    ", a " * 1000,
    "a.b" * 1700,
    "\t" * 5000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_header_takes_long_to_read(text: str) -> None:
    began = time.process_time()
    Challenge.parse(text)
    present("bearer", text, carries_token=True)
    present("bearer", f"x, {text}", carries_token=True)
    assert time.process_time() - began < 0.1


# -- anything ------------------------------------------------------------------------------------------

CREDENTIALS = (
    st.text(max_size=80)
    | st.binary(max_size=80).map(lambda raw: raw.decode("latin-1"))
    | st.builds(
        lambda header, claims, tail: f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}.{tail}",
        st.dictionaries(st.sampled_from(["alg", "typ", "enc", "kid"]), st.none() | st.text() | st.floats()),
        st.dictionaries(
            st.sampled_from(["exp", "nbf", "sub", "iss", "azp", "client_id", "scope", "scp"]),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text() | st.none()),
        ),
        st.text("abc_-.", max_size=6),
    )
)


@given(
    CREDENTIALS,
    st.sampled_from([None, "bearer", "basic", "?"]),
    st.integers(100, 599),
    st.none() | st.text(max_size=60) | st.sampled_from([SCOPE, REVOKED, EXPIRED]),
)
def test_everything_has_an_outcome(credential: str, scheme: str | None, status: int, challenge: str | None) -> None:
    verdict = classify(show(credential, scheme), status, challenge, None, NOW)
    assert isinstance(verdict.outcome, Outcome)
    if status < 400:
        assert verdict.outcome in (Outcome.SUCCESS, Outcome.ANONYMOUS)
    if status in (401, 403):
        assert verdict.outcome not in (Outcome.SUCCESS, Outcome.ANONYMOUS)
    assert verdict.reason is None or verdict.reason in REASONS
