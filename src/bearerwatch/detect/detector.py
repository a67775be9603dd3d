"""The rules at work on what has just arrived: exact, in bounded memory, and cheap while nothing happens.

At every tick the sketches (:mod:`~bearerwatch.detect.sketch`) count the new events and name the keys that might have
crossed; only for those the exact SQL is run (:mod:`~bearerwatch.detect.focus`), at every anchor the new events can have
changed; and what it finds opens or extends episodes (:mod:`~bearerwatch.detect.book`). No event is too late or too
early: what the sketches do not remember is looked up in the lake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bearerwatch.detect.book import Change, EpisodeBook, Grown, Happened, Island, Key, instant, islands, micros
from bearerwatch.detect.evidence import Seen, together
from bearerwatch.detect.focus import COLD, FOCUS, Focus, Span
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.recent import Recent
from bearerwatch.detect.sketch import SECOND
from bearerwatch.detect.warmup import newest_event, warm_up
from bearerwatch.detect.watch import SEEN, TS, WEIGHT, Due, Row, Watch, Watches
from bearerwatch.store import episodes
from bearerwatch.store.episodes import Episode
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State, StateBusy
from bearerwatch.store.tables import episodes as episode_table

__all__ = ["Detector"]

_MOST_RECENT = timedelta(minutes=15) // timedelta(microseconds=1)
_TIDY_EVERY = timedelta(seconds=20) // timedelta(microseconds=1)
_REMEMBER = timedelta(minutes=10)


class Detector:
    """Evaluates the rules. One thread; call :meth:`tick` after every :meth:`Lake.append`."""

    def __init__(
        self,
        rules: Sequence[Rule],
        con: duckdb.DuckDBPyConnection,
        lake: Lake,
        state: State,
        *,
        lateness: timedelta = timedelta(seconds=60),
    ) -> None:
        """Make the tables; nothing is read yet, see :meth:`restore`.

        Args:
            rules: from :func:`bearerwatch.detect.rulebook.load_rules`.
            con: the DuckDB connection *lake* uses.
            lake: where the events are.
            state: where the episodes are; migrated.
            lateness: how late events may be without costing a look into the lake, and how much longer than a rule's
                window an episode must be quiet to be closed. Later ones are evaluated just as exactly.

        Raises:
            ConfigurationError: there are too many rules for one process.
        """
        self._con = con
        self._lake = lake
        self._state = state
        self._lateness = lateness
        self._watches = Watches(con, rules, lateness)
        self._recent = Recent(con, self._watches)
        self._focus = Focus(con, lake, self._recent, self._watches.all)
        self._book = EpisodeBook(rules, lateness)
        self._due: dict[int, dict[Key, Due]] = {watch.number: {} for watch in self._watches.all}
        self._happened: list[Happened] = []
        self._tick = 0
        self._old_pending: dict[int, int] = {}
        """Unfinished tick to how many rows of ``pending`` are older than it."""
        self._clock: int | None = None
        """Time of the newest event that is not in the future."""
        self._newest = -1
        """Time of the newest event, wherever it is."""
        self._floor: int | None = None
        """The clock when the sketches last forgot; None if they never did."""
        self._tidied: int | None = None

    # -- life --------------------------------------------------------------------------------------------------------

    def restore(self, now: datetime) -> None:
        """Take up where the last committed transaction left off. Call it once, before the first tick.

        Raises:
            StateBusy: the state database cannot be read just now; call again.
        """
        table = episode_table
        with self._state.read() as conn:
            found = episodes.load_open(conn)
            latest = sa.select(table.c.rule, sa.func.max(table.c.last_hit)).where(table.c.superseded_by.is_(None))
            forgotten = conn.execute(latest.where(table.c.closed_at.is_not(None)).group_by(table.c.rule)).all()
            newest = newest_event(conn)
        for episode in found:
            self._book.load(episode, now)
        self._book.forgotten = {rule: last for rule, last in forgotten if last is not None}
        if newest is not None:
            self._newest = micros(newest)
            self._clock = self._floor = self._tidied = min(self._newest, micros(now))
            warm_up(self._con, self._lake, self._watches, self._recent, clock=self._clock, longest=self._kept())

    def tick(self, now: datetime) -> list[Change]:
        """Evaluate table ``batch`` and close quiet episodes. Without a new batch it only closes.

        Args:
            now: the collector's clock, aware.

        Returns:
            What happened to episodes, in order.

        Raises:
            StateBusy: the state database, memory or scratch disk was needed and cannot be used just now. Nothing is
                lost: call again, before the next commit.
        """
        now = now.astimezone(UTC)
        try:
            self._take(micros(now))
            for watch in self._watches.all:
                if self._due[watch.number]:
                    self._evaluate(watch, now)
            self._old_pending.clear()
            self._tidy()
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            self._focus.reset()
            raise StateBusy(
                f"no memory is left for detection ({type(error).__name__}): see that the scratch folder's disk has space"
            ) from error
        self._happened += self._book.close(now)
        happened, self._happened = self._happened, []
        return [Change(transition=what, episode=msgspec.structs.replace(episode)) for what, episode in happened]

    def save(self, tx: Connection) -> None:
        """Write the episodes that have changed.

        Raises:
            StateBusy: the latest :meth:`tick` did not come to its end: call it again first.
        """
        if self._old_pending:
            raise StateBusy("detection has not finished with the latest events: tick again, then commit")
        episodes.save(tx, self._book.dirty.values())

    def committed(self) -> None:
        """The transaction given to :meth:`save` is committed."""
        self._book.saved()

    def rolled_back(self) -> None:
        """The transaction given to :meth:`save` failed: everything is kept for the next one."""

    @property
    def degraded(self) -> list[str]:
        """Rules that had to merge counters to stay within memory: still exact, but they look at more keys."""
        return [watch.rule.name for watch in self._watches.all if watch.degraded]

    @property
    def episodes(self) -> list[Episode]:
        """Copies of the episodes in memory: open ones, and those closed not long ago."""
        return [msgspec.structs.replace(episode) for episode in self._book.episodes]

    @property
    def open_episodes(self) -> int:
        """How many episodes are open."""
        return self._book.open

    # -- one tick ----------------------------------------------------------------------------------------------------

    def _take(self, now: int) -> None:
        """Count the new events, if any, and note which keys are due."""
        rows = self._recent.take(self._tick + 1)
        if not rows:
            return
        self._tick += 1
        self._old_pending[self._tick] = self._lake.pending_rows - len(rows)
        self._watches.take(rows)
        times = [row[TS] for row in rows]
        before, self._newest = self._newest, max(self._newest, *times)
        past = max((ts for ts in times if ts <= now), default=None)
        if past is not None and (self._clock is None or past > self._clock):
            self._clock = past
        pairs: list[tuple[int, Row]] = []
        for watch in self._watches.all:
            self._sort_out(watch, pairs, before)
            watch.touched.clear()
        self._focus.add(pairs)

    def _sort_out(self, watch: Watch, pairs: list[tuple[int, Row]], newest: int) -> None:
        """Make the touched keys of *watch* due that might hold; collect the rows of those in focus."""
        due, watched = self._due[watch.number], self._focus.keys[watch.number]
        for key, touched in watch.touched.items():
            focused = watched.get(key)
            if focused is not None:
                pairs += [(watch.number, row) for row in touched.rows]
            if key in due:
                due[key].merge(touched)
            elif watch.might_hold(touched.first, touched.last, key):
                due[key] = Due(touched.first, touched.last, touched.rows, self._tick, newest)
                if focused is not None:
                    focused.used = self._clock or 0
            elif focused is not None:
                focused.newest = max(focused.newest, touched.last)

    def _evaluate(self, watch: Watch, now: datetime) -> None:
        """Evaluate the due keys of *watch*; those done are due no more."""
        floor = None if self._floor is None else self._floor - watch.horizon
        known = self._focus.keys[watch.number]
        for since in sorted({entry.since for entry in self._due[watch.number].values()}):
            due = {key: entry for key, entry in self._due[watch.number].items() if entry.since == since}
            old_pending = self._old_pending[since]
            cold = {key: entry for key, entry in due.items() if self._is_cold(watch, key, entry, floor)}
            warm = {key: entry for key, entry in due.items() if key not in cold}
            fresh = {key: entry for key, entry in warm.items() if key not in known}
            if fresh:
                newest = max(entry.newest for entry in fresh.values())
                clock = self._clock or 0
                self._focus.watch(
                    watch, fresh, since=since, floor=floor, newest=newest, clock=clock, old_pending=old_pending
                )
            if warm:
                late = {key: entry for key, entry in warm.items() if known[key].newest >= entry.first}
                self._answer(watch, warm, late, FOCUS, now)
            if cold:
                crossing = self._focus.cold(watch, cold, old_pending)
                self._answer(watch, crossing, crossing, COLD, now)
            for key, entry in due.items():
                self._due[watch.number].pop(key, None)
                if key in known:
                    known[key].newest = max(known[key].newest, entry.last)

    def _is_cold(self, watch: Watch, key: Key, entry: Due, floor: int | None) -> bool:
        """Whether neither sketches nor focus remember all that matters to *entry*."""
        focused = self._focus.keys[watch.number].get(key)
        start = floor if focused is None else focused.start
        return start is not None and entry.first - watch.reach < start

    def _answer(self, watch: Watch, due: Mapping[Key, Due], late: Mapping[Key, Due], table: str, now: datetime) -> None:
        """Look for hits of the keys of *due*, of which those of *late* may have had some before, and keep the book."""
        if not due:
            return
        since = next(iter(due.values())).since
        hits = self._focus.hits(watch, due, table)
        late = {key: entry for key, entry in late.items() if key in hits}
        old = self._focus.hits(watch, late, table, before=since) if late else {}
        found = {
            key: list(islands(anchors, [ts for ts, _ in old.get(key, ())], watch.rule.window * SECOND))
            for key, anchors in hits.items()
        }
        self._look_up(watch.rule, (island for several in found.values() for island in several), now)
        # From here on nothing can fail but the evidence.
        grown: list[tuple[Key, Grown]] = []
        for key, several in found.items():
            episodes_grown, happened = self._book.absorb(watch.rule, key, several, now)
            grown += [(key, one) for one in episodes_grown]
            self._happened += happened
        for key in due:
            del self._due[watch.number][key]
        self._note_evidence(watch, grown, due, table)

    def _look_up(self, rule: Rule, found: Iterable[Island], now: datetime) -> None:
        """Take closed episodes that late hits could touch back into memory."""
        ranges = [span for island in found if (span := self._book.needs(rule, island)) is not None]
        if not ranges:
            return
        since, until = min(r[0] for r in ranges), max(r[1] for r in ranges)
        with self._state.read() as conn:
            near = episodes.list_(
                conn, since=since, until=until + timedelta(microseconds=1), rules=[rule.name], limit=None
            )
        for episode in near:
            self._book.load(episode, now)

    def _note_evidence(self, watch: Watch, grown: list[tuple[Key, Grown]], due: Mapping[Key, Due], table: str) -> None:
        """Add the events that have come to belong to the episodes that grew."""
        window = watch.rule.window * SECOND
        gaps: list[Span] = []
        for key, one in grown:
            focused = self._focus.keys[watch.number].get(key) if table == FOCUS else None
            for low, high in _uncovered(one, window):
                if focused is None or low <= focused.newest:
                    gaps.append((key, low, high))
        since = next(iter(due.values())).since
        old = self._focus.seen(watch, gaps, since, table)
        for key, one in grown:
            episode = one.episode
            low, high = micros(episode.first_hit) - window, micros(episode.last_hit)
            new = [Seen(row[TS], row[WEIGHT], *row[SEEN]) for row in due[key].rows]
            uncovered = _uncovered(one, window)
            fresh = [seen for seen in new if low <= seen.ts <= high]
            fresh += [s for s in old.get(key, ()) if any(a <= s.ts <= b for a, b in uncovered)]
            episode.evidence = together(episode.evidence, fresh)

    # -- upkeep ------------------------------------------------------------------------------------------------------

    def _kept(self) -> int:
        """µs of recent events to keep at most."""
        return min(max((watch.horizon for watch in self._watches.all), default=0), _MOST_RECENT)

    def _tidy(self) -> None:
        """Forget what is older than needed, every twenty seconds of event time."""
        if self._clock is None:
            return
        if self._tidied is None:
            self._tidied = self._clock
        if self._clock - self._tidied >= _TIDY_EVERY:
            self._tidied = self._floor = self._clock
            floors = {watch.number: self._clock - watch.horizon for watch in self._watches.all}
            for watch in self._watches.all:
                watch.forget(floors[watch.number])
            self._recent.prune(self._clock - self._kept())
            self._focus.prune(floors)
            self._book.forget(instant(min(floors.values(), default=self._clock)) - _REMEMBER)
        elif self._recent.crowded:
            self._recent.prune(self._clock - self._kept())


def _uncovered(grown: Grown, window: int) -> list[tuple[int, int]]:
    """The parts of an episode's extent (from one window before its first hit) that it did not have before."""
    start, end = micros(grown.episode.first_hit) - window, micros(grown.episode.last_hit)
    parts = []
    for first, last in sorted(grown.before):
        if start < first - window:
            parts.append((start, first - window - 1))
        start = max(start, last + 1)
    if start <= end:
        parts.append((start, end))
    return parts
