"""The lake: events as immutable Parquet segments, published through the manifest and nowhere else.

The life of an event here: :meth:`Lake.append` takes it into memory, :meth:`Lake.publish` writes it to a segment and
the segment into the manifest, inside the collector's one transaction; once that is committed, the event is in every
scan, exactly once, until :meth:`Lake.retain` drops its hour.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

import duckdb
from sqlalchemy.engine import Connection

from bearerwatch._guard import say
from bearerwatch.store import manifest
from bearerwatch.store.catalog import Catalog
from bearerwatch.store.engine import COLUMNS, DEFAULTS, quoted
from bearerwatch.store.folders import fsync
from bearerwatch.store.manifest import Segment
from bearerwatch.store.prepared import Prepared
from bearerwatch.store.segments import stored, trouble, write
from bearerwatch.store.state import State, StateBusy
from bearerwatch.store.text import Text
from bearerwatch.store.upkeep import Upkeep

__all__ = ["GRACE", "INCOMING", "Lake"]

INCOMING = "incoming"
"""The table of the rows in memory."""

GRACE = timedelta(seconds=60)
"""How long a file out of use stays on the disk, for queries that began before."""

T = TypeVar("T")
_REQUIRED = frozenset({"kind", "event_id", "ts"})
_CHUNK = 4 << 20
_PIECE = 500
_LONGEST = 1 << 17
"""Bytes of one line that is read like a file; a longer one is loaded with few others."""
_MAX_HOURS = 48
"""Segments one publication writes at most, however far apart its events lie."""
# The check keeps out "infinity" and years that Python's datetime does not have.
_TABLE = ", ".join(f'"{name}" {kind}{" NOT NULL" * (name in _REQUIRED)}' for name, kind in COLUMNS.items()) + (
    ", CHECK (ts BETWEEN TIMESTAMP '1970-01-01' AND TIMESTAMP '9999-12-31')"
)
_WIRE = {name: "TIMESTAMPTZ" if kind == "TIMESTAMP" else kind for name, kind in COLUMNS.items()}


def _field(name: str) -> str:
    """SQL for one column of the decoded line ``e``."""
    if name == "event_id":  # in the one form of a UUID, whatever it came in: segments keep it as 16 bytes
        return "e.event_id::UUID::VARCHAR"
    if COLUMNS[name] == "TIMESTAMP":  # an offset other than Z must not be ignored
        return f"timezone('UTC', e.\"{name}\")"
    return f'coalesce(e."{name}", {DEFAULTS[name]})' if name in DEFAULTS else f'e."{name}"'


# Few lines are quickest in one string: five times faster than Python lists, and nothing touches the disk.
_INSERT = f"INSERT INTO {INCOMING} SELECT {', '.join(map(_field, COLUMNS))} "
_LOAD = (
    f"{_INSERT}FROM (SELECT from_json(line, {quoted(json.dumps(_WIRE))}) AS e "  # noqa: S608
    "FROM (SELECT unnest(string_split($1, chr(10))) AS line))"
)
_MANY = 500
"""Lines from which on they are read like a file: that takes 3 ms more to begin with, and a quarter of the time then."""
_RENEW = 16_384
"""Rows that are committed and still in the table when it is made anew: that alone gives their memory back."""


def _read_from(path: str) -> str:
    columns = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in _WIRE.items())
    return (
        f"{_INSERT}FROM read_json({quoted(path)}, format = 'newline_delimited', columns = {{{columns}}}, "
        f"maximum_object_size = {_LONGEST}) AS e"
    )


class _NotLinesError(Exception):
    """What is called a line is none."""


class _Part(NamedTuple):
    """The rows of one segment to be: naive UTC, as DuckDB has it."""

    hour: datetime
    first: datetime
    last: datetime
    rows: int


class Lake:
    """The events, those in memory and those on the disk.

    One thread appends, publishes and scans. :meth:`compact` and :meth:`retain` may run in another one, with a DuckDB
    of their own.

    Rows not yet committed are kept in a table of *con*, in order of arrival, with all columns of an event: see
    :meth:`pending` and :attr:`batch_from`. It can be read through cursors of *con* too.
    """

    def __init__(
        self,
        folder: Path,
        state: State,
        con: duckdb.DuckDBPyConnection,
        *,
        grace: timedelta = GRACE,
        report: Callable[[str], None] = say,
    ) -> None:
        """Make the table; nothing on the disk is touched yet.

        Args:
            folder: the lake's own folder, ``<state>/lake``; what does not fit in memory goes to ``tmp`` beside it,
                damaged files to ``quarantine/files``.
            state: the migrated state database.
            con: from :func:`bearerwatch.store.engine.connect`; the caller closes it.
            grace: how long files out of use stay on the disk.
            report: told about damaged files, in words that say what to do.
        """
        folder = folder.absolute()
        self.folder = folder
        self.refused: list[bytes] = []
        """Lines the latest :meth:`append` could not load: no JSON object, or without kind, ts or a UUID."""
        self._con = con
        self.run = Prepared(con)
        """What runs the statements on *con* that are run again and again, and makes its tables."""
        self._grace = grace
        self._catalog = Catalog(folder, state, folder.parent / "quarantine" / "files", report)
        self._upkeep = Upkeep(self._catalog, state, folder.parent / "tmp", report)
        # Rows are told apart by DuckDB's row ids: oldest <= first <= written_to <= next.
        self._oldest = 0  # the table has none below
        self._first = 0  # the pending rows begin here
        self._written_to = 0  # rows below are in self._written
        self._next = 0  # the next row gets this one or a higher one
        self._pending = 0
        self._batches = 0
        self._written: list[Segment] = []
        self._tried = False  # whether a transaction has been given self._written before
        self._text = Text.made()
        self._spoilt = False  # whether an append failed half-way and its rows are still there
        self.batch_from = 0
        """The ``rowid`` in ``incoming`` that the rows of the latest :meth:`append` begin with."""
        self._begin()

    def pending(self, until: int | None = None) -> str:
        """A table expression over the rows appended and not yet committed, in order of arrival.

        Args:
            until: only those before this ``rowid``, as :attr:`batch_from` was one.
        """
        bound = "" if until is None else f" AND rowid < {until}"
        return f"(FROM {INCOMING} WHERE rowid >= {self._first}{bound})"

    @property
    def pending_rows(self) -> int:
        """Rows appended and not yet committed."""
        return self._pending

    @property
    def batches(self) -> int:
        """How many calls of :meth:`append` have come to their end."""
        return self._batches

    def append(self, lines: Iterable[bytes]) -> int:
        """Take events into memory.

        Args:
            lines: one JSON object each, as :class:`~bearerwatch.event.AuthEvent` is encoded, with ``received_at`` and
                ``source`` added. Validated already: a value of the wrong type becomes NULL here. A line that cannot
                be loaded at all ends up in :attr:`refused` and keeps no other from being loaded.

        Returns:
            Rows loaded. They alone are those from :attr:`batch_from` on, until the next call.

        Raises:
            StateBusy: memory and scratch disk are used up; call again with the same lines later.
        """
        self._make_room()
        self.refused = []
        resync = self._spoilt
        self._mend()
        self.batch_from = self._next
        given = lines if isinstance(lines, list) else list(lines)
        rows = self._read(given)
        if rows is None:
            resync |= self._spoilt
            self._mend()
            # A line break within a line would make two rows of one: as it is no JSON either, there it is no row.
            rows = sum(map(self._load, _chunks(line.strip().replace(b"\n", b"\r") for line in given)))
        self._pending += rows
        self._next += rows
        if self.refused or resync:  # a failed statement may have used up row ids
            ((highest,),) = self._con.execute("SELECT max(rowid) FROM incoming").fetchall()
            self._next = max(self._next, -1 if highest is None else highest + 1)
        self._batches += 1
        return rows

    def publish(self, tx: Connection) -> None:
        """Write what is pending to segments and enter them into the manifest.

        May be called again, in a new transaction, when *tx* failed: what is written stays written, and should *tx*
        have been committed after all (its answer got lost), nothing is entered twice.

        Events are filed by the hour of their ``ts``. When they lie scattered over more than 48 hours, the oldest
        share one segment, filed under the newest hour among them: they outlive their retention by so much.

        Args:
            tx: the write transaction (:meth:`State.begin`) that commits offsets and episodes, too.

        Raises:
            StateBusy: the lake's disk is full or broken; nothing is lost, try again later.
        """
        if self._written_to < self._next:
            self._written += self._write(self._written_to, self._next)
            self._written_to = self._next
        entered = manifest.known(tx, [s.path for s in self._written]) if self._tried else set()
        self._tried = True
        manifest.add(tx, (s for s in self._written if s.path not in entered))

    def committed(self) -> None:
        """The transaction given to :meth:`publish` is committed: what it published is pending no more."""
        self._pending -= sum(s.rows for s in self._written)
        self._first = self._written_to
        self._written = []
        self._tried = False

    def rolled_back(self) -> None:
        """The transaction given to :meth:`publish` failed: everything stays pending for the next one."""

    def scan(self, since: datetime | None = None, until: datetime | None = None) -> str:
        """An SQL table expression over the committed events; see :meth:`Catalog.scan`.

        Args:
            since: leave out files with older events alone; aware.
            until: leave out files with events of this instant or later alone; aware.
        """
        return self._catalog.scan(since, until)

    def reading(self, since: datetime | None, until: datetime | None, work: Callable[[str], T]) -> T:
        """Query the committed events and survive damaged files; see :meth:`Catalog.reading`.

        Example:
            ``lake.reading(since, None, lambda events: con.execute(f"SELECT … FROM {events}").fetchall())``
        """
        return self._catalog.reading(since, until, work)

    def verify(self, since: datetime | None = None, until: datetime | None = None) -> list[str]:
        """Compare every file with what was published; returns the damaged ones. See :meth:`Catalog.verify`."""
        return self._catalog.verify(since, until)

    def compact(self, now: datetime, limit: int | None = None) -> int:
        """Merge small segments, then delete files out of use for longer than the grace period.

        A merge of the largest size takes seconds: run it in a thread of its own, or give it a *limit* of 1.

        Args:
            now: aware; an hour is closed two minutes after its end.
            limit: merges at most; None until every hour is fine.

        Returns:
            Merges done.

        Raises:
            StateBusy: the state database cannot be used just now; call again later.
        """
        merges = self._upkeep.compact(now, limit)
        self._upkeep.reap(now, self._grace)
        return merges

    def retain(self, now: datetime, keep: timedelta) -> int:
        """Drop whole hours that ended before ``now - keep``; returns how many segments that were.

        Readers miss them from the commit on; their files are deleted after the grace period, here or in
        :meth:`compact`. An hour is dropped when its last event is too old, never before.

        Raises:
            StateBusy: the state database cannot be used just now; call again later.
        """
        dropped = self._upkeep.retain(now, keep)
        self._upkeep.reap(now, self._grace)
        return dropped

    def sweep_orphans(self) -> list[Path]:
        """At start, before anything is published: remove files that no manifest entry names; returns them.

        Raises:
            ConfigurationError: lake and state database do not belong together; nothing was removed.
            StateBusy: the state database cannot be used just now; call again later.
        """
        return self._upkeep.sweep()

    def _mend(self) -> None:
        """Remove the rows of an append that failed half-way."""
        if self._spoilt:
            self._con.execute("DELETE FROM incoming WHERE rowid >= ?", [self._next])
            self._spoilt = False

    def _read(self, lines: list[bytes]) -> int | None:
        """Load many *lines* at once.

        None if they are few, one of them is no event, or there is no memory for all: then nothing is loaded.
        """
        text = self._text
        if text is None or len(lines) < _MANY:
            return None
        try:
            with text.holding(_lined(lines)) as path:
                ((rows,),) = self.run(_read_from(path))
        except _NotLinesError:
            return None
        except (duckdb.Error, OSError):  # by smaller pieces it shows which of them, or whether there is no room at all
            rows = -1
        self._spoilt = rows != len(lines)
        return None if self._spoilt else int(rows)

    def _load(self, lines: Sequence[bytes]) -> int:
        if not lines:
            return 0
        try:
            ((rows,),) = self.run(_LOAD, b"\n".join(lines).decode())
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            self._spoilt = True
            raise StateBusy("no memory is left for more events: see why those before are not committed") from error
        except (duckdb.Error, ValueError):
            if len(lines) == 1:
                self.refused.append(lines[0])
                return 0
            middle = len(lines) // 2
            return self._load(lines[:middle]) + self._load(lines[middle:])
        return int(rows)

    def _make_room(self) -> None:
        """Forget what is committed, when it has become much: by now nobody needs the batch it was part of."""
        if self._first - self._oldest < _RENEW:
            return
        if self._first == self._next:
            self._begin()
        else:
            self._con.execute("DELETE FROM incoming WHERE rowid < ?", [self._first])
            self._oldest = self._first

    def _begin(self) -> None:
        """Make the table anew. TRUNCATE would hold on to 40 MB of memory for a thousand rows; this holds on to two."""
        self.run.define(f"CREATE OR REPLACE TABLE {INCOMING} ({_TABLE})")
        self._oldest = self._first = self._written_to = self._next = self.batch_from = 0

    def _write(self, start: int, end: int) -> list[Segment]:
        """Write the rows with ``start <= rowid < end``, a segment for each hour, all or none."""
        rows = f"FROM {INCOMING} WHERE rowid >= {start} AND rowid < {end}"
        now = datetime.now(UTC)
        written: list[Segment] = []
        try:
            with trouble(self.folder):
                sql = f"SELECT date_trunc('hour', ts), min(ts), max(ts), count(*) {rows} GROUP BY 1 ORDER BY 1 DESC"
                for part in _gathered([_Part(*found) for found in self._con.execute(sql).fetchall()]):
                    relation = f"({rows} AND ts BETWEEN TIMESTAMP '{part.first}' AND TIMESTAMP '{part.last}')"
                    span = part.first.replace(tzinfo=UTC), part.last.replace(tzinfo=UTC)
                    hour = part.hour.replace(tzinfo=UTC)
                    segment = write(
                        self._con,
                        self.folder,
                        hour,
                        stored(relation),
                        rows=part.rows,
                        span=span,
                        now=now,
                        hasty=True,
                    )
                    written.append(segment)
                for folder in {(self.folder / s.path).parent for s in written}:
                    fsync(folder)
        except BaseException as error:
            for segment in written:
                with suppress(OSError):
                    (self.folder / segment.path).unlink()
            if isinstance(error, duckdb.OutOfMemoryException):
                raise StateBusy("no memory is left to write events: they wait until there is") from error
            raise
        return written


def _lined(lines: Sequence[bytes]) -> Iterator[bytes]:
    """The same in some pieces, with a newline behind each line.

    Raises:
        _NotLinesError: one of them is empty or several, so rows could not be told to be those of the lines by number.
    """
    for start in range(0, len(lines), _PIECE):
        some = lines[start : start + _PIECE]
        piece = b"\n".join(some) + b"\n"
        if piece.count(b"\n") != len(some) or not all(map(bytes.strip, some)):
            raise _NotLinesError
        yield piece


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The same lines, in lists of some 4 MB, for parsing JSON takes several times its size."""
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > _CHUNK:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield chunk


def _gathered(parts: list[_Part]) -> list[_Part]:
    """The same, newest first, with all past the 48th in one, filed under the newest hour among them."""
    kept, rest = parts[: _MAX_HOURS - 1], parts[_MAX_HOURS - 1 :]
    if not rest:
        return kept
    return [*kept, _Part(rest[0].hour, rest[-1].first, rest[0].last, sum(part.rows for part in rest))]
