"""What one process remembers of credentials and of their holders, for they come back: never the credential itself."""

from __future__ import annotations

from hashlib import blake2b
from os import urandom
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bearerwatch.classify import NOTHING, Presented, State, present
from bearerwatch.fingerprint import ring
from bearerwatch.redact.engine import MIN_LIVE, redact_text

if TYPE_CHECKING:
    from bearerwatch.context import Decision
    from bearerwatch.settings import Settings

__all__ = ["MAX_HELD", "MAX_KNOWN", "NO_CREDENTIAL", "Holder", "Known", "Memory"]

MAX_HELD = 16_384
"""Longest credential that is held live, in characters."""
MAX_KNOWN = 4096
"""How many credentials, and how many holders, are remembered."""
_MAX_SUBJECT = 128


class Known(Struct, frozen=True, gc=False):
    """What one credential turned out to be, without the credential."""

    shown: Presented
    token_id: str | None = None
    token_id_prev: str | None = None
    presented_id: str | None = None
    subject_id: str | None = None
    begin: int = 0
    """Where in its ``Authorization`` header the credential begins."""
    end: int = 0
    slashed: bool = False
    """Whether the credential has a slash in it."""
    usual: bool = False
    """Whether the header holds one token, whole and of a usual length, and nothing else that may be one."""


NO_CREDENTIAL = Known(NOTHING)


class Holder(Struct, frozen=True, gc=False):
    """What a library says of a token's holder, as events have it."""

    subject_id: str | None
    client_id: str | None
    scopes: str | None
    required_scopes: str | None


_NOBODY = Holder(None, None, None, None)


class Memory:
    """Reads credentials, and what is said of their holders, once.

    What is remembered of a credential is found by a digest keyed for this process, and of a holder by the credential's
    fingerprint, with a hash of what was said: so neither it nor a dump of it holds a token or a name.

    Args:
        settings: which schemes carry tokens, and whether subjects are recorded as they are.
    """

    def __init__(self, settings: Settings) -> None:
        self._ring = ring()
        self._schemes = settings.schemes
        self._plain = settings.plain_subjects
        self._credentials: dict[bytes, Known] = {}
        self._holders: dict[str | None, tuple[int, Holder]] = {}
        self._salt = urandom(32)

    def header(self, authorization: str) -> Known:
        """What an ``Authorization`` header brings."""
        digest = blake2b(self._salt + authorization.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = self._credentials.get(digest)
        return self._remember(digest, self._split(authorization)) if known is None else known

    def token(self, credential: str) -> Known:
        """What *credential* is, which came as a token and elsewhere than in a header."""
        digest = blake2b(
            self._salt + b"\xff" + credential.encode("utf-8", "surrogatepass"), digest_size=16
        ).digest()  # no UTF-8 has it
        known = self._credentials.get(digest)
        return self._remember(digest, self._read("bearer", credential)) if known is None else known

    def holder(self, known: Known, decision: Decision, required: str | None, *, alone: bool) -> Holder:
        """What *decision* says of the holder of a credential, which is mostly what it said the last time.

        Args:
            known: the credential. It is live while this is asked, so what quotes it is redacted, then as now.
            decision: what was said.
            required: the scopes that were asked for.
            alone: whether it is the only one of its request; else nothing is remembered.
        """
        if decision.subject is None and decision.client_id is None and decision.scopes is None and required is None:
            return _NOBODY
        if not alone:
            return self._holder(known, decision, required)
        credential = known.presented_id
        said = hash((decision.subject, decision.client_id, decision.scopes, required))
        before = self._holders.get(credential)
        if before is not None and before[0] == said:
            return before[1]
        holder = self._holder(known, decision, required)
        if credential is not None:
            if len(self._holders) >= MAX_KNOWN:
                self._holders.clear()
            self._holders[credential] = (said, holder)
        return holder

    def subject(self, subject: str, issuer: str | None = None) -> str:
        """How *subject* is recorded: a pseudonym, or as it is if configured so."""
        if self._plain:
            return redact_text(subject)[:_MAX_SUBJECT]
        return self._ring.pseudonym("sub", f"{issuer or ''}\0{subject}")

    def _holder(self, known: Known, decision: Decision, required: str | None) -> Holder:
        return Holder(
            None if decision.subject is None else self.subject(str(decision.subject), known.shown.issuer),
            _clean(decision.client_id),
            _clean(decision.scopes),
            _clean(required),
        )

    def _remember(self, digest: bytes, known: Known) -> Known:
        if len(self._credentials) >= MAX_KNOWN:
            self._credentials.clear()
        self._credentials[digest] = known
        return known

    def _split(self, authorization: str) -> Known:
        words = authorization.split(None, 1)
        if not words:
            return NO_CREDENTIAL
        scheme, credential = words[0], words[1].rstrip() if len(words) > 1 else ""
        begin = len(authorization) - len(words[1] if credential else authorization.lstrip())
        if credential or len(scheme) < MIN_LIVE:
            known = self._read(scheme.lower()[:32], credential)
        else:  # a token without a scheme, perhaps
            credential, known = scheme, self._read(None, scheme)
        return replace(
            known,
            begin=begin,
            end=begin + len(credential),
            slashed="/" in credential,
            usual=known.shown.state == State.FINE and MIN_LIVE <= len(credential) <= MAX_HELD,
        )

    def _read(self, scheme: str | None, credential: str) -> Known:
        shown = present(scheme, credential, carries_token=scheme in self._schemes)
        if shown.state in (State.NONE, State.OTHER) or not credential:
            return Known(shown)  # a password is never fingerprinted
        ids = self._ring.identify(credential, shown.signing_input)
        subject = None
        if shown.subject is not None:
            subject = self.subject(shown.subject, shown.issuer)
        cleaned = replace(
            shown,
            signing_input=None,  # most of a token
            subject=None,
            issuer=_clean(shown.issuer),
            client_id=_clean(shown.client_id),
            scopes=_clean(shown.scopes),
        )
        return Known(cleaned, ids.token_id, ids.token_id_prev, ids.presented_id, subject)


def _clean(value: str | None) -> str | None:
    return None if value is None else redact_text(value)
