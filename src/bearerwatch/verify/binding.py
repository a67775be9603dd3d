"""Whether a token is in the hands of whom it was issued to: its ``cnf`` (RFC 7800 §3) and the proof."""

from __future__ import annotations

import hmac
from collections.abc import Collection

from msgspec.structs import replace

from bearerwatch.event import Outcome
from bearerwatch.verify.verdict import Verdict

__all__ = ["confirmed"]


def confirmed(verdict: Verdict, jkt: str | None, elsewhere: Collection[str] = ()) -> Verdict:
    """*verdict*, or a refusal if the token is bound to what its sender has not proved to have.

    A token bound to a key never passes as a plain bearer token (RFC 9449 §7.2), and one that is bound to none never
    with a proof (§7.1): a stolen one could be proved by any key.

    Args:
        verdict: of the token alone.
        jkt: thumbprint of the key proved by DPoP, if one was.
        elsewhere: other members of ``cnf`` that somebody else has checked.
    """
    if not verdict.accepted:
        return verdict
    bound = verdict.claims.get("cnf")
    if bound is None:
        return verdict if jkt is None else replace(verdict, outcome=Outcome.INVALID, reason="not_bound")
    if not isinstance(bound, dict) or not bound:
        return replace(verdict, outcome=Outcome.INVALID, reason="bad_claim")
    key = bound.get("jkt")
    if key is not None and not isinstance(key, str):
        return replace(verdict, outcome=Outcome.INVALID, reason="bad_claim")
    if key is None and jkt is not None:
        return replace(verdict, outcome=Outcome.INVALID, reason="not_bound")
    if (key is not None and jkt is None) or not set(bound) - {"jkt"} <= set(elsewhere):
        return replace(verdict, outcome=Outcome.INVALID, reason="missing_proof")
    if key is not None and jkt is not None and not hmac.compare_digest(key.encode(), jkt.encode()):
        return replace(verdict, outcome=Outcome.INVALID, reason="not_bound")
    return verdict
