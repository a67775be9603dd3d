"""Where rejected lines go, with the reason, so that somebody can find out who wrote them and why.

Such a line may be anything, a log line with a token among them; and an opaque token has no form to tell it
by. So besides what redaction finds, every long unbroken word that is not bearerwatch's own vocabulary is
masked: what is left shows the shape of the line, and offset and segment lead back to its writer.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from bearerwatch.event import REASONS, AuthEvent, Kind, Outcome
from bearerwatch.ingest.clean import printable
from bearerwatch.ingest.complaints import Complaints
from bearerwatch.ingest.decode import Rejection
from bearerwatch.ingest.lines import HEAD
from bearerwatch.redact import redact_text

__all__ = ["Quarantine", "safe_excerpt"]

_KEEP = 2_048
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
# Also what JSON and percent escapes are made of, so that an escaped token is one word too.
_WORD = re.compile(r"[A-Za-z0-9._~+/=%\\-]{12,}")
_KNOWN = frozenset((*AuthEvent.__struct_fields__, "schema_version", *Kind, *Outcome, *REASONS, "application/json"))
_INSTANT = re.compile(r"(?:\d{4}-\d\d-\d\dT\d\d|\d\d\.\d{1,6}Z)\Z")
# Many an opaque token is a UUID or a long number: either is kept only where it is known to be something else.
_OURS = re.compile(
    r'k[0-9a-f]{8}:[0-9a-f]{32}(?![0-9A-Za-z])|"event_id"\s*:\s*"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"'
)


def safe_excerpt(line: bytes) -> str:
    """The beginning of *line* on one line of at most 2,048 characters, without anything that may be a token."""
    text = line[:HEAD].decode("utf-8", "backslashreplace")
    if len(line) > HEAD:  # a token may have been cut: what is left of it has no form
        text = text.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=%\\-")
    text = printable(redact_text(text))
    pieces: list[str] = []
    done = 0
    for ours in _OURS.finditer(text):
        pieces += (_WORD.sub(_mask, text[done : ours.start()]), ours[0])
        done = ours.end()
    pieces.append(_WORD.sub(_mask, text[done:]))
    return "".join(pieces)[:_KEEP]


def _mask(word: re.Match[str]) -> str:
    text = word[0]
    return text if text in _KNOWN or _INSTANT.match(text) else f"[{len(text)} characters]"


class Quarantine:
    """Keeps rejected lines in ``<folder>/YYYY-MM-DD.jsonl``, one JSON object each.

    A flood of garbage cannot fill the disk: past *per_day* bytes a day lines are only counted, and past
    *days* files the oldest goes.

    Args:
        folder: created with mode 0700; files get 0600.
        per_day: bytes one day's file may reach.
        days: files kept.
        complain: takes what the operator should know.
    """

    def __init__(
        self, folder: Path, *, per_day: int = 8 << 20, days: int = 8, complain: Complaints | None = None
    ) -> None:
        self._folder = folder
        self._per_day = per_day
        self._days = days
        self._complain = Complaints() if complain is None else complain
        self._encode = msgspec.json.Encoder().encode
        self._day = ""
        self._written: set[tuple[str, str, int]] = set()
        self.suppressed = 0
        """Rejected lines that were counted but not kept, since the start."""

    def add(self, rejections: Sequence[Rejection], now: datetime) -> None:
        """Keep *rejections*, made at *now* (aware UTC).

        A line that is in the file already, because the collector died before it could commit, is not
        written again.

        Raises:
            OSError: the disk is full; nothing may be committed, or the lines would be lost.
        """
        if not rejections:
            return
        try:
            self._append(rejections, now)
        except OSError as error:
            if error.errno in _FULL:
                raise
            self.suppressed += len(rejections)
            self._complain(
                "quarantine",
                f"rejected lines cannot be kept in {self._folder}: {error.strerror}; they are only counted."
                " Make the folder writable",
            )

    def _append(self, rejections: Sequence[Rejection], now: datetime) -> None:
        day = now.strftime("%Y-%m-%d")
        path = self._folder / f"{day}.jsonl"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if day != self._day:
                self._written = _recent_keys(handle)
                self._day = day
                self._expire()
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                size += os.write(handle, b"\n")  # the last write was cut short
            at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            batch = bytearray()
            for rejection in rejections:
                raw = rejection.raw
                key = (raw.source, raw.segment, raw.offset)
                if raw.source.startswith(("spool:", "access:")) and key in self._written:
                    continue
                if size + len(batch) >= self._per_day:
                    self.suppressed += 1
                    self._complain(
                        "quarantine full",
                        f"more than {self._per_day} bytes of lines were rejected today; further ones are only counted."
                        f" See the reasons in {path}",
                    )
                    continue
                batch += self._line(rejection, at)
            _write(handle, bytes(batch), size)
        finally:
            os.close(handle)

    def _line(self, rejection: Rejection, at: str) -> bytes:
        raw = rejection.raw
        record = {
            "at": at,
            "source": raw.source,
            "segment": raw.segment,
            "offset": raw.offset,
            "reason": rejection.reason,
            "code": rejection.code,
            "line": safe_excerpt(raw.line),
        }
        return self._encode(record) + b"\n"

    def _expire(self) -> None:
        files = sorted(self._folder.glob("????-??-??.jsonl"))
        for old in files[: -self._days]:
            old.unlink(missing_ok=True)


def _write(handle: int, data: bytes, size: int) -> None:
    """Append all of *data* or, when the disk is full, none of it."""
    done = 0
    try:
        while done < len(data):
            done += os.write(handle, data[done:])
    except OSError:
        os.ftruncate(handle, size)
        raise


def _recent_keys(handle: int) -> set[tuple[str, str, int]]:
    """Source, segment and offset of the last lines of the file: a crash repeats at most those."""
    size = os.fstat(handle).st_size
    start = max(0, size - (1 << 20))
    keys: set[tuple[str, str, int]] = set()
    for line in os.pread(handle, size - start, start).split(b"\n"):
        try:
            record = msgspec.json.decode(line)
            keys.add((record["source"], record["segment"], record["offset"]))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            continue  # cut, or not ours
    return keys
