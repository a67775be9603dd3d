"""What to do about published keys, moment by moment. Sans-IO: it is told the time and what was fetched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bearerwatch.verify.key import Key
from bearerwatch.verify.keys import KeysUnavailable, Published

__all__ = ["Ask", "CachedKeys"]

_FIRST_RETRY, _LAST_RETRY = 1.0, 60.0
_REFRESH_AT, _SPREAD = 0.7, 0.1
"""Of their time, how much has passed when keys are fetched anew, and how much later some processes do than others."""


class Ask(NamedTuple):
    """What is known, and whether to ask the issuer."""

    keys: Sequence[Key]
    refresh: bool = False
    """Begin to fetch them anew, unless that has begun."""
    wait: bool = False
    """*keys* will not do: wait for it."""


class CachedKeys:
    """Keys with their times, all in seconds of one clock.

    Args:
        ttl: how long keys are used if the issuer does not say.
        min_ttl: the least that it may say.
        max_ttl: the most.
        max_stale: how much longer keys are used where new ones cannot be had.
        cooldown: between two fetches because of a ``kid`` nobody knows.
        spread: from 0 to 1, how late this process is among others, so that they do not all ask at once.
    """

    def __init__(
        self, *, ttl: float, min_ttl: float, max_ttl: float, max_stale: float, cooldown: float, spread: float = 0.0
    ) -> None:
        self._ttl, self._min_ttl, self._max_ttl = ttl, min_ttl, max_ttl
        self._max_stale, self._cooldown = max_stale, cooldown
        self._refresh_at = _REFRESH_AT + _SPREAD * spread
        self.held: Published | None = None
        self.loaded_at = 0.0
        self.refresh_at = 0.0
        """When they are to be fetched anew."""
        self._expires_at = 0.0
        self._retry_at = float("-inf")
        """Before which nothing is asked, because asking has just failed."""
        self._unknown_at = float("-inf")
        """Before which no unknown ``kid`` is asked about."""
        self.failing = 0
        """How often asking has failed since it last succeeded."""

    def ask(self, kid: str | None, now: float) -> Ask:
        """What to do for a token that names *kid*.

        Nobody waits once more for an issuer that is known not to answer: it may hang each time, and the service too.

        Raises:
            KeysUnavailable: there are none, and asking has just failed.
        """
        held = self._usable(now)
        if held is None:
            if now < self._retry_at:
                raise KeysUnavailable(self._retry_at - now)
            return Ask((), refresh=True, wait=not self.failing)
        found = held.find(kid)
        if found:
            may = now >= self.refresh_at and now >= self._retry_at
            return Ask(found, refresh=may, wait=may and now >= self._expires_at and not self.failing)
        if now < self._unknown_at or now < self._retry_at:
            return Ask(())
        self._unknown_at = now + self._cooldown
        return Ask((), refresh=True, wait=True)

    def after(self, kid: str | None, now: float) -> Sequence[Key]:
        """What *kid* means once asking is over, however it ended.

        Raises:
            KeysUnavailable: there are still none.
        """
        held = self._usable(now)
        if held is None:
            raise KeysUnavailable(max(self._retry_at - now, _FIRST_RETRY))
        return held.find(kid)

    def loaded(self, found: Published, max_age: float | None, now: float) -> None:
        """*found* is what the issuer publishes, to be kept for *max_age* if it says so."""
        ttl = self._ttl if max_age is None else min(max(max_age, self._min_ttl), self._max_ttl)
        self.held, self.loaded_at = found, now
        self.refresh_at, self._expires_at = now + ttl * self._refresh_at, now + ttl
        self.failing, self._retry_at = 0, float("-inf")

    def failed(self, now: float) -> None:
        """The issuer could not be asked, or has answered nothing of use."""
        self._retry_at = now + min(_FIRST_RETRY * 2.0 ** min(self.failing, 10), _LAST_RETRY)
        self.failing += 1

    def due_at(self) -> float:
        """When to ask without being asked."""
        return max(self.refresh_at, self._retry_at)

    def _usable(self, now: float) -> Published | None:
        if self.held is not None and now >= self._expires_at + self._max_stale:
            self.held = None
        return self.held
