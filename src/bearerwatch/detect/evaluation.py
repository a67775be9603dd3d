"""One tick after another: new events in, hits out. What :mod:`~bearerwatch.detect.detector` is made of.

A key is *due* when new events may have changed what holds for it. Due keys are evaluated at once, but for those whose
new events can do nothing but extend an episode that is open: they are evaluated once a second and before every commit.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
from sqlalchemy.engine import Connection

from bearerwatch.detect.book import EpisodeBook, Happened
from bearerwatch.detect.evidence import together
from bearerwatch.detect.focus import COLD, FOCUS, Focus, Noted, Span, Watched
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.islands import SECOND, Grown, Key, instant, islands, micros, uncovered
from bearerwatch.detect.recent import Recent
from bearerwatch.detect.rows import Batch, Due, Held, Touched
from bearerwatch.detect.warmup import warm_up
from bearerwatch.detect.watch import Watch, Watches
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State

__all__ = ["Evaluation"]

_MOST_RECENT = 15 * 60 * SECOND
_TIDY_EVERY = 20 * SECOND
_WAIT = 9 * SECOND // 10
_MOST_WAITING = 5_000
_REMEMBER = timedelta(minutes=10)
_DEAR = 0.25
"""Seconds of computing for one rule in one tick past which keys that had no hit are held back, …"""
_PAUSE = 50
"""… for so many times as long, …"""
_SHORTEST, _LONGEST = 10 * SECOND, 600 * SECOND
"""… but no shorter and no longer than that."""
_EVER = -(2**62)


class Evaluation:
    """The rules, what they remember, and what is due. Times are µs unless they are datetimes."""

    def __init__(
        self,
        rules: Sequence[Rule],
        con: duckdb.DuckDBPyConnection,
        lake: Lake,
        state: State,
        book: EpisodeBook,
        *,
        lateness: timedelta,
    ) -> None:
        """Make the tables, empty. For the arguments see :class:`~bearerwatch.detect.detector.Detector`."""
        self._con = con
        self._lake = lake
        self._state = state
        self._book = book
        self._watches = Watches(rules, lateness)
        self._recent = Recent(con, lake, self._watches)
        self._focus = Focus(con, lake, self._recent, self._watches.all)
        self._due: dict[int, dict[Key, Due]] = {watch.number: {} for watch in self._watches.all}
        self._held: dict[int, dict[Key, Held]] = {watch.number: {} for watch in self._watches.all}
        self.happened: list[Happened] = []
        """What happened and has not been told yet."""
        self._tick = 0
        self._taken = True
        """Whether the latest batch is counted."""
        self._now = datetime.now(UTC)
        self._unfinished: set[int] = set()
        """Ticks that are not evaluated to their end."""
        self._began: dict[int, int] = {}
        """Tick to the first row of its batch in the lake, as long as rows of it are due."""
        self._clock: int | None = None
        """Time of the newest event that is not in the future."""
        self._newest = -1
        """Time of the newest event, wherever it is."""
        self._floor: int | None = None
        """The clock when the sketches last forgot; None if they never did."""
        self._tidied: int | None = None

    @property
    def degraded(self) -> list[str]:
        """Names of the rules that look at too many keys, at some of the events, or at some keys later."""
        return [watch.rule.name for watch in self._watches.all if watch.degraded or self._held[watch.number]]

    @property
    def unfinished(self) -> bool:
        """Whether a tick was broken off."""
        return bool(self._unfinished) or not self._taken

    def warm_up(self, newest: datetime, now: datetime) -> None:
        """Remember the last minutes of a lake whose newest event is from *newest*."""
        self._newest = micros(newest)
        self._clock = self._floor = self._tidied = min(self._newest, micros(now))
        warm_up(self._con, self._lake, self._watches, self._recent, clock=self._clock, longest=self._kept())

    def read_up_to(self, until: datetime) -> None:
        """Nothing to do: what is counted here does not hang on the clock."""

    def save(self, tx: Connection) -> None:
        """Nothing to write: sketches are filled from the lake."""

    def committed(self) -> None:
        """Nothing to do."""

    # -- in ----------------------------------------------------------------------------------------------------------

    def take(self, now: datetime) -> None:
        """Count the events of the lake's batch, if it is a new one, and note which keys are due."""
        self._now = now
        self._taken = False
        batch = self._recent.take(self._tick + 1, micros(now))
        if batch is not None:
            self._count(batch)
        self._taken = True

    def _count(self, batch: Batch) -> None:
        """Count *batch*, which is new, and note which keys are due."""
        focused = {
            number: np.fromiter((one.mark for some in (keys, self._due[number]) for one in some.values()), np.uint64)
            for number, keys in self._focus.keys.items()
            if keys or self._due[number]
        }
        try:
            self._watches.take(batch, focused)
        except BaseException:
            # Nobody has been told of these rows: the batch is taken once more. What of them is counted already is
            # counted twice then, which sketches may.
            self._recent.give_back()
            for watch in self._watches.all:
                watch.touched.clear()
            raise
        self._tick += 1
        self._unfinished.add(self._tick)
        self._began[self._tick] = self._lake.batch_from
        before, self._newest = self._newest, max(self._newest, int(batch.ts.max()))
        clock = micros(self._now)
        past = batch.ts[batch.ts <= clock]
        if len(past):
            self._clock = max(int(past.max()), self._clock if self._clock is not None else _EVER)
        noted: list[Noted] = []
        for watch in self._watches.all:
            self._sort_out(watch, noted, before, clock)
            watch.touched.clear()
        self._focus.note(noted)

    def _sort_out(self, watch: Watch, noted: list[Noted], newest: int, clock: int) -> None:
        """Make the touched keys of *watch* due that might hold; collect the rows of those in focus."""
        due, watched, held = self._due[watch.number], self._focus.keys[watch.number], self._held[watch.number]
        for key, touched in watch.touched.items():
            if key in held:
                held[key].add(touched)
                continue
            focused = watched.get(key)
            if focused is not None:
                noted.append((watch.number, self._tick, touched.ids, touched.counts))
                if focused.tally is not None:
                    focused.tally.take(touched.steps, touched.times, touched.weights)
            if key in due:
                due[key].merge(touched)
                due[key].heard = clock
            elif touched.crossing and not self._short(watch, focused, touched):
                due[key] = Due(
                    touched.first,
                    touched.last,
                    touched.ids,
                    touched.counts,
                    touched.mark,
                    self._tick,
                    newest,
                    clock,
                    clock,
                )
            if focused is not None:
                if key in due:
                    focused.used = self._clock or 0
                else:
                    focused.newest = max(focused.newest, touched.last)

    def _short(self, watch: Watch, focused: Watched | None, touched: Touched) -> bool:
        """Whether a key in focus has too little for some step, whatever the sketches, where keys share counters, say.

        An attacker who shares one with somebody who is let in would else be asked about "let in after failures" at
        every tick.
        """
        low, high = touched.first - watch.reach, touched.last + watch.reach
        if focused is None or focused.tally is None or low < focused.start:
            return False
        return not focused.tally.might_hold(low, high)

    # -- out ---------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Evaluate what cannot wait, and what must not wait any longer; then forget what is not needed."""
        self._release()
        self._evaluate_all(defer=True)
        self._unfinished.clear()
        if any(self._due.values()) and (self._untidy or self._book.quiet(self._now)):
            self._evaluate_all(defer=False)
        self._tidy()

    def settle(self) -> None:
        """Evaluate what was waiting: it can only extend open episodes."""
        self._evaluate_all(defer=False)
        self._focus.catch_up()  # what is committed may be gone from memory soon

    def start_over(self) -> None:
        """After running out of memory: forget the keys in focus, some of whose rows may be missing."""
        self._focus.reset()
        for due in self._due.values():
            for entry in due.values():
                if entry.since not in self._unfinished:  # it was waiting: which of its rows are new is not known now
                    entry.ids, entry.counts = entry.ids[:0], entry.counts[:0]
                    entry.since, entry.newest = self._tick + 1, self._newest

    def _evaluate_all(self, *, defer: bool) -> None:
        for watch in self._watches.all:
            due = self._due[watch.number]
            if defer:
                due = {key: entry for key, entry in due.items() if not self._can_wait(watch, key, entry)}
            for since in sorted({entry.since for entry in due.values()}):
                self._evaluate(watch, {key: entry for key, entry in due.items() if entry.since == since}, since)
        waiting = {entry.since for due in self._due.values() for entry in due.values()}
        self._began = {tick: row for tick, row in self._began.items() if tick in waiting}

    def _can_wait(self, watch: Watch, key: Key, entry: Due) -> bool:
        """Whether *entry* may be evaluated later, together with what comes until then."""
        focused = self._focus.keys[watch.number].get(key)
        if focused is None or len(entry.ids) > _MOST_WAITING or not 0 <= micros(self._now) - entry.at < _WAIT:
            return False
        if entry.first - watch.reach < focused.start:
            return False
        return self._book.extends_only(watch.rule, key, entry.first, max(entry.last, focused.newest))

    def _evaluate(self, watch: Watch, due: dict[Key, Due], since: int) -> None:
        """Evaluate these keys of *watch*, whose new rows came from tick *since* on; they are due no more."""
        floor = None if self._floor is None else self._floor - watch.horizon
        known = self._focus.keys[watch.number]
        cold = {key: entry for key, entry in due.items() if self._is_cold(watch, key, entry, floor)}
        warm = {key: entry for key, entry in due.items() if key not in cold}
        fresh = {key: entry for key, entry in warm.items() if key not in known}
        until, began = self._began.get(since), time.thread_time()
        if fresh:
            newest, clock = max(entry.newest for entry in fresh.values()), self._clock or 0
            self._focus.watch(watch, fresh, since=since, floor=floor, newest=newest, clock=clock, until=until)
        if warm:
            late = {key: entry for key, entry in warm.items() if known[key].newest >= entry.first}
            told = self._answer(watch, warm, late, FOCUS)
            spent = time.thread_time() - began
            if spent > _DEAR:
                self._hold(watch, warm.keys() - told, spent)
        if cold:
            crossing = self._focus.cold(watch, cold, until)
            self._answer(watch, crossing, crossing, COLD)
            for key in cold:
                self._due[watch.number].pop(key, None)
            self._note_newest(watch, cold)

    def _hold(self, watch: Watch, keys: Iterable[Key], spent: float) -> None:
        """Look at *keys* again only after a while, for this cost *spent* seconds and found nothing.

        Such as a user agent that half of all clients have, of which the rule has to see every event to say no. What
        comes meanwhile is looked at then.
        """
        known, held = self._focus.keys[watch.number], self._held[watch.number]
        quiet = [key for key in keys if key in known and not self._book.has_open(watch.rule, key)]
        pause = min(max(int(spent * SECOND) * _PAUSE, _SHORTEST), _LONGEST)
        held |= {key: Held(micros(self._now) + pause, known[key].mark) for key in quiet}
        self._focus.drop(watch, quiet)

    def _release(self) -> None:
        """Keys that were held for long enough are due, with what has come for them meanwhile."""
        clock = micros(self._now)
        for number, held in self._held.items():
            for key in [key for key, one in held.items() if one.until <= clock]:
                one = held.pop(key)
                if one.first is not None:  # its rows are old ones by now, wherever they are
                    none = np.empty(0, np.int64)
                    since = self._tick + 1
                    self._due[number][key] = Due(
                        one.first, one.last, none, none, one.mark, since, self._newest, clock, clock
                    )

    def _is_cold(self, watch: Watch, key: Key, entry: Due, floor: int | None) -> bool:
        """Whether neither sketches nor focus remember all that matters to *entry*."""
        focused = self._focus.keys[watch.number].get(key)
        start = floor if focused is None else focused.start
        return start is not None and entry.first - watch.reach < start

    def _answer(self, watch: Watch, due: Mapping[Key, Due], late: Mapping[Key, Due], table: str) -> set[Key]:
        """Look for hits of the keys of *due*, of which those of *late* may have had some before, and keep the book.

        Returns:
            The keys that had any.
        """
        if not due:
            return set()
        since = next(iter(due.values())).since
        hits = self._focus.hits(watch, due, table)
        late = {key: entry for key, entry in late.items() if key in hits}
        old = self._focus.hits(watch, late, table, before=since) if late else {}
        gap = watch.rule.window * SECOND
        found = {key: list(islands(anchors, [ts for ts, _ in old.get(key, ())], gap)) for key, anchors in hits.items()}
        self._book.look_up(watch.rule, found, self._state, self._now)
        # From here on nothing can fail but the evidence.
        grown: list[tuple[Key, Grown]] = []
        for key, several in found.items():
            changed, happened = self._book.absorb(
                watch.rule, key, several, now=self._now, heard=instant(due[key].heard)
            )
            grown += [(key, one) for one in changed]
            self.happened += happened
        for key in due:
            del self._due[watch.number][key]
        self._note_evidence(watch, grown, due, table)
        self._note_newest(watch, due)
        if table == FOCUS:
            known = self._focus.keys[watch.number]
            self._focus.count(watch, [key for key in due if key not in hits and known[key].tally is None])
        return set(hits)

    def _note_newest(self, watch: Watch, due: Mapping[Key, Due]) -> None:
        """The rows of *due*, which are answered, are old from now on, whatever becomes of the other keys."""
        known = self._focus.keys[watch.number]
        for key, entry in due.items():
            if key in known:
                known[key].newest = max(known[key].newest, entry.last)

    def _note_evidence(self, watch: Watch, grown: list[tuple[Key, Grown]], due: Mapping[Key, Due], table: str) -> None:
        """Add the events that have come to belong to the episodes."""
        window = watch.rule.window * SECOND
        old: list[Span] = []
        new: list[Span] = []
        for key, one in grown:
            focused = self._focus.keys[watch.number].get(key) if table == FOCUS else None
            old += [(key, *gap) for gap in uncovered(one, window) if focused is None or gap[0] <= focused.newest]
            new.append((key, micros(one.episode.first_hit) - window, micros(one.episode.last_hit)))
        seen = self._focus.seen(watch, old, new, next(iter(due.values())).since, table)
        for key, one in grown:
            episode = one.episode
            low, high = micros(episode.first_hit) - window, micros(episode.last_hit)
            mine = [event for event in seen.get(key, ()) if low <= event.ts <= high]
            if mine:
                episode.evidence = together(episode.evidence, mine)
                self._book.dirty[episode.id] = episode

    # -- upkeep ------------------------------------------------------------------------------------------------------

    def _kept(self) -> int:
        """How much of the recent past to keep at most."""
        return min(max((watch.horizon for watch in self._watches.all), default=0), _MOST_RECENT)

    @property
    def _untidy(self) -> bool:
        """Whether it is time to forget, every twenty seconds of event time."""
        return self._clock is not None and self._tidied is not None and self._clock - self._tidied >= _TIDY_EVERY

    def _tidy(self) -> None:
        """Forget what is older than needed."""
        if self._tidied is None:
            self._tidied = self._clock
        if self._untidy or self._recent.crowded:
            self._focus.catch_up()  # before what it copies from is dropped
        if self._untidy and self._clock is not None:
            self._tidied = self._floor = self._clock
            floors = {watch.number: self._clock - watch.horizon for watch in self._watches.all}
            for watch in self._watches.all:
                watch.forget(floors[watch.number])
            self._recent.prune(self._clock - self._kept())
            self._focus.prune(floors)
            self._book.forget(instant(min(floors.values(), default=self._clock)) - _REMEMBER)
        elif self._recent.crowded:
            self._recent.prune((self._clock or 0) - self._kept())
