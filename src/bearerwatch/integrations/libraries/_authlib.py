"""What Authlib's refusals tell, whichever framework its protector is for.

Expired, revoked and unknown tokens raise the same ``InvalidTokenError``; but the frame of
``ResourceProtector.validate_request``, which its traceback holds, has the token that it is about and the scopes asked
for. Of that token only ``is_expired()`` is asked once more, as the validator has just done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from traceback import walk_tb
from typing import Any, NamedTuple

from authlib.oauth2 import ResourceProtector

from bearerwatch.context import note
from bearerwatch.event import Outcome

__all__ = ["Refusal", "note_invalid"]

_PROTECTOR = ResourceProtector.validate_request.__code__
_BEARER = "authlib.oauth2.rfc6750.validator.BearerTokenValidator.validate_token"
_JWT = "authlib.oauth2.rfc9068.token_validator.JWTBearerTokenValidator.validate_token"
_INTROSPECTED = "authlib.oauth2.rfc7662.token_validator.IntrospectTokenValidator.validate_token"


class Refusal(NamedTuple):
    """What the frames of a refusal tell."""

    within: bool
    """Whether it was a protector's."""
    token: Any
    """As the validator made it; an empty one is none."""
    found: bool
    """Whether it came to that."""
    scopes: Any
    """Those asked for: the words of one item are all needed, and one item is enough."""
    by: str
    """The full name of what raised."""

    @classmethod
    def of(cls, error: BaseException) -> Refusal:
        """What the traceback of *error* holds."""
        names: Mapping[str, Any] | None = None
        by = ""
        for frame, _ in walk_tb(error.__traceback__):
            if frame.f_code is _PROTECTOR:
                names = frame.f_locals
            by = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
        there = names or {}
        return cls(names is not None, there.get("token"), "token" in there, there.get("scopes"), by)

    @property
    def only(self) -> Any:
        """The scopes asked for, unless any of several would do."""
        return self.scopes[0] if self.scopes and len(self.scopes) == 1 else None


def note_invalid(refusal: Refusal, note_holder: Callable[[Any], None]) -> None:
    """Note why the token of *refusal*, which was found, is no good; and by *note_holder* whose it is."""
    token, by = refusal.token, refusal.by
    if by == _INTROSPECTED:
        note(Outcome.INVALID, reason="inactive")
    elif by == _JWT:  # which is good, and lacks a group, role or entitlement
        note_holder(token)
        note(Outcome.FORBIDDEN, reason="function_forbidden")
    elif hasattr(token, "is_expired") and token.is_expired():
        note_holder(token)
        note(Outcome.EXPIRED, reason="past_exp")
    elif by == _BEARER:  # else it is revoked: nothing more is looked at there
        note_holder(token)
        note(Outcome.REVOKED, reason="blacklisted")
