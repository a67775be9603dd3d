"""The tokens of a run. They live in this process's memory and go nowhere but onto the wire."""

from __future__ import annotations

from dataclasses import dataclass, field

from bearerwatch.fingerprint import KeyRing

__all__ = ["Held", "Wallet"]


@dataclass(frozen=True, slots=True)
class Held:
    """One token, by a name that may be written down."""

    label: str
    token: str = field(repr=False)


class Wallet:
    """Every token presented in the run, good or not.

    Args:
        ring: the key ring of the services, to know a token's id in alerts.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._held: dict[str, Held] = {}

    def keep(self, label: str, token: str) -> Held:
        """Remember *token*; a number is added to *label* if it is taken."""
        unique, number = label, 1
        while unique in self._held:
            number += 1
            unique = f"{label} {number}"
        held = self._held[unique] = Held(unique, token)
        return held

    def token_id(self, held: Held) -> str:
        """The id *held* has in events and alerts."""
        return self._ring.token_id(held.token)

    def all(self) -> dict[str, str]:
        """Label -> token, for the sweep."""
        return {held.label: held.token for held in self._held.values()}

    def __len__(self) -> int:
        return len(self._held)
