"""What a verifier says of a token."""

from __future__ import annotations

import pytest

from bearerwatch.context import RequestContext, current
from bearerwatch.event import Outcome
from bearerwatch.verify.verdict import Verdict


def test_a_verdict_is_not_asked_as_a_truth_value() -> None:
    refused = Verdict(outcome=Outcome.EXPIRED, reason="past_exp", verified=True)
    with pytest.raises(TypeError, match="accepted"):
        bool(refused)
    assert not refused.accepted
    assert Verdict(outcome=Outcome.SUCCESS).accepted


def test_it_shows_no_claims() -> None:
    verdict = Verdict(outcome=Outcome.SUCCESS, subject="maria@example.org", claims={"email": "maria@example.org"})
    assert "maria" not in repr(verdict)


def test_it_becomes_what_the_event_says() -> None:
    context = RequestContext("0123456789")
    reset = current.set(context)
    try:
        Verdict(
            outcome=Outcome.INSUFFICIENT_SCOPE, verified=True, subject="41", client_id="web", scopes=("read", "list")
        ).record(required_scopes=("write",))
    finally:
        current.reset(reset)
    decision = context.decision
    assert decision is not None
    assert (decision.outcome, decision.verified) == (Outcome.INSUFFICIENT_SCOPE, True)
    assert (decision.subject, decision.client_id) == ("41", "web")
    assert (decision.scopes, decision.required_scopes) == ("read list", "write")


def test_who_is_let_in_may_still_be_refused_by_the_answer() -> None:
    context = RequestContext("0123456789")
    reset = current.set(context)
    try:
        Verdict(outcome=Outcome.SUCCESS, verified=True, subject="41", scopes=("read",)).record(
            required_scopes=("read",)
        )
    finally:
        current.reset(reset)
    assert context.decision is None
    noted = context.noted
    assert noted is not None
    assert (noted.outcome, noted.verified, noted.subject) == (None, True, "41")
    assert (noted.scopes, noted.required_scopes) == ("read", "read")


def test_outside_of_a_request_nothing_happens() -> None:
    Verdict(outcome=Outcome.SUCCESS).record()
    assert current.get() is None
