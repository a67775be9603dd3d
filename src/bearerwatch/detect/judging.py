"""Episodes beside what is known to have happened: what was missed, and what was made up.

An episode of rule R fits something marked if R is among its ``rules`` or ``also``, or if it is an attack and names a
field of the episode's key; if their times overlap once the marked one is widened by R's window on both sides; and if no
field of the episode's key has another value than the marked one names for it. Then

* *recall* is the share of what is marked with R that at least one episode of R fits;
* an episode of R is *true* if it fits something marked with R, *other* if it fits only what R may also tell of, and
  *false* if it fits nothing; *precision* is true / (true + false).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from bearerwatch.detect.truth import Marked, Truth

__all__ = ["Judged", "Told", "judge"]


class Told(Protocol):
    """An episode, as far as it is judged."""

    @property
    def rule(self) -> str:
        """The rule's name."""

    @property
    def key(self) -> Mapping[str, str]:
        """Whom it is about."""

    @property
    def first_hit(self) -> datetime:
        """When it held first."""

    @property
    def last_hit(self) -> datetime:
        """When it held last."""


@dataclass(slots=True)
class Judged:
    """How one rule did."""

    rule: str
    marked: int = 0
    caught: int = 0
    missed: list[str] = field(default_factory=list)
    """Ids of what it should have told of."""
    verdicts: dict[str, list[Any]] = field(default_factory=lambda: {"true": [], "other": [], "false": []})
    """Its episodes by what they are."""

    @property
    def true(self) -> int:
        """Episodes that fit what is marked with the rule."""
        return len(self.verdicts["true"])

    @property
    def other(self) -> int:
        """Episodes that fit only what the rule need not tell of."""
        return len(self.verdicts["other"])

    @property
    def false(self) -> int:
        """Episodes that fit nothing."""
        return len(self.verdicts["false"])

    @property
    def made_up(self) -> list[Any]:
        """Those that are false."""
        return self.verdicts["false"]

    @property
    def recall(self) -> float | None:
        """``None`` if nothing is marked with the rule."""
        return self.caught / self.marked if self.marked else None

    @property
    def precision(self) -> float | None:
        """``None`` if it told of nothing that counts."""
        return self.true / (self.true + self.false) if self.true + self.false else None


def judge(episodes: Iterable[Told], truth: Truth, windows: Mapping[str, int]) -> list[Judged]:
    """Judge each rule.

    Args:
        episodes: what was told.
        truth: what happened.
        windows: the window of each rule in seconds; rules that are not in it are not judged.

    Returns:
        One verdict a rule, by name.
    """
    found = {name: Judged(name) for name in sorted(windows)}
    by_rule: dict[str, list[Told]] = {name: [] for name in found}
    for one in episodes:
        if one.rule in by_rule:
            by_rule[one.rule].append(one)
    for name, verdict in found.items():
        _judge(verdict, by_rule[name], truth.marked, timedelta(seconds=windows[name]))
    return list(found.values())


def _judge(verdict: Judged, episodes: Sequence[Told], marked: Sequence[Marked], window: timedelta) -> None:
    asked = [one for one in marked if verdict.rule in one.rules]
    others = [one for one in marked if verdict.rule not in one.rules]
    allowed = [one for one in others if verdict.rule in one.also]
    attacks = [one for one in others if verdict.rule not in one.also and one.attack]
    caught: set[str] = set()
    for episode in episodes:
        fitting = {one.id for one in asked if _fits(episode, one, window)}
        caught |= fitting
        allowed_too = not fitting and (
            any(_fits(episode, one, window) for one in allowed)
            or any(_names(episode, one) and _fits(episode, one, window) for one in attacks)
        )
        verdict.verdicts["true" if fitting else "other" if allowed_too else "false"].append(episode)
    verdict.marked = len(asked)
    verdict.caught = len(caught)
    verdict.missed = [one.id for one in asked if one.id not in caught]


def _fits(episode: Told, one: Marked, window: timedelta) -> bool:
    if episode.last_hit < one.first - window or episode.first_hit > one.last + window:
        return False
    return all(value in one.key[name] for name, value in episode.key.items() if name in one.key)


def _names(episode: Told, one: Marked) -> bool:
    return not episode.key.keys().isdisjoint(one.key)
