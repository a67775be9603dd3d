"""What is remembered of a server's answers, and when it is left in peace. Sans-IO: both are told the time."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from itertools import islice
from math import inf
from os import urandom
from typing import NamedTuple

from bearerwatch.verify.verdict import Verdict

__all__ = ["Breaker", "Kept", "Remembered"]


class Kept(NamedTuple):
    """One verdict and its times, in seconds of a clock that only goes on."""

    verdict: Verdict
    fresh_until: float
    stale_until: float
    """How long it may serve while the server cannot be asked; never less than fresh."""
    expires_at: float
    """Unix time of the token's ``exp``; infinity if it has none."""


class Remembered:
    """Verdicts by a keyed digest of their tokens. Good and refused ones have room of their own: who makes tokens up
    by the thousand pushes none of the good ones out.

    Args:
        ttl: seconds a good token's verdict is fresh.
        inactive_ttl: the same of a refused one's.
        stale_for: seconds more that a good one serves while the server cannot be asked.
        size: how many of each are kept.
    """  # noqa: D205 - the reason belongs to it

    def __init__(self, *, ttl: float, inactive_ttl: float, stale_for: float, size: int) -> None:
        self._ttl, self._inactive_ttl, self._stale_for, self._size = ttl, inactive_ttl, stale_for, size
        # of this process alone: neither what is remembered nor a dump of it tells a token, or whether one is there
        self._key = urandom(32)
        self.good: dict[bytes, Kept] = {}
        self.refused: dict[bytes, Kept] = {}

    def digest(self, token: str) -> bytes:
        """What stands for *token* here: of the whole of it, as two tokens that differ in a signature alone are two."""
        return blake2b(token.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).digest()

    def keep(self, digest: bytes, verdict: Verdict, now: float) -> None:
        """Remember *verdict*, and forget what was held against it."""
        self.good.pop(digest, None)
        self.refused.pop(digest, None)
        if verdict.accepted:
            fresh = now + self._ttl
            expires = inf if verdict.expires_at is None else float(verdict.expires_at)
            room, kept = self.good, Kept(verdict, fresh, fresh + self._stale_for, expires)
        else:
            fresh = now + self._inactive_ttl
            room, kept = self.refused, Kept(verdict, fresh, fresh, inf)
        if len(room) >= self._size:  # the oldest eighth at once, so that a full room costs little
            for old in list(islice(room, max(self._size // 8, 1))):
                del room[old]
        room[digest] = kept

    def clear(self) -> None:
        """Forget all."""
        self.good.clear()
        self.refused.clear()


class Breaker:
    """Leaves a server in peace that fails: after so many failures in a row it is not asked for a while, then once.

    Args:
        after: failures in a row.
        pause: seconds it is not asked; twice as long after each try that fails, up to a minute.
        report: told when it begins to be left in peace, and for how long.
    """

    _LONGEST = 60.0

    def __init__(self, *, after: int, pause: float, report: Callable[[float], None]) -> None:
        self._after, self._pause, self._report = after, pause, report
        self._failures = 0
        self._opened = 0
        self._until = 0.0
        self._trying = False

    @property
    def open(self) -> bool:
        """Whether the server is being left in peace."""
        return self._until > 0

    def wait(self, now: float) -> float | None:
        """Seconds until it may be asked; ``None`` if the caller is to ask now, and to say how that went."""
        if self._until == 0:
            return None
        if now < self._until or self._trying:
            return max(self._until - now, 1.0)
        self._trying = True
        return None

    def worked(self) -> None:
        """It has answered."""
        self._failures = self._opened = 0
        self._until, self._trying = 0.0, False

    def failed(self, now: float) -> None:
        """It has not, or with nothing of use."""
        self._failures += 1
        if self._failures >= self._after and (self._trying or self._until == 0):
            pause = min(self._pause * 2.0 ** min(self._opened, 10), self._LONGEST)
            self._opened += 1
            self._until = now + pause
            self._report(pause)
        self._trying = False

    def left(self) -> None:
        """Whoever asked has gone before there was an answer."""
        self._trying = False
