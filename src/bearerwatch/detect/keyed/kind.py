"""What every kind of remembering has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

__all__ = ["Held", "Kind", "Sighting"]

Sighting = tuple[Any, ...]
"""Hash of the key, pane, and whatever else a kind tells sightings apart by."""

Held = dict[Sighting, int]
"""Sightings that hold, with their ``n``."""


class Kind(ABC):
    """The past of one rule's keys. Panes are given in order, but for those that come late."""

    select: list[str]
    """SQL of what tells sightings of one key and pane apart."""
    counted: str | None = None
    """SQL of aggregates over the events of a sighting that came with a batch, if any are wanted: last in each row."""
    where: str
    """SQL of the events that take part."""
    anchors: str
    """SQL of those that are anchors."""
    told = 10
    """Panes after which nothing more can come of a sighting that was told."""

    def __init__(self, settle: int, memory: int) -> None:
        """Remember how long a pane and a memory are, in seconds."""
        self.settle = settle
        self.kept = memory // settle
        """Panes after which what was not seen is forgotten."""

    @abstractmethod
    def see(self, rows: list[Sighting], pane: int) -> Held:
        """Take in what came of *pane*, and say which sightings hold that it may have changed."""

    @property
    @abstractmethod
    def degraded(self) -> bool:
        """Whether keys had to be forgotten before their time."""

    @abstractmethod
    def forget(self, before: int) -> None:
        """Let go of what was last seen before that pane."""

    @abstractmethod
    def dump(self) -> Any:
        """What :meth:`load` takes: lists, mappings and whole numbers."""

    @abstractmethod
    def load(self, state: Any) -> None:
        """Take up where :meth:`dump` left off."""
