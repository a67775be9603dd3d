"""What an alert says: one frozen record per transition of an episode, and its plain, Markdown and JSON forms.

The record is made when the episode changes and kept in the outbox, so every try and every channel says the
same. Values come from requests, so each is redacted and escaped here, once, before anything can show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

import msgspec

from bearerwatch.alert.escape import MAX_LENGTH, printable
from bearerwatch.redact import redact_text

__all__ = ["LEVELS", "AlertEpisode", "Notice", "counted", "level_rank", "span", "stamp"]

LEVELS = ("informational", "low", "medium", "high", "critical")
"""Sigma's levels, rising. https://sigmahq.io/docs/basics/rules.html#level"""

_SHOWN = 10
_LONGEST_ADVICE = 2_000
_LISTS = {
    "services": ("services", "service"),
    "routes": ("routes", "route", "paths"),
    "addresses": ("addresses", "client_ips", "client_ip"),
    "countries": ("countries", "country"),
    "outcomes": ("outcomes", "outcome"),
    "token_ids": ("token_ids", "token_id", "presented_ids", "presented_id"),
    "event_ids": ("event_ids", "event_id"),
}


class AlertEpisode(Protocol):
    """The part of an episode a notice is made of."""

    id: str
    rule: str
    rule_version: int
    title: str
    level: str
    key: dict[str, str]
    first_hit: datetime
    last_hit: datetime
    opened_at: datetime
    closed_at: datetime | None
    peak: int
    hits: int
    superseded_by: str | None
    evidence: dict[str, Any]


def level_rank(level: str) -> int:
    """Place of *level* in :data:`LEVELS`; unknown levels count as ``medium`` rather than as nothing."""
    return LEVELS.index(level) if level in LEVELS else LEVELS.index("medium")


def stamp(moment: datetime) -> str:
    """*moment* as ``2026-01-31 12:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def span(length: timedelta) -> str:
    """*length* in the unit a reader would choose: ``850 ms``, ``12.5 s``, ``4 min``, ``3 h 20 min``."""
    seconds = max(length.total_seconds(), 0.0)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def counted(number: int, one: str, many: str | None = None) -> str:
    """*number* with its noun: ``1 hit``, ``3 hits``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _clean(value: Any, limit: int = MAX_LENGTH) -> str:
    return printable(redact_text(str(value)), limit)


