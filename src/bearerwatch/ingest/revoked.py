"""The list of withdrawn tokens as HTTP hands it out: read from the state database four times a second at most."""

from __future__ import annotations

import asyncio
import time

from bearerwatch.store import revocations
from bearerwatch.store.state import State
from bearerwatch.verify.revocations._entry import Revocation, dump

__all__ = ["RevokedList"]

_FRESH = 0.25


class RevokedList:
    """The list and its version, for however many ask at once.

    Args:
        state: the state database; whoever revokes writes there, be it another process.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._found: tuple[str, bytes] | None = None
        self._looked_at = 0.0
        self._looking = asyncio.Lock()

    async def __call__(self) -> tuple[str, bytes]:
        """Version and list, one revocation a line.

        Raises:
            StateBusy: the database cannot be used just now.
        """
        async with self._looking:  # who comes meanwhile has what the first one found
            if self._found is None or time.monotonic() - self._looked_at >= _FRESH:
                self._found = await asyncio.to_thread(self._look, self._found)
                self._looked_at = time.monotonic()
            return self._found

    def _look(self, known: tuple[str, bytes] | None) -> tuple[str, bytes]:
        with self._state.read() as conn:
            version = revocations.version(conn)
            if known is not None and version == known[0]:
                return known
            return version, b"".join(dump(_bare(entry)) + b"\n" for entry in revocations.load(conn))


def _bare(entry: Revocation) -> Revocation:
    """What a service has to know: who revoked a token, and why, is not for each of them."""
    return Revocation(token_id=entry.token_id, at=entry.at, until=entry.until)
