"""Values that a known key never had before, see :class:`~bearerwatch.detect.ir_keyed.FirstSeen`."""

from __future__ import annotations

from typing import Any

from bearerwatch.detect import duckdb_sql as sql
from bearerwatch.detect import keyed_sql
from bearerwatch.detect.ir_keyed import FirstSeen
from bearerwatch.detect.keyed.kind import Held, Kind, Sighting
from bearerwatch.detect.keyed.lives import Learner, Lives

__all__ = ["FirstSeenLive"]


class FirstSeenLive(Kind):
    """Sightings are ``(key, pane, learner, value of each field, user agent)``, each but the first two as a hash."""

    def __init__(self, rule: FirstSeen) -> None:
        """Nothing is known."""
        super().__init__(rule.settle, rule.learned.memory)
        values = [sql.key_column(name) for name in (*rule.fields, "user_agent")]
        learner = keyed_sql.learner(rule.group_by, rule.learned.by)
        self.select = [
            learner,
            *(f"CASE WHEN {value} IS NOT NULL THEN hash({learner}, {value}) END" for value in values),
        ]
        self.where = f"{sql.step_where(rule.selection, rule.group_by)} AND {values[0]} IS NOT NULL"
        self.anchors = self.where
        self._learner = Learner(rule.learned, rule.settle)
        self._lives = [Lives(rule.learned.memory // rule.settle) for _ in values]

    def see(self, rows: list[Sighting], pane: int) -> Held:
        """Take in the sightings of *pane*, and say which hold."""
        for _, _, learner, *values in rows:
            self._learner.see(learner, pane)
            for i, (lives, value) in enumerate(zip(self._lives, values, strict=True)):
                began = None if value is None else lives.see(value, pane)
                if began is not None and i == 0:
                    self._learner.bear(learner, pane, began)
        held: Held = {}
        for row in rows:
            _, _, learner, *values = row
            *news, agent = (v is None or lives.new(v, pane) for lives, v in zip(self._lives, values, strict=True))
            if not all(news):
                continue
            seen, _, familiar = self._learner.ask(learner, pane, new_agent=agent)
            if familiar:
                held[row] = seen
        return held

    @property
    def degraded(self) -> bool:
        """Whether keys or values had to be forgotten before their time."""
        return self._learner.degraded or any(lives.degraded for lives in self._lives)

    def forget(self, before: int) -> None:
        """Let go of what was last seen before that pane."""
        self._learner.forget(before)
        for lives in self._lives:
            lives.forget(before)

    def dump(self) -> Any:
        """What :meth:`load` takes."""
        return [self._learner.dump(), *(lives.dump() for lives in self._lives)]

    def load(self, state: Any) -> None:
        """Take up where :meth:`dump` left off."""
        self._learner.load(state[0])
        for lives, spans in zip(self._lives, state[1:], strict=True):
            lives.load(spans)
