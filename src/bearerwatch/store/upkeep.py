"""Keeping the lake in shape: few large files, nothing past its time, nothing that belongs to nobody."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from bearerwatch.store import manifest
from bearerwatch.store.catalog import Catalog
from bearerwatch.store.engine import clean, connect
from bearerwatch.store.folders import fsync, private_folder
from bearerwatch.store.identity import claim
from bearerwatch.store.manifest import Segment
from bearerwatch.store.segments import NAME, ROW_GROUP_BYTES, TEMPORARY, stored_files, trouble, write
from bearerwatch.store.state import State

__all__ = ["FULL", "Upkeep", "plan"]

FULL = 1_000_000
"""Rows from which on a segment is left alone."""
SORTABLE = 24_000
"""Rows that can be sorted within :data:`_MEMORY`. DuckDB's sort spills, but not enough for rows this wide."""
_FAN = 24
"""Files of like size in an hour before they are merged while more may come."""
_TIERS = (0, 8_000, 128_000, FULL)
_SETTLE = timedelta(minutes=2)
"""How long after its end an hour still counts as open."""
_QUIET = timedelta(hours=1)
_MEMORY = "80MB"
_MANY = 64
"""Orphans that one crash may leave."""


def plan(hour: Sequence[Segment], now: datetime) -> list[Segment]:
    """Which of one hour's live segments to merge next; empty when it is fine as it is.

    The smallest are merged and sorted first; larger ones are then strung together. Sizes grow by tiers, so that a row
    is rewritten three times or so however many files arrive. A closed hour ends up in one segment, or in full ones,
    but is not rewritten again and again for a trickle of late events.
    """
    small = sorted((s for s in hour if s.rows < FULL), key=lambda s: (s.rows, s.path))
    if len(small) < 2:
        return []
    smallest = [s for s in small if s.rows < _TIERS[1]]
    if now >= small[0].ends + _SETTLE:
        largest, total = small[-1].rows, sum(s.rows for s in small)
        quiet = max(s.created_at for s in small) <= now - _QUIET
        if quiet or largest <= 4 * (total - largest):
            return _within(smallest, SORTABLE) if len(smallest) > 1 else _within(small, FULL)
    for low, high in itertools.pairwise(_TIERS):
        tier = [s for s in small if low <= s.rows < high]
        if len(tier) >= _FAN:
            return _within(tier, FULL if low else SORTABLE)
    return []


def _within(ascending: Sequence[Segment], bound: int) -> list[Segment]:
    """The first of them that together have no more than *bound* rows, and two in any case."""
    totals = itertools.accumulate(s.rows for s in ascending)
    return [s for place, (s, total) in enumerate(zip(ascending, totals, strict=True)) if place < 2 or total <= bound]


