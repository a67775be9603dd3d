"""Compressed files, told by how they begin and read and written as streams."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO, NamedTuple, cast

from bearerwatch.leaks.refused import Refused

__all__ = ["DAMAGE", "LONGEST", "Packing", "packing", "zstd"]


class Packing(NamedTuple):
    """One way of compressing."""

    name: str
    magic: bytes
    read: Callable[[BinaryIO], BinaryIO]
    write: Callable[[BinaryIO, int], BinaryIO]
    """Also takes the time to note in the header, in seconds since 1970."""


def zstd() -> Any | None:
    """The module Python brings since 3.14, or its backport of the same names; ``None`` without."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None


def _zstd(file: BinaryIO, mode: str) -> BinaryIO:
    module = zstd()
    if module is None:
        raise Refused("it is zstd-compressed, and to read that takes a library: pip install 'bearerwatch[server]'")
    if mode == "rb":
        return cast("BinaryIO", module.ZstdFile(file, mode))
    # A checksum, as the command of that name adds one.
    return cast("BinaryIO", module.ZstdFile(file, mode, options={module.CompressionParameter.checksum_flag: 1}))


_PACKINGS = (
    Packing(
        "gzip",
        b"\x1f\x8b",
        lambda file: cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb")),
        lambda file, mtime: cast("BinaryIO", gzip.GzipFile("", "wb", fileobj=file, mtime=mtime)),
    ),
    Packing("zstd", b"\x28\xb5\x2f\xfd", lambda file: _zstd(file, "rb"), lambda file, _mtime: _zstd(file, "wb")),
    Packing(
        "bzip2",
        b"BZh",
        lambda file: cast("BinaryIO", bz2.BZ2File(file, "rb")),
        lambda file, _mtime: cast("BinaryIO", bz2.BZ2File(file, "wb")),
    ),
    Packing(
        "xz",
        b"\xfd7zXZ\0",
        lambda file: cast("BinaryIO", lzma.LZMAFile(file, "rb")),  # noqa: SIM115 - closed by who calls
        lambda file, _mtime: cast("BinaryIO", lzma.LZMAFile(file, "wb")),  # noqa: SIM115
    ),
)
LONGEST = max(len(one.magic) for one in _PACKINGS)
"""Bytes that tell."""


def packing(head: bytes) -> Packing | None:
    """How a file that begins with *head* is compressed; ``None`` if it is not."""
    return next((one for one in _PACKINGS if head.startswith(one.magic)), None)


def _damage() -> tuple[type[Exception], ...]:
    module = zstd()
    known: tuple[type[Exception], ...] = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
    return known if module is None else (*known, module.ZstdError)


DAMAGE = _damage()
"""What reading raises where a compressed file is cut off or damaged. bzip2 says so with a bare :exc:`OSError`."""
