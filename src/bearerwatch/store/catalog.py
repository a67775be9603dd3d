"""Reading the lake, and going on reading when a file of it is damaged."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import duckdb

from bearerwatch._guard import say
from bearerwatch.errors import ConfigurationError
from bearerwatch.store import manifest
from bearerwatch.store.folders import fsync, private_folder
from bearerwatch.store.identity import mismatch
from bearerwatch.store.integrity import Damage, Inspector
from bearerwatch.store.manifest import Segment
from bearerwatch.store.segments import expression
from bearerwatch.store.state import State, StateBusy

__all__ = ["Catalog"]

T = TypeVar("T")
_TRIES = 5
# DuckDB reports damage under nearly any other class, its base class included.
_NOT_THE_FILES = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConstraintException,
    duckdb.InterruptException,
    duckdb.OutOfMemoryException,
    duckdb.ParserException,
    duckdb.SyntaxException,
)


class Catalog:
    """The live segments of a lake, as SQL."""

    def __init__(self, folder: Path, state: State, quarantine: Path, report: Callable[[str], None] = say) -> None:
        """Nothing is touched yet.

        Args:
            folder: the lake's folder.
            state: where the manifest is.
            quarantine: folder for damaged files; made when the first one is found.
            report: told about each damaged file, in words that say what to do.
        """
        self.folder = folder.absolute()
        self._state = state
        self._quarantine = quarantine.absolute()
        self._report = report
        self._inspector = Inspector(self.folder)
        self._unreadable: dict[str, tuple[Segment, Damage]] = {}
        """Damaged files that could not be dropped from the manifest yet."""

    def scan(self, since: datetime | None = None, until: datetime | None = None) -> str:
        """An SQL table expression over all segments that may hold events with ``since <= ts < until``.

        It has all columns of an event and may hold rows outside the range: say ``WHERE ts >= …`` as well.
        Files that are missing or of the wrong size are set aside first. To survive other damage too, query through
        :meth:`reading`.

        Raises:
            StateBusy: the manifest cannot be read just now.
        """
        return expression(self.folder, self._usable(since, until))

    def reading(self, since: datetime | None, until: datetime | None, work: Callable[[str], T]) -> T:
        """Call *work* with :meth:`scan`'s expression; on damage set the file aside and call it again.

        Args:
            since: as for :meth:`scan`.
            until: as for :meth:`scan`.
            work: runs its query to the end (``fetchall()``) and returns what it found.

        Raises:
            duckdb.Error: the query fails and the files are not to blame.
            StateBusy: the manifest cannot be read just now.
        """
        for _ in range(_TRIES):
            segments = self._usable(since, until)
            try:
                return work(expression(self.folder, segments))
            except _NOT_THE_FILES:
                raise
            except duckdb.Error as error:
                if not self._explained(segments, str(error)):
                    raise
        return work(self.scan(since, until))

    def verify(self, since: datetime | None = None, until: datetime | None = None) -> list[str]:
        """Read every live segment in the range and compare it with the SHA-256 it was published with.

        Returns:
            Paths of the damaged ones, which have been set aside and reported.
        """
        with self._state.read() as conn:
            segments = manifest.live(conn, since, until)
        return self.check(segments)

    def check(self, segments: Sequence[Segment]) -> list[str]:
        """As :meth:`verify`, for these *segments* alone."""
        found = [(segment, self._inspector.examine(segment)) for segment in segments]
        bad = [(segment, damage) for segment, damage in found if damage is not None]
        return [segment.path for segment, damage in bad if self._set_aside(segment, damage)]

    def _usable(self, since: datetime | None, until: datetime | None) -> list[Segment]:
        segments: list[Segment] = []
        bad: dict[str, tuple[Segment, Damage]] = {}
        for _ in range(_TRIES):
            with self._state.read() as conn:
                segments = manifest.live(conn, since, until)
                found = ((s, self._inspector.glance(s)) for s in segments)
                bad = self._unreadable | {s.path: (s, damage) for s, damage in found if damage is not None}
            # One that was compacted away while we looked is no damage, but its rows are in a file we do not know yet.
            if all([self._set_aside(*one) for one in bad.values()]):  # noqa: C419 - each of them, even after a False
                break
        return [s for s in segments if s.path not in bad]

    def _explained(self, segments: Sequence[Segment], message: str) -> bool:
        """Whether trying again makes sense: a file was damaged, or has been replaced by compaction meanwhile."""
        named = [s for s in segments if s.path in message]
        rest = [s for s in segments if s.path not in message]
        if self.check(named) or self.check(rest):
            return True
        with self._state.read() as conn:
            current = {s.path for s in manifest.live(conn)}
        return any(s.path not in current for s in segments)

    def _set_aside(self, segment: Segment, damage: Damage) -> bool:
        """Take a damaged segment out of use. False if it was not in use any more: then nothing is wrong."""
        path = self.folder / segment.path
        try:
            with self._state.begin() as tx:
                wrong = mismatch(tx, self.folder)
                in_use = 0 if wrong else manifest.drop(tx, [segment.path], datetime.now(UTC), damage)
        except StateBusy:
            self._unreadable[segment.path] = segment, damage  # left out for now; dropped from the manifest later
            return True
        if wrong:  # not one file is missing but all of them: a disk that is not mounted, say
            raise StateBusy(wrong)
        self._unreadable.pop(segment.path, None)
        if not in_use:
            return False
        where = "" if damage == "missing" else f"; what is left of it was moved to {self._moved(path, segment.path)}"
        self._report(
            f"the lake file {path} is {damage}{where}. Its {segment.rows} events between {segment.min_ts:%F %T} and "
            f"{segment.max_ts:%F %T} UTC are missing from queries until it is restored from a backup under its old "
            "name and the collector restarted; check the disk (dmesg, smartctl)"
        )
        return True

    def _moved(self, path: Path, name: str) -> Path | str:
        target = self._quarantine / name.removeprefix("events/").replace("/", "_")
        try:
            private_folder(self._quarantine.parent)
            private_folder(self._quarantine)
            os.replace(path, target)  # noqa: PTH105 - rename(2), meant literally
            fsync(self._quarantine)
        except (OSError, ConfigurationError) as error:
            return f"nowhere ({error})"
        with suppress(OSError):
            fsync(path.parent)
        return target