class Upkeep:
    """Compaction, retention and sweeping of one lake. Used by one thread at a time, which may be its own."""

    def __init__(self, catalog: Catalog, state: State, scratch: Path, report: Callable[[str], None]) -> None:
        """Nothing is touched yet.

        Args:
            catalog: knows the lake's folder, and sets damaged files aside.
            state: where the manifest is.
            scratch: folder for what does not fit in memory.
            report: told what people should know.
        """
        self._catalog = catalog
        self._lake = catalog.folder
        self._state = state
        self._scratch = scratch
        self._report = report
        self._unmergeable: set[str] = set()
        """Segments that did not fit in memory."""
        self._doubtful: list[Segment] = []
        """Merged files whose publication failed in a way that does not say whether it happened."""

    def compact(self, now: datetime, limit: int | None = None) -> int:
        """Merge until every hour is fine, or *limit* merges are done; returns how many were."""
        self._settle_doubts()
        done = 0
        while limit is None or done < limit:
            with self._state.read() as conn:
                hours = manifest.crowded(conn)
            able = ([s for s in hour if s.path not in self._unmergeable] for hour in hours)
            inputs = next(filter(None, (plan(hour, now) for hour in able)), None)
            if inputs is None:
                break
            self._merge(inputs, now)
            done += 1
        return done

    def retain(self, now: datetime, keep: timedelta) -> int:
        """Take hours that ended before ``now - keep`` out of use; returns how many segments that were."""
        cut = now - keep
        with self._state.begin() as tx:
            old = [s.path for s in manifest.live(tx, until=cut) if s.max_ts < cut and s.ends <= cut]
            return manifest.drop(tx, old, now, manifest.EXPIRED) if old else 0

    def reap(self, now: datetime, grace: timedelta) -> int:
        """Delete the files of segments out of use for longer than *grace*; returns how many."""
        with self._state.read() as conn:
            gone = [
                segment
                for segment in manifest.dropped(conn)
                if segment.reason in {manifest.COMPACTED, manifest.EXPIRED}
                and segment.dropped_at is not None
                and segment.dropped_at <= now - grace
            ]
        if not gone:
            return 0
        with trouble(self._lake):
            for segment in gone:
                (self._lake / segment.path).unlink(missing_ok=True)
        with self._state.begin() as tx:
            manifest.forget(tx, [segment.path for segment in gone])
        for folder in {(self._lake / segment.path).parent for segment in gone if segment.reason == manifest.EXPIRED}:
            # Should an event of that very hour be published just now, its publication is tried again.
            with suppress(OSError):
                folder.rmdir()
                folder.parent.rmdir()
        return len(gone)

    def sweep(self) -> list[Path]:
        """At start, before anything is published: remove files that are in no manifest; returns them.

        Raises:
            ConfigurationError: lake and state database do not belong together; nothing was removed.
        """
        private_folder(self._lake)
        clean(self._scratch)
        # A write transaction, so that the last commit of a collector that was killed is not under way any more.
        with self._state.begin() as tx:
            claim(tx, self._lake, empty=not any(self._files()))
        with self._state.read() as conn:
            dropped = {s.path: s for s in manifest.dropped(conn)}
            paths = {s.path for s in manifest.live(conn)} | dropped.keys()
        found = {str(file.relative_to(self._lake)): file for file in self._files()}
        orphans = [file for name, file in found.items() if name not in paths]
        for name in found.keys() & dropped.keys():
            if dropped[name].reason not in {manifest.COMPACTED, manifest.EXPIRED}:
                self._restored(dropped[name])
        if len(orphans) > _MANY:
            self._put_away(orphans)
        else:
            with trouble(self._lake):
                for file in orphans:
                    file.unlink()
        self._catalog.scan()  # sets aside what is missing or cut short
        return orphans

    def _merge(self, inputs: Sequence[Segment], now: datetime) -> None:
        merged = self._merged(inputs)
        if merged is None:
            return
        self._doubtful.append(merged)  # whatever happens from here on, the file is not forgotten
        with trouble(self._lake):
            fsync((self._lake / merged.path).parent)
        with self._state.begin() as tx:
            manifest.add(tx, [merged])
            if manifest.drop(tx, [s.path for s in inputs], now, manifest.COMPACTED) != len(inputs):
                # A reader found one of them damaged, or retention took them: start over with what is left.
                tx.rollback()
        self._settle_doubts()

    def _merged(self, inputs: Sequence[Segment]) -> Segment | None:
        """Write one segment with all their rows; None if one of them is damaged, or they do not fit in memory."""
        if self._catalog.check(inputs):  # or what has changed unnoticed would be published anew
            return None
        few = sum(s.rows for s in inputs) <= SORTABLE
        # Rows may be far wider than usual: then they are strung together unsorted, in smaller and smaller groups.
        for ordered, group in [(True, ROW_GROUP_BYTES)] * few + [(False, ROW_GROUP_BYTES >> n) for n in (0, 2, 4)]:
            try:
                with trouble(self._lake), closing(connect(self._scratch, memory_limit=_MEMORY)) as con:
                    return write(
                        con,
                        self._lake,
                        inputs[0].ends - timedelta(hours=1),
                        stored_files(self._lake, inputs),
                        rows=sum(s.rows for s in inputs),
                        span=(min(s.min_ts for s in inputs), max(s.max_ts for s in inputs)),
                        now=max(s.created_at for s in inputs),
                        ordered=ordered,
                        row_group_bytes=group,
                    )
            except duckdb.OutOfMemoryException:
                continue
        self._unmergeable.update(s.path for s in inputs)
        return None

    def _settle_doubts(self) -> None:
        """Remove merged files that were not published. If the database cannot say, ask again next time."""
        if self._doubtful:
            with self._state.begin() as tx:  # not before a publication that is still under way has come to its end
                published = manifest.known(tx, [s.path for s in self._doubtful])
            for segment in self._doubtful:
                if segment.path not in published:
                    (self._lake / segment.path).unlink(missing_ok=True)
            self._doubtful.clear()

    def _files(self) -> Iterator[Path]:
        for folder, _, names in os.walk(self._lake / "events", followlinks=False):
            for name in names:
                if NAME.fullmatch(name) or TEMPORARY.fullmatch(name):
                    yield Path(folder, name)

    def _put_away(self, orphans: Sequence[Path]) -> None:
        """A crash leaves a handful. So many mean that the state database is older than they are: a backup, say."""
        beside = self._lake.parent
        aside = private_folder(beside / "quarantine" / f"orphans-{secrets.token_hex(4)}", below=beside)
        for file in orphans:
            file.rename(aside / str(file.relative_to(self._lake)).replace("/", "_"))
        self._report(
            f"{len(orphans)} lake files are in no manifest, as after restoring the state database from a backup: "
            f"they were moved to {aside}; delete them when nobody needs them"
        )

    def _restored(self, segment: Segment) -> None:
        """A file once set aside is back in its place: use it again, unless it is still damaged."""
        with self._state.begin() as tx:
            manifest.revive(tx, segment.path)
        self._catalog.check([segment])
