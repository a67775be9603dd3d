"""Exports to a file, which is there whole or not at all, and to standard output."""

from __future__ import annotations

import os
import secrets
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, BinaryIO

from bearerwatch.errors import ConfigurationError
from bearerwatch.exports import ExportError
from bearerwatch.leaks.packed import Packing, packing
from bearerwatch.leaks.refused import Refused
from bearerwatch.store.folders import fsync

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bearerwatch.event import AuthEvent

__all__ = ["FileTarget", "StdoutTarget", "WholeFile"]

_SUFFIXES = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
_BUFFER = 1 << 20


class WholeFile:
    """A file that takes its name once it is complete and on the disk.

    Args:
        path: its name to be.
        replace: whether a file of that name may be there; it is replaced.

    Raises:
        ConfigurationError: there is one and it may not, or the folder cannot be used.
    """

    def __init__(self, path: Path, *, replace: bool) -> None:
        path = path.resolve()  # what a link leads to is replaced, and not the link
        self._path = path
        self._replace = replace
        if path.is_dir():
            raise ConfigurationError(f"--out {path} is a folder: name a file in it")
        if path.exists() and not path.is_file():  # a device, such as /dev/null: nothing may take its place
            raise ConfigurationError(f"--out {path} is no plain file: give --out - and redirect that")
        if not replace and os.path.lexists(path):
            raise ConfigurationError(
                f"--out {path} is there already, and what an earlier run exported stands in it: name a new file each "
                "time, say by the time of day"
            )
        if not path.parent.is_dir():
            raise ConfigurationError(f"--out {path}: there is no folder {path.parent}: make it first")
        self.draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        """Where to write until then; in the same folder, with mode 0600."""
        try:
            self.handle = os.open(self.draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"--out {path} cannot be written ({error.strerror}): see that this user may write to {path.parent}"
            ) from None

    def finish(self) -> None:
        """Give it its name.

        Raises:
            OSError: it cannot be written.
            ExportError: another file has taken the name meanwhile.
        """
        os.fsync(self.handle)
        if self._replace:
            os.replace(self.draft, self._path)  # noqa: PTH105 - rename(2), meant literally
        else:
            try:
                os.link(self.draft, self._path)
            except FileExistsError:
                raise ExportError(f"--out {self._path} was made by somebody else meanwhile: name another") from None
        fsync(self._path.parent)

    def close(self) -> None:
        """Leave nothing behind but the finished file."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1
        with suppress(FileNotFoundError):
            self.draft.unlink()


class FileTarget:
    """Writes a record a line to a file; one whose name ends in ``.gz`` or ``.zst`` is compressed.

    Args:
        path: the file.
        encode: what makes a record of an event.
        replace: whether a file of that name may be there.

    Raises:
        ConfigurationError: the file cannot be made.
    """

    lasting = False

    def __init__(self, path: Path, encode: Callable[[AuthEvent], bytes], *, replace: bool) -> None:
        self._encode = encode
        self._name = path
        self._file = WholeFile(path, replace=replace)
        with ExitStack() as undo:
            undo.callback(self._file.close)
            self._raw: BinaryIO = os.fdopen(os.dup(self._file.handle), "wb", buffering=_BUFFER)
            undo.callback(self._raw.close)
            self._out = _packed(self._raw, packing(_SUFFIXES.get(path.suffix, b"")))
            undo.pop_all()

    def send(self, events: list[AuthEvent]) -> int:
        """Write them."""
        encode = self._encode
        try:
            self._out.write(b"".join([encode(event) + b"\n" for event in events]))
        except OSError as error:
            raise _full(self._name, error) from None
        return 0

    def finish(self) -> None:
        """Give the file its name."""
        try:
            if self._out is not self._raw:
                self._out.close()
            self._raw.flush()
            self._file.finish()
        except OSError as error:
            raise _full(self._name, error) from None

    def close(self) -> None:
        """Leave nothing behind but the finished file."""
        for file in (self._out, self._raw):
            with suppress(OSError, ValueError):
                file.close()
        self._file.close()


class StdoutTarget:
    """Writes a record a line to standard output.

    Args:
        encode: what makes a record of an event.
    """

    lasting = False

    def __init__(self, encode: Callable[[AuthEvent], bytes]) -> None:
        self._encode = encode

    def send(self, events: list[AuthEvent]) -> int:
        """Write them."""
        encode = self._encode
        sys.stdout.write(b"".join([encode(event) + b"\n" for event in events]).decode("utf-8"))
        return 0

    def finish(self) -> None:
        """Hand over what is buffered."""
        sys.stdout.flush()

    def close(self) -> None:
        """Standard output is the process's."""


def _packed(raw: BinaryIO, how: Packing | None) -> BinaryIO:
    if how is None:
        return raw
    try:
        return how.write(raw, int(time.time()))
    except Refused:
        raise ConfigurationError("to write zstd takes a library: pip install 'bearerwatch[server]'") from None


def _full(path: Path, error: OSError) -> ExportError:
    return ExportError(f"--out {path} cannot be written ({error.strerror}): nothing was exported; see to its disk")
