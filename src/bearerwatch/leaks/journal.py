"""What is about to be written into a file, written down first: so a crash leaves no line half done for good.

The journal holds new bytes alone, none of a token. That a place is still the one they are for is told by a digest of
what stands around it in its line, and by the file's inode: a log may have been rotated or truncated since.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from bearerwatch.leaks import beside
from bearerwatch.leaks.refused import Refused

__all__ = ["Patch", "apply", "finish", "frame", "note"]

_VERSION = 1
_LARGEST = 256 << 20
"""Bytes of a journal past which it is none of ours: a batch holds a few megabytes."""


class Patch(NamedTuple):
    """Bytes to be written at *offset*."""

    offset: int
    new: bytes
    before: int
    """Bytes in front of them that :func:`frame` covers."""
    after: int
    frame: str


def frame(before: bytes, length: int, after: bytes) -> str:
    """What a place is recognised by: what stands around it."""
    return hashlib.sha256(b"%d %d %b%b" % (len(before), length, before, after)).hexdigest()[:32]


def note(claim: beside.Claim, file: os.stat_result, patches: list[Patch]) -> None:
    """Write *patches* down; once this returns, they are on the disk."""
    rows = [[p.offset, base64.b64encode(p.new).decode(), p.before, p.after, p.frame] for p in patches]
    body = json.dumps(rows, separators=(",", ":")).encode()
    head = {
        "bearerwatch_journal": _VERSION,
        "dev": file.st_dev,
        "ino": file.st_ino,
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    data = memoryview(json.dumps(head).encode() + b"\n" + body)
    at = 0
    while at < len(data):
        at += os.pwrite(claim.handle, data[at:], at)
    os.fsync(claim.handle)
    beside.synced(os.path.dirname(claim.path))  # noqa: PTH120


def apply(claim: beside.Claim, handle: int, patches: list[Patch]) -> int:
    """Write *patches* into the file, then empty the journal. Doing it twice changes nothing.

    Returns:
        How many places were no longer what they had been; they are left alone.
    """
    missed = 0
    for patch in patches:
        length = len(patch.new)
        around = os.pread(handle, patch.before + length + patch.after, patch.offset - patch.before)
        before, after = around[: patch.before], around[patch.before + length :]
        if len(around) != patch.before + length + patch.after or frame(before, length, after) != patch.frame:
            missed += 1
        elif around[patch.before : patch.before + length] != patch.new:
            written = 0
            while written < length:
                written += os.pwrite(handle, patch.new[written:], patch.offset + written)
    os.fsync(handle)
    os.ftruncate(claim.handle, 0)
    return missed


def finish(folder: str) -> Iterator[str]:
    """Finish what a crash left unfinished in *folder*; yields the names of the files that were mended.

    Raises:
        Refused: a journal belongs to somebody else.
    """
    for name, draft in beside.left_in(folder):
        try:
            with beside.Claim(name) as claim:
                mended = _finish(claim, folder)
                with suppress(FileNotFoundError):  # it never took its file's place
                    os.unlink(draft)  # noqa: PTH108 - a name need not be Unicode
        except beside.Taken:  # it is not unfinished: somebody is at it
            continue
        if mended is not None:
            yield mended


def _finish(claim: beside.Claim, folder: str) -> str | None:
    noted = _noted(claim)
    name = None if noted is None else _with_inode(folder, *noted[0])
    if noted is None or name is None:  # it was not written to its end, so nothing was done yet; or the file is gone
        os.ftruncate(claim.handle, 0)
        return None
    handle = os.open(os.path.join(folder, name), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)  # noqa: PTH118
    try:
        if _id(os.fstat(handle)) != noted[0]:
            raise Refused("it was exchanged while an earlier run's work was finished: run again")
        apply(claim, handle, noted[1])
    finally:
        os.close(handle)
    return name


def _noted(claim: beside.Claim) -> tuple[tuple[int, int], list[Patch]] | None:
    """What is in the journal, if it was written to its end."""
    size = os.fstat(claim.handle).st_size
    if not 0 < size <= _LARGEST:
        return None
    data = b""
    while len(data) < size and (more := os.pread(claim.handle, size - len(data), len(data))):
        data += more
    head, _, body = data.partition(b"\n")
    try:
        said = json.loads(head)
        if said["bearerwatch_journal"] != _VERSION or said["sha256"] != hashlib.sha256(body).hexdigest():
            return None
        patches = [Patch(row[0], base64.b64decode(row[1]), *row[2:]) for row in json.loads(body)]
        return (said["dev"], said["ino"]), patches
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _with_inode(folder: str, device: int, inode: int) -> str | None:
    """The name the file has by now: a log may have been renamed since."""
    with os.scandir(folder or ".") as entries:
        for entry in entries:
            if entry.inode() == inode and entry.is_file(follow_symlinks=False):
                stat = os.stat(os.path.join(folder, entry.name), follow_symlinks=False)  # noqa: PTH116, PTH118
                if _id(stat) == (device, inode):
                    return entry.name
    return None


def _id(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
