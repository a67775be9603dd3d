"""The rules at work on what has just arrived: exact, in bounded memory, and cheap while nothing happens.

At every tick the sketches (:mod:`~bearerwatch.detect.sketch`) count the new events and name the keys that might have
crossed; only for those the exact SQL is run (:mod:`~bearerwatch.detect.focus`), at every anchor the new events can have
changed; and what it finds opens or extends episodes (:mod:`~bearerwatch.detect.book`). No event is too late or too
early: what the sketches do not remember is looked up in the lake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import duckdb
import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bearerwatch.detect.book import Change, EpisodeBook
from bearerwatch.detect.evaluation import Evaluation
from bearerwatch.detect.evaluator import Evaluator
from bearerwatch.detect.ir import Rule
from bearerwatch.detect.ir_needs import Means, path_of
from bearerwatch.detect.islands import SECOND, instant, micros
from bearerwatch.detect.keyed.remembered import Remembered
from bearerwatch.detect.scheduled import Scheduled
from bearerwatch.detect.warmup import newest_event
from bearerwatch.store import episodes
from bearerwatch.store.episodes import Episode
from bearerwatch.store.lake import Lake
from bearerwatch.store.state import State, StateBusy
from bearerwatch.store.tables import episodes as table

__all__ = ["Change", "Detector"]


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
        """
        self._state = state
        self._book = EpisodeBook(rules, lateness)
        by = {means: [rule for rule in rules if path_of(rule.correlation) is means] for means in Means}
        self._evaluation = Evaluation(by[Means.SKETCHES], con, lake, state, self._book, lateness=lateness)
        self._evaluators: list[Evaluator] = [
            self._evaluation,
            *(
                [Scheduled(by[Means.SCHEDULED], con, lake, state, self._book, lateness=lateness)]
                if by[Means.SCHEDULED]
                else []
            ),
            *([Remembered(by[Means.KEYED], con, lake, state, self._book)] if by[Means.KEYED] else []),
        ]

    def restore(self, now: datetime) -> None:
        """Take up where the last committed transaction left off. Call it once, before the first tick.

        Args:
            now: the collector's clock, aware.

        Raises:
            StateBusy: the state database cannot be read just now; call again.
        """
        now = now.astimezone(UTC)
        latest = sa.select(table.c.rule, sa.func.max(table.c.last_hit)).where(table.c.superseded_by.is_(None))
        with self._state.read() as conn:
            found = episodes.load_open(conn)
            forgotten = conn.execute(latest.where(table.c.closed_at.is_not(None)).group_by(table.c.rule)).all()
            newest = newest_event(conn)
        for episode in found:
            self._book.load(episode, now)
        self._book.forgotten = {rule: last for rule, last in forgotten if last is not None}
        if newest is not None:
            with self._room():
                for evaluator in self._evaluators:
                    evaluator.warm_up(newest, now)

    def read_up_to(self, now: datetime, *, behind: float = 0.0) -> None:
        """Say that events are being read, so that silence means something. Without a call it always does.

        From the first call on, no episode is closed for being quiet since the latest one: it may well go on in what
        waits to be read.

        Args:
            now: the collector's clock, aware.
            behind: how many seconds the source furthest behind has yet to catch up.
        """
        until = instant(micros(now.astimezone(UTC)) - int(behind * SECOND))
        self._book.read_up_to(until)
        for evaluator in self._evaluators:
            evaluator.read_up_to(until)

    def tick(self, now: datetime) -> list[Change]:
        """Evaluate the lake's batch and close quiet episodes. Without a new batch it only closes.

        Args:
            now: the collector's clock, aware.

        Returns:
            What happened to episodes, in order.

        Raises:
            StateBusy: the state database, memory or scratch disk was needed and cannot be used just now. Nothing is
                lost: call again, before the next commit.
        """
        now = now.astimezone(UTC)
        with self._room():
            for evaluator in self._evaluators:
                evaluator.take(now)
                evaluator.finish()
        happened = [one for evaluator in self._evaluators for one in evaluator.happened] + self._book.close(now)
        for evaluator in self._evaluators:
            evaluator.happened = []
        return [Change(transition=what, episode=msgspec.structs.replace(episode)) for what, episode in happened]

    def save(self, tx: Connection) -> None:
        """Write the episodes that have changed.

        Args:
            tx: the transaction that also publishes the events they are made of.

        Raises:
            StateBusy: the latest :meth:`tick` did not come to its end: call it again first. Or as there.
        """
        if any(evaluator.unfinished for evaluator in self._evaluators):
            raise StateBusy("detection has not finished with the latest events: tick again, then commit")
        with self._room():
            for evaluator in self._evaluators:
                evaluator.settle()
                evaluator.save(tx)
        episodes.save(tx, self._book.dirty.values())

    def committed(self) -> None:
        """The transaction given to :meth:`save` is committed."""
        self._book.saved()
        for evaluator in self._evaluators:
            evaluator.committed()

    def rolled_back(self) -> None:
        """The transaction given to :meth:`save` failed: everything is kept for the next one."""

    @property
    def degraded(self) -> list[str]:
        """Rules that had to merge counters to stay within memory: still exact, but they look at more keys.

        Those of which a key had so many events that some stood for the rest, so that hits and peak are estimates; or
        was so dear to look at that it is looked at later.
        Those that had to forget keys: of them they will say nothing until they know them again. And those whose
        queries take longer than a second: still exact, but the collector waits for them.
        """
        return [name for evaluator in self._evaluators for name in evaluator.degraded]

    @property
    def open_episodes(self) -> int:
        """How many episodes are open."""
        return self._book.open

    @property
    def episodes(self) -> list[Episode]:
        """Copies of the episodes in memory: open ones, and those closed not long ago.

        What extends an open one may be up to a second behind; :meth:`save` is not.
        """
        return [msgspec.structs.replace(episode) for episode in self._book.episodes]

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            for evaluator in self._evaluators:
                evaluator.start_over()
            raise StateBusy(
                f"no memory is left for detection ({type(error).__name__}): see that the disk of the scratch folder "
                "has space"
            ) from error
