"""Follows a spool: reads what applications append, remembers how far, deletes what is done with.

A segment is deleted only once it could be locked (its writer is gone or has sealed it), has been read to
its end, and all of that is durably committed.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from bearerwatch.errors import ConfigurationError
from bearerwatch.ingest.complaints import Complaints, remedy, shown
from bearerwatch.ingest.folder import ServiceFolder
from bearerwatch.ingest.lines import RawLine, Slice
from bearerwatch.ingest.root import SpoolRoot
from bearerwatch.ingest.segment import Segment, SegmentRefused
from bearerwatch.store import offsets
from bearerwatch.store.state import State

__all__ = ["SpoolTail", "TailFigures"]

_MAX_OPEN = 256
_TURNS = 4
_TURN_LINES = 250
_UNLINK_EVERY = 60.0


class TailFigures(NamedTuple):
    """How a spool stands."""

    segments: int
    """Segments known."""
    backlog: int
    """Bytes not handed out yet."""
    lost: int
    """Segments that somebody removed or cut before they were read to the end."""
    refused: int
    """Files not read because they are not what a spool holds."""


class SpoolTail:
    """Reads the segments below one spool folder.

    Use from one thread: :meth:`poll`, then :meth:`save` inside a transaction, then :meth:`committed` once
    that is durable. When it is not, nothing need be called: the next :meth:`save` covers everything.

    Args:
        spool: the folder; it may appear later.
        state: where offsets are remembered.
        complain: takes what the operator should know.
        spools: how many spools this process follows: they share what files it may have open. If it is the only one
            with its offsets in *state*, offsets of segments that are no more, left by a crash between deleting and
            forgetting, are forgotten at the first look.
    """

    def __init__(self, spool: Path, state: State, *, complain: Complaints | None = None, spools: int = 1) -> None:
        self._state = state
        self._complain = Complaints() if complain is None else complain
        self._root = SpoolRoot(spool, self._complain)
        self._spools = spools
        self._services: dict[str, ServiceFolder] = {}
        self._known: dict[tuple[str, str], int] | None = None
        self._forget: set[tuple[str, str]] = set()
        self._forgetting: set[tuple[str, str]] = set()
        self._parted: dict[tuple[str, str], int] = {}
        self._open = 0
        self._lost = 0

    def poll(self, limit_bytes: int = 4 << 20, limit_lines: int = 5_000) -> list[RawLine]:
        """What :meth:`slices` finds, line by line.

        Raises:
            StateBusy: as there.
        """
        return [raw for found in self.slices(limit_bytes, limit_lines) for raw in found.raws]

    def slices(self, limit_bytes: int = 4 << 20, limit_lines: int = 5_000) -> list[Slice]:
        """New complete lines: at most *limit_lines*, from about *limit_bytes* read.

        Whoever is furthest behind in event time is read first, so that the backlog of several writers
        comes in nearly in order; and services take turns, so that none can hold up the others.

        Raises:
            StateBusy: the offsets could not be read (first call only).
        """
        first = self._known is None
        if self._known is None:
            with self._state.read() as conn:
                self._known = offsets.load(conn, "spool:")
        if not self._root.enter():
            return []
        try:
            self._list()
        except OSError as error:
            self._trouble("the spool", str(self._root.path), error)
            return []
        with self._folders(self._services) as folders:
            try:
                found = self._read(folders, limit_bytes, limit_lines)
                if first and self._spools == 1:
                    self._forget_left_over(folders)
                return found
            finally:
                self._reap(folders)

    def save(self, tx: Connection) -> None:
        """Write the offsets behind everything polled so far in transaction *tx*."""
        moved: dict[tuple[str, str], int] = {}
        for segment in self._segments():
            segment.saved = segment.offset
            if segment.offset != segment.committed:
                moved[segment.source, segment.name] = segment.offset
        self._forgetting = set(self._forget)
        offsets.forget(tx, self._forgetting)
        offsets.save(tx, self._parted | moved)

    def committed(self) -> None:
        """What :meth:`save` wrote is durable: delete the segments that are done with."""
        for segment in self._segments():
            segment.committed = segment.saved
        self._forget -= self._forgetting
        self._forgetting = set()
        self._parted = {}
        done = [name for name, service in self._services.items() if any(s.done for s in service.segments.values())]
        if done and self._root.enter():
            with self._folders(done) as folders:
                self._reap(folders)

    @property
    def moved(self) -> bool:
        """Whether :meth:`save` has anything to write that would be missed."""
        return bool(self._parted) or any(segment.offset != segment.committed for segment in self._segments())

    @property
    def untidy(self) -> bool:
        """Whether :meth:`save` would forget offsets of segments that are no more; nothing depends on it."""
        return bool(self._forget)

    def figures(self) -> TailFigures:
        """How the spool stood at the last :meth:`poll`."""
        segments = self._segments()
        refused = sum(len(service.refused) for service in self._services.values())
        return TailFigures(len(segments), sum(segment.unread for segment in segments), self._lost, refused)

    def close(self) -> None:
        """Close every file. Nothing is deleted."""
        for segment in self._segments():
            self._shut(segment)
        self._services.clear()
        self._known = None
        self._root.leave()

    def claim(self) -> None:
        """Make sure that nobody else tails this spool: it would take half of what comes.

        Raises:
            ConfigurationError: somebody does.
        """
        if not self._root.enter() and self._root.taken:
            raise ConfigurationError(
                f"another collector tails the spool {self._root.path}: stop it, or name another folder with --spool"
            )

    # -- finding

    def _segments(self) -> list[Segment]:
        return [segment for service in self._services.values() for segment in service.segments.values()]

    @contextmanager
    def _folders(self, names: Iterable[str]) -> Iterator[dict[str, int]]:
        """Descriptors of the services' folders that may be entered."""
        folders: dict[str, int] = {}
        try:
            for name in names:
                folder = self._services[name].enter(self._root.fd, name)
                if folder is not None:
                    folders[name] = folder
            yield folders
        finally:
            for folder in folders.values():
                os.close(folder)

    def _list(self) -> None:
        found = self._root.services(self._services)
        for name in found - self._services.keys():
            self._services[name] = ServiceFolder(f"spool:{name}", self._complain)
        for name in self._services.keys() - found:
            for segment in self._services.pop(name).segments.values():
                self._missing(segment)

    def _missing(self, segment: Segment) -> None:
        """The file is gone, and not by us. Its offset is kept: a disk may have been unmounted and comes back."""
        self._part(segment)
        if segment.unread > 0:
            self._lost += 1
            self._complain(
                "lost",
                f"segment {shown(segment.name)} of {shown(segment.source)} was removed before all of it was read; "
                "leave deleting to the collector",
            )

    def _part(self, segment: Segment) -> None:
        """It is not followed any more; should it come back, it is read on from where it was."""
        self._shut(segment)
        key = segment.source, segment.name
        if self._known is not None:
            self._known[key] = segment.offset
        if segment.offset != segment.committed:
            self._parted[key] = segment.offset

    def _forget_left_over(self, folders: Iterable[str]) -> None:
        """Only in folders that were listed: a disk that is not mounted yet, or that fails just now, has none.

        A file that is refused is there all the same: once mended it is read on from where it was.
        """
        services = [self._services[name] for name in folders]
        present = {s.source: s.segments.keys() | s.refused.keys() for s in services if s.listed}
        known = self._known or {}
        gone = [(source, name) for source, name in known if source in present and name not in present[source]]
        self._forget.update(gone)
        for key in gone:
            del known[key]

    # -- reading

    def _read(self, folders: dict[str, int], limit_bytes: int, limit_lines: int) -> list[Slice]:
        queue: list[tuple[int, bytes, str, str]] = []
        now = time.monotonic()
        for name, folder in folders.items():
            service = self._services[name]
            try:
                missing = service.refresh(folder, self._known or {})
            except OSError as error:
                self._trouble(service.source, "its folder", error)
                continue
            for gone in missing:
                self._missing(gone)
            queue += [
                (0, segment.key, name, segment.name)
                for segment in service.segments.values()
                if segment.waiting or (segment.probe_due(now) and not (segment.kept and now < service.kept_until))
            ]
        heapq.heapify(queue)
        turns: Counter[str] = Counter()
        found: list[Slice] = []
        while queue and limit_lines > 0 and limit_bytes > 0:
            turn, key, name, segment_name = heapq.heappop(queue)
            if turn < turns[name] // _TURNS:  # its service has had more turns since it was queued
                heapq.heappush(queue, (turns[name] // _TURNS, key, name, segment_name))
                continue
            service = self._services[name]
            segment = service.segments[segment_name]
            if segment.fd < 0 and not self._opened(folders[name], service, segment):
                continue
            more, count = self._turn(segment, min(_TURN_LINES, limit_lines))
            if more is not None:
                found.append(more)
                limit_lines -= len(more.lines)
            limit_bytes -= count
            turns[name] += 1
            if count:
                heapq.heappush(queue, (turns[name] // _TURNS, segment.key, name, segment_name))
        return found

    def _turn(self, segment: Segment, max_lines: int) -> tuple[Slice | None, int]:
        """One slice of one segment; no bytes means that there is nothing more for now."""
        try:
            if segment.waiting:
                found, count = segment.slice(max_lines)
                if count:
                    return found, count
            if segment.probe() and segment.waiting:
                return segment.slice(max_lines)
        except OSError as error:
            self._trouble(segment.source, segment.name, error)
        finally:
            if segment.shrunk:
                segment.shrunk = False
                self._lost += 1
                self._complain(
                    f"cut {segment.source} {segment.name}",
                    f"{shown(segment.source)}: {shown(segment.name)} is shorter than what was read of it; "
                    "nothing is counted twice, but lines written since may be lost",
                )
        return None, 0

    def _trouble(self, source: str, name: str, error: OSError) -> None:
        self._complain(
            f"unreadable {source} {name}",
            f"{shown(source)}: {shown(name)} cannot be read: {remedy(error)}. It is tried again",
        )

    def _opened(self, folder: int, service: ServiceFolder, segment: Segment) -> bool:
        if self._open >= self._share and not self._make_room():
            return False
        try:
            segment.open(folder, frozenset((os.fstat(folder).st_uid, os.geteuid(), 0)))
        except FileNotFoundError:
            segment.size = segment.offset  # the next listing will miss it
            return False
        except SegmentRefused as refusal:
            service.refuse(segment.name, refusal.status, str(refusal))
            self._part(segment)
            return False
        except OSError as error:
            self._trouble(segment.source, segment.name, error)
            return False
        self._open += 1
        return True

    @property
    def _share(self) -> int:
        """How many files this spool may have open."""
        return max(1, _MAX_OPEN // self._spools)

    def _make_room(self) -> bool:
        """Close files of which there is nothing to do just now: several at once, for looking for them takes time.

        Sealed ones too: if their folder cannot be entered, or not be written, they would never be closed.
        """
        idle = (s for s in self._segments() if s.fd >= 0 and not s.waiting and s.committed == s.offset)
        found = list(itertools.islice(idle, max(1, self._share // 4)))
        for segment in found:
            self._shut(segment)
        return bool(found)

    def _shut(self, segment: Segment) -> None:
        if segment.fd >= 0:
            segment.close()
            self._open -= 1

    # -- deleting

    def _reap(self, folders: dict[str, int]) -> None:
        """Delete the files of the segments that are done with."""
        for name, folder in folders.items():
            service = self._services[name]
            for segment in [segment for segment in service.segments.values() if segment.done]:
                if not self._finished(segment):
                    continue
                segment.kept = not self._unlinked(folder, service, segment)
                self._shut(segment)  # a descriptor for each file that is kept would leave none to read with
                if not segment.kept:
                    del service.segments[segment.name]
                    key = segment.source, segment.name
                    self._forget.add(key)
                    if self._known is not None:
                        self._known.pop(key, None)

    def _finished(self, segment: Segment) -> bool:
        """Whether there is nothing more in it, by a last look."""
        try:
            segment.measure()
        except OSError as error:
            self._trouble(segment.source, segment.name, error)
            return False
        return segment.done

    def _unlinked(self, folder: int, service: ServiceFolder, segment: Segment) -> bool:
        if time.monotonic() < service.kept_until:
            return False
        try:
            status = os.stat(segment.name, dir_fd=folder, follow_symlinks=False)
            if (status.st_dev, status.st_ino) == segment.identity:  # else another file took its name
                os.unlink(segment.name, dir_fd=folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            service.kept_until = time.monotonic() + _UNLINK_EVERY
            what = "mount it" if error.errno == errno.EROFS else "make the folder"
            self._complain(
                f"undeletable {segment.source}",
                f"{shown(segment.source)}: {shown(segment.name)} is done with but cannot be deleted: {error.strerror}; "
                f"{what} writable for the collector, or the disk will fill up. What comes is read all the same",
            )
            return False
        return True
