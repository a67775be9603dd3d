"""What one verifier found out about one token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from msgspec import Struct

from bearerwatch.context import current, decide, note
from bearerwatch.event import Outcome

__all__ = ["Verdict"]


class Verdict(Struct, frozen=True, kw_only=True):
    """What a token is good for, or why it is not. It holds claims, never the token.

    ``outcome`` is ``success`` if the token may be used, else what its event is to say. ``verified`` says whether the
    token's authenticity was established: an expired or revoked token can be authentic, one with a bad signature is not.
    """

    outcome: Outcome
    reason: str | None = None
    """One of :data:`bearerwatch.event.REASONS`, or nothing for success."""
    verified: bool = False
    subject: str | None = None
    issuer: str | None = None
    client_id: str | None = None
    scopes: tuple[str, ...] = ()
    expires_at: int | None = None
    """Unix time in seconds (RFC 7519 §2, NumericDate)."""
    claims: Mapping[str, Any] = {}
    """All claims of an authentic token; empty for any other."""
    retry_after: float | None = None
    """Where nothing could be found out, seconds after which asking again may help."""

    def __repr__(self) -> str:
        """Without claims, which may name people."""
        return f"Verdict(outcome={self.outcome.value!r}, reason={self.reason!r}, verified={self.verified!r})"

    def __bool__(self) -> NoReturn:
        """Refused: ``if verify(token):`` would let everybody in.

        Raises:
            TypeError: always; ask :attr:`accepted`.
        """
        raise TypeError("a Verdict is neither true nor false: ask verdict.accepted")

    @property
    def accepted(self) -> bool:
        """Whether the token may be used."""
        return self.outcome is Outcome.SUCCESS

    def record(self, *, required_scopes: Sequence[str] = ()) -> None:
        """Make this what the event of the current request says. Outside of a request it does nothing.

        A refusal is the last word. That a token may be used is noted alone: the request may still be refused for what
        its holder may not do, and then the answer says so.
        """
        context = current.get()
        if context is None:
            return
        if self.accepted:
            note(
                verified=self.verified,
                subject=self.subject,
                client_id=self.client_id,
                scopes=self.scopes or None,
                required_scopes=tuple(required_scopes) or None,
            )
            return
        decide(
            self.outcome,
            reason=self.reason,
            verified=self.verified,
            subject=self.subject,
            client_id=self.client_id,
            scopes=self.scopes or None,
            required_scopes=tuple(required_scopes) or None,
        )
