"""One key in two places too far apart, see :class:`~bearerwatch.detect.ir_keyed.Travel`."""

from __future__ import annotations

import math
from typing import Any

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect import keyed_sql
from bearerwatch.detect.ir_keyed import Travel
from bearerwatch.detect.keyed.kind import Held, Kind, Sighting
from bearerwatch.detect.keyed.lives import MOST, Learner, Lives, oldest

__all__ = ["TravelLive"]

_LATEST = 3
"""Panes of a place that an event can come late for."""

Place = tuple[Any, ...]
"""Learner, country, network, latitude, longitude; hashes of country, network and user agent, each with the learner;
and of the user agent alone."""


class TravelLive(Kind):
    """Sightings are ``(key, pane, *place)``. Places of a key are kept for the rule's window alone."""

    def __init__(self, rule: Travel) -> None:
        """Nothing is known."""
        super().__init__(rule.settle, rule.learned.memory)
        who = keyed_sql.learner(rule.group_by, rule.learned.by)
        asn, agent = sql.key_column("asn"), sql.key_column("user_agent")
        self.select = [
            who,
            '"country"',
            asn,
            *keyed_sql.DEGREES,
            f'hash({who}, "country")',
            f"CASE WHEN {asn} IS NOT NULL THEN hash({who}, {asn}) END",
            f"CASE WHEN {agent} IS NOT NULL THEN hash({who}, {agent}) END",
            f"CASE WHEN {agent} IS NOT NULL THEN hash({agent}) END",
        ]
        self.where = f'{sql.step_where(rule.selection, rule.group_by)} AND "country" IS NOT NULL'
        self.anchors = self.where
        self.told = rule.seconds // rule.settle + 10
        self._rule = rule
        self._window = rule.seconds // rule.settle
        self._elsewhere = frozenset(map(str, rule.elsewhere))
        self._learner = Learner(rule.learned, rule.settle)
        self._countries = Lives(self.kept)
        self._networks = Lives(self.kept)
        self._agents = Lives(self.kept)
        self._places: dict[int, dict[Place, tuple[int, ...]]] = {}
        """Key to place to the latest panes it was seen in, the latest first."""
        self._news: dict[int, dict[tuple[Place, int], bool]] = {}
        """Key to the place and pane of news, and whether the learner was known."""
        self._crowded = False

    def see(self, rows: list[Sighting], pane: int) -> Held:
        """Take in the sightings of *pane*, and say which hold, those of panes soon after included."""
        for row in rows:
            self._learn(row[2:], pane)
        touched = set()
        for key, _, *rest in rows:
            place = tuple(rest)
            if place[2] in self._elsewhere:
                continue
            places = self._places.setdefault(key, {})
            panes = places.get(place, ())
            if pane not in panes:
                places[place] = tuple(sorted((*panes, pane), reverse=True)[:_LATEST])
            agent = place[7] is None or self._agents.new(place[7], pane)
            _, settled, familiar = self._learner.ask(place[0], pane, new_agent=agent)
            if settled and self._is_new(place, pane):
                self._news.setdefault(key, {})[place, pane] = familiar
            if len(places) > 1 and key in self._news:
                touched.add(key)
        held: Held = {}
        for key in touched:
            self._compare(key, pane, held)
        return held

    def _learn(self, place: Place, pane: int) -> None:
        learner, country, network = place[0], place[5], place[6]
        self._learner.see(learner, pane)
        began = self._countries.see(country, pane)
        if began is not None:
            self._learner.bear(learner, pane, began)
        if network is not None:
            self._networks.see(network, pane)
        if place[7] is not None:
            self._agents.see(place[7], pane)

    def _is_new(self, place: Place, pane: int) -> bool:
        return self._countries.new(place[5], pane) and (place[6] is None or self._networks.new(place[6], pane))

    def _compare(self, key: int, pane: int, held: Held) -> None:
        """Compare all sightings of *key* around *pane* that are at most a window apart, if one of two is news."""
        places, news = self._places[key], self._news[key]
        panes: dict[Place, set[int]] = {place: set(seen) for place, seen in places.items()}
        for place, at in news:
            panes.setdefault(place, set()).add(at)
        for here, later in panes.items():
            for there, earlier in panes.items():
                # Of country and network one that is the same will do to explain a jump.
                if here[1] == there[1] or (here[2] is not None and here[2] == there[2]):
                    continue
                far = self._far(here, there)
                if far is not None and far < self._rule.kilometres:
                    continue
                for q in later:
                    if q >= pane and any(self._impossible(news, (here, q), (there, p), far) for p in earlier):
                        one = (key, q, *here)
                        held[one] = max(held.get(one, 0), 0 if far is None else far + self._rule.uncertainty)

    def _impossible(
        self, news: dict[tuple[Place, int], bool], here: tuple[Place, int], there: tuple[Place, int], far: int | None
    ) -> bool:
        panes = here[1] - there[1]
        if not 0 <= panes <= (1 if far is None else self._window):
            return False
        if far is not None and far * 3600 <= (panes + 1) * self._rule.settle * self._rule.speed:
            return False
        # One program on one device keeps its name when its user turns a VPN on.
        soon = panes <= 1 and (None in (here[0][8], there[0][8]) or here[0][8] != there[0][8])
        return any(one in news and (news[one] or soon) for one in (here, there))

    def _far(self, one: Place, other: Place) -> int | None:
        """Kilometres along the great circle, less those that may be wrong; None where that is not known."""
        if None in (*one[3:5], *other[3:5]):
            return None
        lat, lon, lat2, lon2 = map(math.radians, (*one[3:5], *other[3:5]))
        cosine = math.sin(lat2) * math.sin(lat) + math.cos(lat2) * math.cos(lat) * math.cos(lon2 - lon)
        return math.floor(keyed_sql.EARTH * math.acos(min(max(cosine, -1.0), 1.0)) + 0.5) - self._rule.uncertainty

    @property
    def degraded(self) -> bool:
        """Whether keys or values had to be forgotten before their time."""
        return self._crowded or any(
            one.degraded for one in (self._learner, self._countries, self._networks, self._agents)
        )

    def forget(self, before: int) -> None:
        """Let go of what was last seen before that pane, and of places outside the window."""
        self._learner.forget(before)
        self._countries.forget(before)
        self._networks.forget(before)
        self._agents.forget(before)
        recent = before + self.kept - self._window - _LATEST
        latest = {key: max(panes[0] for panes in places.values()) for key, places in self._places.items()}
        if len(latest) > MOST:
            self._crowded = True
            recent = max(recent, oldest(list(latest.values())))
        self._places = {
            key: {place: panes for place, panes in places.items() if panes[0] >= recent}
            for key, places in self._places.items()
            if latest[key] >= recent
        }
        self._news = {
            key: kept
            for key, news in self._news.items()
            if key in self._places and (kept := {one: known for one, known in news.items() if one[1] >= recent})
        }

    def dump(self) -> Any:
        """What :meth:`load` takes."""
        places = [[key, [[*place, panes] for place, panes in places.items()]] for key, places in self._places.items()]
        news = [[key, [[*place, at, known] for (place, at), known in news.items()]] for key, news in self._news.items()]
        lives = [self._countries.dump(), self._networks.dump(), self._agents.dump()]
        return [self._learner.dump(), lives, places, news]

    def load(self, state: Any) -> None:
        """Take up where :meth:`dump` left off."""
        learner, lives, places, news = state
        self._learner.load(learner)
        for one, spans in zip((self._countries, self._networks, self._agents), lives, strict=True):
            one.load(spans)
        self._places = {key: {tuple(place): tuple(panes) for *place, panes in several} for key, several in places}
        self._news = {key: {(tuple(place), at): known for *place, at, known in several} for key, several in news}
