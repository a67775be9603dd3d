"""One service's spool folder: which segments it holds, and which of its files are none."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping

from bearerwatch.ingest.complaints import Complaints, remedy, shown
from bearerwatch.ingest.segment import Segment

__all__ = ["FOLDER", "ServiceFolder", "nameable"]

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
"""How folders are opened; ``O_NOFOLLOW`` is added below the spool."""

_SUFFIX = ".jsonl"
_MAX_NAME = 200
_SETTLED_NS = 2_000_000_000
"""A folder's mtime has a coarse clock: only an mtime this old proves that nothing was added since."""


def nameable(name: str) -> bool:
    """Whether *name* can stand in a table and a message: printable, valid UTF-8, of bounded length."""
    return len(name) <= _MAX_NAME and name.isprintable()  # a lone surrogate is not printable


class ServiceFolder:
    """The segments of one service.

    Args:
        source: the ``spool:<service>`` its lines come from.
        complain: takes what the operator should know.
    """

    def __init__(self, source: str, complain: Complaints) -> None:
        self.source = source
        self.segments: dict[str, Segment] = {}
        self.refused: dict[str, tuple[int, int]] = {}
        """Names not read, with the inode and change time they were refused for: when mended, they are read."""
        self.kept_until = 0.0
        """Until when, on the monotonic clock, nothing is deleted here, because it could not be just now."""
        self._complain = complain
        self._listed = -1

    @property
    def listed(self) -> bool:
        """Whether the folder has ever been listed to its end."""
        return self._listed >= 0

    def enter(self, root: int, name: str) -> int | None:
        """Open the folder inside the spool *root*; ``None``, said to the operator, if it may not be read."""
        try:
            folder = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=root)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._complain(
                    f"folder {self.source}",
                    f"{shown(self.source)}: its folder cannot be read: {remedy(error)}",
                )
            return None
        if os.fstat(folder).st_mode & stat.S_IWOTH:
            self._complain(
                f"folder {self.source}",
                f"{shown(self.source)}: its folder is writable by everybody, so nothing in it is trusted; chmod 700 it",
            )
            os.close(folder)
            return None
        return folder

    def refresh(self, folder: int, known: Mapping[tuple[str, str], int]) -> list[Segment]:
        """Bring the segments in line with what the open *folder* holds; returns those that are gone.

        A segment that is gone but still open is kept: its writer may not have noticed.

        Args:
            folder: descriptor of the folder.
            known: committed offsets by (source, segment).
        """
        mtime = os.fstat(folder).st_mtime_ns
        if mtime == self._listed and not self.refused and time.time_ns() - mtime > _SETTLED_NS:
            for segment in self.segments.values():
                if segment.fd >= 0:
                    segment.measure()
                else:
                    _measure_closed(folder, segment)
            return []
        present: set[str] = set()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
                    present.add(entry.name)
                    self._found(entry, known)
        for name in self.refused.keys() - present:
            del self.refused[name]
        self._listed = mtime
        gone = [self.segments[name] for name in self.segments.keys() - present]
        for segment in gone:
            if segment.fd >= 0:
                segment.measure()
            else:
                del self.segments[segment.name]
        return [segment for segment in gone if segment.fd < 0]

    def _found(self, entry: os.DirEntry[str], known: Mapping[tuple[str, str], int]) -> None:
        name = entry.name
        segment = self.segments.get(name)
        if segment is not None and segment.fd >= 0:
            segment.measure()
            return
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        if self.refused.get(name) == (status.st_ino, status.st_ctime_ns):
            return
        self.refused.pop(name, None)
        if not stat.S_ISREG(status.st_mode) or not nameable(name):
            self.refuse(name, status, "it is not a regular file with a plain name; remove it")
            return
        if segment is None:
            segment = self.segments[name] = Segment(self.source, name, known.get((self.source, name), 0))
        segment.size = status.st_size

    def refuse(self, name: str, status: os.stat_result, reason: str) -> None:
        """Do not read the file *name* until it is another one or has changed, and say why."""
        self.refused[name] = (status.st_ino, status.st_ctime_ns)
        self.segments.pop(name, None)
        self._complain(f"refused {self.source} {name!r}", f"{shown(self.source)}: {shown(name)} is not read: {reason}")


def _measure_closed(folder: int, segment: Segment) -> None:
    try:
        segment.size = os.stat(segment.name, dir_fd=folder, follow_symlinks=False).st_size
    except OSError:
        segment.size = segment.offset  # the next listing will miss it
