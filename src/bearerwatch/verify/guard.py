"""From a request's headers to whether it is let in: what all doors share. Sans-IO but for what verifiers do."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Collection, Generator, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec.structs import replace

from bearerwatch import _guard, _jws
from bearerwatch.errors import ConfigurationError
from bearerwatch.event import Outcome
from bearerwatch.fingerprint import ring
from bearerwatch.verify._asked import Asked, credential
from bearerwatch.verify.answers import ANYTHING, Answer, Challenges, Need
from bearerwatch.verify.binding import confirmed
from bearerwatch.verify.claims import is_date
from bearerwatch.verify.dpop import DpopProofs, Proved
from bearerwatch.verify.verdict import Verdict

__all__ = ["Admission", "Asked", "Guard", "Revocations", "Verifier"]

_ISSUER = Verdict(outcome=Outcome.INVALID, reason="wrong_issuer")
_PROOF = Verdict(outcome=Outcome.INVALID, reason="missing_proof")
_FAILED = Verdict(outcome=Outcome.ERROR, reason="exception")


class Verifier(Protocol):
    """Says what a token is good for. One that is asked over a network has ``averify`` as well, to be awaited.

    One that has a parameter ``jkt`` is told the thumbprint of the key that was proved, if one was.
    """

    def __call__(self, token: str, /) -> Verdict:
        """The verdict on *token*, as presented, without its scheme."""


class Revocations(Protocol):
    """Tokens that are withdrawn, by their fingerprints."""

    def __contains__(self, token_id: str, /) -> bool:
        """Whether the token with this fingerprint is."""


class Admission(NamedTuple):
    """Whether a request is let in."""

    verdict: Verdict
    answer: Answer | None
    """What to answer instead of serving it; ``None`` if it is let in."""


class _Known(NamedTuple):
    """A verifier and how it is called, found out once."""

    verify: Any
    averify: Any
    takes_jkt: bool

    @classmethod
    def of(cls, verifier: Verifier) -> _Known:
        try:
            takes_jkt = "jkt" in inspect.signature(verifier).parameters
        except (TypeError, ValueError):
            takes_jkt = False
        return cls(verifier, getattr(verifier, "averify", None), takes_jkt)


class _Check(NamedTuple):
    """A token that a verifier has to look at."""

    by: _Known
    token: str
    jkt: str | None

    def now(self) -> Verdict:
        made: Verdict = self.by.verify(self.token, **self._more())
        return made

    async def later(self) -> Verdict:
        if self.by.averify is None:
            return await asyncio.to_thread(self.now)
        made: Verdict = await self.by.averify(self.token, **self._more())
        return made

    def _more(self) -> dict[str, str | None]:
        return {"jkt": self.jkt} if self.by.takes_jkt else {}


class Guard:
    """Verifies the token of each request, and answers those that have none that will do.

    Args:
        jwt: who verifies JWTs: a :class:`~bearerwatch.verify.jwt.JwtVerifier`, or one of each issuer.
        opaque: who verifies all other tokens, such as by introspection; and JWTs, where *jwt* is not given.
        revoked: tokens that are withdrawn.
        dpop: checks proofs of possession. Without it tokens bound to a key are refused.
        bearer: with ``False`` and *dpop*, no token passes without a proof.
        base_url: scheme and host that clients call this service by, where a proxy changes them: proofs name it.
        confirmations: see :class:`~bearerwatch.verify.jwt.JwtVerifier`; here of tokens that others verify.
        realm: see :class:`~bearerwatch.verify.answers.Challenges`.
        resource_metadata: see there.
        clock: Unix time in seconds.

    Raises:
        ConfigurationError: nobody verifies anything, or two verifiers are of one issuer.
    """

    def __init__(
        self,
        jwt: Verifier | Sequence[Verifier] = (),
        *,
        opaque: Verifier | None = None,
        revoked: Revocations | None = None,
        dpop: DpopProofs | None = None,
        bearer: bool = True,
        base_url: str | None = None,
        confirmations: Collection[str] = (),
        realm: str | None = None,
        resource_metadata: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        verifiers = tuple(jwt) if isinstance(jwt, Sequence) else (jwt,)
        self._jwt = tuple(_Known.of(one) for one in verifiers)
        self._opaque = None if opaque is None else _Known.of(opaque)
        self._revoked, self._dpop = revoked, dpop
        self._base_url = None if base_url is None else base_url.rstrip("/")
        self._confirmations, self._clock = frozenset(confirmations), clock
        if not self._jwt and opaque is None:
            raise ConfigurationError("give the guard a verifier: jwt, opaque or both")
        if not bearer and dpop is None:
            raise ConfigurationError("without bearer there has to be dpop, or nobody gets in")
        self._by_issuer = {getattr(one.verify, "issuer", None): one for one in self._jwt}
        if len(self._by_issuer) < len(self._jwt) or (len(self._jwt) > 1 and None in self._by_issuer):
            raise ConfigurationError("jwt: of several verifiers each is to have an issuer of its own")
        schemes = [name for name, there in (("Bearer", bearer), ("DPoP", dpop is not None)) if there]
        self.schemes = tuple(schemes)
        """What tokens may come with."""
        self.challenges = Challenges(
            schemes,
            realm=realm,
            resource_metadata=resource_metadata,
            algs=() if dpop is None else dpop.algorithms,
        )

    def __repr__(self) -> str:
        return f"Guard(schemes={self.schemes!r})"

    def __call__(self, asked: Asked, need: Need = ANYTHING, *, optional: bool = False) -> Admission:
        """Whether a request is let in; its event is told.

        Args:
            asked: what it says.
            need: what its route asks for.
            optional: let it in without a token, too. The verdict is ``missing``, then, and one that is there counts.
        """
        try:
            steps = self._steps(asked, need, optional)
            check = next(steps)
            while not isinstance(check, Admission):
                check = steps.send(check.now())
            return check
        except Exception as error:  # noqa: BLE001 - host boundary: whatever fails lets nobody in
            return self._failed(error)

    async def admit(self, asked: Asked, need: Need = ANYTHING, *, optional: bool = False) -> Admission:
        """As calling it, for coroutines: whoever waits for a network does not hold up the event loop."""
        try:
            steps = self._steps(asked, need, optional)
            check = next(steps)
            while not isinstance(check, Admission):
                check = steps.send(await check.later())
            return check
        except Exception as error:  # noqa: BLE001 - host boundary: whatever fails lets nobody in
            return self._failed(error)

    def _failed(self, error: Exception) -> Admission:
        _guard.swallowed("verifying a token", error)
        _FAILED.record()
        return Admission(_FAILED, self.challenges(_FAILED))

    def weigh(self, verdict: Verdict, need: Need) -> Admission:
        """Whether a token that was let in has what a route asks for; its event is told."""
        weighed = self._sufficient(verdict, need)
        weighed.record(required_scopes=need.scopes)
        return Admission(weighed, None if weighed.accepted else self.challenges(weighed, need))

    def refuse(self, verdict: Verdict, reason: str, outcome: Outcome = Outcome.INVALID) -> Admission:
        """Refuse a token that was let in, for what only the application knows; its event is told."""
        refused = replace(verdict, outcome=outcome, reason=reason)
        refused.record()
        return Admission(refused, self.challenges(refused))

    def _steps(self, asked: Asked, need: Need, optional: bool) -> Generator[_Check | Admission, Verdict, None]:
        """Each check that is to be made, and in the end the admission."""
        read = credential(asked, self.schemes)
        scheme = "Bearer"
        if isinstance(read, Verdict):
            verdict = read
        else:
            scheme, token = read
            proved = self._proved(asked, scheme, token)
            if isinstance(proved, Verdict):
                verdict = proved
            elif (chosen := self._choose(token)) is None:
                verdict = _ISSUER
            else:
                jkt = None if proved is None else proved.jkt
                verdict = yield _Check(chosen, token, jkt)
                if not chosen.takes_jkt:
                    verdict = confirmed(verdict, jkt, self._confirmations)
                verdict = self._last(verdict, token, proved)
        verdict = self._sufficient(verdict, need)
        if optional and verdict.outcome is Outcome.MISSING:
            yield Admission(verdict, None)
            return
        verdict.record(required_scopes=need.scopes)
        if verdict.accepted:
            yield Admission(verdict, None)
            return
        nonce = None
        if self._dpop is not None and self._dpop.nonces is not None and verdict.reason == "nonce_wanted":
            nonce = self._dpop.nonces.current()
        yield Admission(verdict, self.challenges(verdict, need, scheme=scheme, nonce=nonce))

    def _proved(self, asked: Asked, scheme: str, token: str) -> Proved | Verdict | None:
        if scheme != "DPoP" or self._dpop is None:
            return None
        if not asked.proofs:
            return _PROOF
        url = asked.url
        if self._base_url is not None:
            url = self._base_url + "/" + url.partition("://")[2].partition("/")[2]
        return self._dpop(asked.proofs, method=asked.method, url=url, token=token)

    def _choose(self, token: str) -> _Known | None:
        """Who verifies *token*; a JWT of several issuers is looked into for whose it says to be."""
        if self._opaque is not None:
            is_jwt = token.count(".") in (2, 4) and _jws.is_header(token.partition(".")[0])
            if not is_jwt or not self._jwt:
                return self._opaque
        if len(self._jwt) == 1:
            return self._jwt[0]
        read = _jws.parse(token)
        issuer = None if read is None else read.claims.get("iss")
        if not isinstance(issuer, str):
            return self._jwt[0]  # which says what is wrong with it
        return self._by_issuer.get(issuer)

    def _last(self, verdict: Verdict, token: str, proved: Proved | None) -> Verdict:
        """What is asked of a good token alone: whether it was withdrawn, and its proof used."""
        if not verdict.accepted:
            return verdict
        if self._withdrawn(token):
            return replace(verdict, outcome=Outcome.REVOKED, reason="blacklisted")
        if proved is not None and self._dpop is not None:
            replayed = self._dpop.used(proved)
            if replayed is not None:
                return replace(verdict, outcome=replayed.outcome, reason=replayed.reason)
        return verdict

    def _withdrawn(self, token: str) -> bool:
        """Whether *token* is, under whichever key of the ring, or exactly as it was presented."""
        if self._revoked is None:
            return False
        holds: Callable[[str], bool] | None = getattr(self._revoked, "holds", None)  # which knows when it is empty
        if holds is not None:
            return holds(token)
        keys = ring()
        return any(one in self._revoked for one in (*keys.all_ids(token), keys.presented_id(token)))

    def _sufficient(self, verdict: Verdict, need: Need) -> Verdict:
        if not verdict.accepted:
            return verdict
        if not set(need.scopes) <= set(verdict.scopes):
            return replace(verdict, outcome=Outcome.INSUFFICIENT_SCOPE)
        if need.acr_values and verdict.claims.get("acr") not in need.acr_values:
            return replace(verdict, outcome=Outcome.FORBIDDEN, reason="weak_sign_in")
        if need.max_age is not None:
            signed_in = verdict.claims.get("auth_time")
            if not is_date(signed_in) or self._clock() - verdict.claims["auth_time"] > need.max_age:
                return replace(verdict, outcome=Outcome.FORBIDDEN, reason="not_fresh")
        return verdict