def _listed(evidence: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The first of *names* found in *evidence*, which may hold a value, a list, or counts by value."""
    for name in names:
        found = evidence.get(name)
        if found is None:
            continue
        if isinstance(found, Mapping):
            ordered = sorted(found.items(), key=lambda item: (-_count(item[1]), str(item[0])))
            return [_clean(value) for value, _ in ordered[:_SHOWN]]
        if isinstance(found, list | tuple | set | frozenset):
            return [_clean(value) for value in list(found)[:_SHOWN]]
        return [_clean(found)]
    return []


def _count(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


class Notice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to tell: an episode opened, or it closed. All strings are printable and free of tokens."""

    key: str
    """``<episode id>:<transition>``: the same on every try, so that receivers can tell repeats."""
    transition: Literal["opened", "closed"]
    episode_id: str
    rule: str
    rule_version: int
    title: str
    level: str
    group: dict[str, str]
    """What the rule counts by, such as ``{"client_ip": "203.0.113.7"}``."""
    at: datetime
    """When it opened or closed by the collector's clock."""
    first_hit: datetime
    last_hit: datetime
    opened_at: datetime
    closed_at: datetime | None = None
    peak: int = 0
    """Largest count seen in the rule's window."""
    hits: int = 0
    """Events that carried the condition."""
    counts: dict[str, int] = {}
    """Further counts the rule recorded."""
    services: list[str] = []
    routes: list[str] = []
    addresses: list[str] = []
    countries: list[str] = []
    outcomes: list[str] = []
    token_ids: list[str] = []
    event_ids: list[str] = []
    superseded_by: str | None = None
    advice: str = ""
    """What to do now, from the rule."""

    @classmethod
    def of(
        cls,
        transition: Literal["opened", "closed"],
        episode: AlertEpisode,
        *,
        advice: str = "",
        at: datetime | None = None,
    ) -> Notice:
        """The notice of *episode* having just made *transition*, at *at* where the episode does not say."""
        evidence = episode.evidence or {}
        counts = evidence.get("counts")
        moment = episode.opened_at if transition == "opened" else episode.closed_at or at or episode.last_hit
        return cls(
            key=f"{episode.id}:{transition}",
            transition=transition,
            episode_id=_clean(episode.id),
            rule=_clean(episode.rule),
            rule_version=episode.rule_version,
            title=_clean(episode.title),
            level=episode.level if episode.level in LEVELS else "medium",
            group={_clean(name): _clean(value) for name, value in episode.key.items()},
            at=moment,
            first_hit=episode.first_hit,
            last_hit=episode.last_hit,
            opened_at=episode.opened_at,
            closed_at=episode.closed_at if transition == "closed" else None,
            peak=episode.peak,
            hits=episode.hits,
            counts=(
                {_clean(name): int(value) for name, value in counts.items() if isinstance(value, int)}
                if isinstance(counts, Mapping)
                else {}
            ),
            superseded_by=_clean(episode.superseded_by) if episode.superseded_by else None,
            advice=" ".join(_clean(line, _LONGEST_ADVICE) for line in advice.split("\n")).strip() if advice else "",
            **{field: _listed(evidence, names) for field, names in _LISTS.items()},
        )

    @property
    def subject(self) -> str:
        """The key in words: ``client_ip 203.0.113.7``."""
        return ", ".join(f"{name} {value}" for name, value in self.group.items()) or "everything"

    @property
    def headline(self) -> str:
        """One line for a subject, a pager or a chat's notification."""
        verb = "" if self.transition == "opened" else "closed: "
        return f"[{self.level.upper()}] {verb}{self.title}: {self.subject}"

    def facts(self) -> list[tuple[str, list[str]]]:
        """Label and values of everything there is to say, in reading order."""
        length = span(self.last_hit - self.first_hit)
        facts = [
            ("Key", [f"{name} {value}" for name, value in self.group.items()]),
            ("First seen", [stamp(self.first_hit)]),
            ("Last seen", [f"{stamp(self.last_hit)} (after {length})"]),
            ("Count", [self._counted()]),
            ("Services", self.services),
            ("Routes", self.routes),
            ("Addresses", self.addresses),
            ("Countries", self.countries),
            ("Outcomes", self.outcomes),
            ("Tokens", self.token_ids),
            ("Opened", [stamp(self.opened_at)] if self.transition == "closed" else []),
            ("Closed", [stamp(self.closed_at)] if self.closed_at else []),
            ("Continued as", [self.superseded_by] if self.superseded_by else []),
            ("Rule", [f"{self.rule} (version {self.rule_version})"]),
            ("Alert", [self.episode_id]),
        ]
        return [(label, values) for label, values in facts if values]

    def _counted(self) -> str:
        said = f"{counted(self.hits, 'event')} at or over the threshold"
        if self.peak:
            said += f", at most {self.peak} in one window"
        return said + "".join(f", {value} {name}" for name, value in sorted(self.counts.items()))

    def text(self) -> str:
        """Plain text of several lines; the first is :attr:`headline`."""
        lines = [self.headline, ""]
        lines += [f"{label + ':':<14}{', '.join(values)}" for label, values in self.facts()]
        if self.advice and self.transition == "opened":
            lines += ["", f"What to do: {self.advice}"]
        lines += ["", f"More: bearerwatch alerts show {self.episode_id}"]
        return "\n".join(lines)

    def payload(self) -> dict[str, Any]:
        """The JSON a machine gets: ``{"type", "timestamp", "data"}`` as Standard Webhooks lays it out.

        https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-structure
        """
        data = msgspec.to_builtins(self)
        return {"type": f"bearerwatch.alert.{self.transition}", "timestamp": data["at"], "data": data}

    def dump(self) -> dict[str, Any]:
        """The record as JSON values: what the outbox keeps."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built

    @classmethod
    def load(cls, kept: Any) -> Notice:
        """The record from what :meth:`dump` gave, or its JSON text.

        Raises:
            msgspec.ValidationError: it is no notice.
        """
        if isinstance(kept, str | bytes):
            return msgspec.json.decode(kept, type=cls)
        return msgspec.convert(kept, type=cls)
