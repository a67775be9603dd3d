"""How the collector is doing, in ``<state>/collector.json``, for ``doctor`` and for people."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from bearerwatch.ingest.tail import TailFigures

__all__ = ["Status", "read_status", "write_status"]

_NAME = "collector.json"


class Status(msgspec.Struct, kw_only=True):
    """How the collector is doing. Counts are since it started; instants are aware UTC."""

    pid: int
    version: str
    started_at: datetime
    at: datetime
    """When this was written: every few seconds, so an old one means that it is not running."""
    address: str | None = None
    """``host:port`` of the HTTP ingest, if there is one."""
    blocked: str | None = None
    """Why nothing can be made durable just now, and what to do; ``None`` when all is well."""
    accepted: int = 0
    """Events taken."""
    events_per_second: float = 0.0
    """Over the last ten seconds or so."""
    quarantined: int = 0
    """Lines rejected, whether their text was kept or not."""
    suppressed: int = 0
    """Of those, lines whose text was not kept for want of room."""
    duplicates: int = 0
    unknown_fields: int = 0
    """Events with fields this version does not know."""
    rejected: dict[str, int] = {}
    """Rejected lines by code."""
    lag_seconds: float = 0.0
    """How old the newest event was that was last read of the source furthest behind; 0 while nothing comes in."""
    pending: int = 0
    """Events read and not yet durable."""
    backlog_bytes: int = 0
    """Bytes in the spools that were not read yet."""
    segments: int = 0
    """Spool segments there are."""
    lost_segments: int = 0
    """Spool segments somebody else removed or cut before they were read."""
    refused_files: int = 0
    """Files in the spools that are none of ours."""
    committed_at: datetime | None = None
    open_episodes: int = 0
    degraded: list[str] = []
    """Rules that look at more keys than they need, for want of memory."""
    free_bytes: int = 0
    """Free space on the state folder's disk."""

    def count_lines(self, counts: Mapping[str, int]) -> None:
        """Take over what the decoder counted, see :attr:`bearerwatch.ingest.decode.Decoder.counts`."""
        self.accepted = counts.get("accepted", 0)
        self.duplicates = counts.get("duplicates", 0)
        self.unknown_fields = counts.get("unknown_fields", 0)
        self.rejected = {
            name.removeprefix("rejected_"): count for name, count in counts.items() if name.startswith("rejected_")
        }
        self.quarantined = sum(self.rejected.values())

    def count_files(self, spools: Iterable[TailFigures]) -> None:
        """Take over how the spools stand."""
        figures = list(spools)
        self.backlog_bytes = sum(figure.backlog for figure in figures)
        self.segments = sum(figure.segments for figure in figures)
        self.lost_segments = sum(figure.lost for figure in figures)
        self.refused_files = sum(figure.refused for figure in figures)


def write_status(folder: Path, status: Status) -> None:
    """Put *status* into *folder*, replacing the former one at once. A full disk leaves the former one.

    It is not fsynced: after a power cut it is of no use anyway.
    """
    draft = folder / f".{_NAME}.tmp"
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            data = msgspec.json.encode(status)
            if os.write(handle, data) != len(data):
                return
        finally:
            os.close(handle)
        draft.replace(folder / _NAME)
    except OSError:
        return


def read_status(folder: Path) -> Status | None:
    """The latest status in the state folder *folder*; ``None`` if there is none that can be read."""
    try:
        return msgspec.json.decode((folder / _NAME).read_bytes(), type=Status)
    except (OSError, msgspec.DecodeError, ValueError):
        return None
