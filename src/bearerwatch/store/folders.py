"""Private folders and files that are really on the disk: modes, links, fsync."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bearerwatch.errors import ConfigurationError

__all__ = ["fsync", "private_file", "private_folder", "state_folder"]

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
# What tells a state folder from any other. Applications, who may come first, make the first two.
_OURS = frozenset(("spool", "fingerprint.key", "collector.lock", "state.db", "lake"))
_EMPTY_DISK = "lost+found"


def private_folder(path: Path, *, below: Path | None = None) -> Path:
    """Make *path* a folder that only we may enter, with everything above it up to *below*.

    Args:
        path: the folder to make, with mode 0700. One that is there already is tightened to that, unless it is
            shared by its nature (has the sticky bit) or not ours.
        below: an existing ancestor. It may be a symbolic link (systemd's ``StateDirectory`` is one); nothing
            beneath it may. Without it, *path* itself is that ancestor.

    Returns:
        The folder's absolute path.

    Raises:
        ConfigurationError: something else is in the way, or we may not write there.
    """
    path = path.absolute()
    made: list[Path] = []
    try:
        if below is None:
            if not path.is_dir():
                path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
                made.append(path)
        else:
            below = below.absolute()
            for step in reversed([path, *(p for p in path.parents if below in p.parents)]):
                try:
                    step.mkdir(mode=_FOLDER_MODE)
                except FileExistsError:
                    if not stat.S_ISDIR(step.lstat().st_mode):
                        raise ConfigurationError(
                            f"{step} is not a folder of ours (a link or a file is in its place): move it away"
                        ) from None
                else:
                    made.append(step)
        found = path.stat()
        loose = stat.S_IMODE(found.st_mode) != _FOLDER_MODE
        if loose and found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX:
            path.chmod(_FOLDER_MODE)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {path} cannot be used ({error.strerror}): create it and make this user its owner"
        ) from error
    for step in made:
        fsync(step.parent.resolve())
    return path


def state_folder(path: Path) -> Path:
    """Make *path* a private folder as :func:`private_folder` does, but never close somebody else's to its users.

    Returns:
        The folder's absolute path.

    Raises:
        ConfigurationError: it holds things, none of them ours, and others may enter it; or it cannot be used.
    """
    try:
        shared = stat.S_IMODE(path.stat().st_mode) & 0o077
        held = {held.name for held in path.iterdir()} - {_EMPTY_DISK} if shared else set()
    except OSError:  # not there yet, or to be explained below
        held = set()
    if held and held.isdisjoint(_OURS):
        raise ConfigurationError(
            f"the state folder {path} holds other things, and others may enter it: as a state folder it would be closed"
            " to them. Name a folder of its own, which is made if it is not there; or, if this is the one, chmod 700 it"
        )
    return private_folder(path)


def private_file(path: Path) -> None:
    """Create *path* empty unless it exists, with mode 0600, following no link.

    Raises:
        ConfigurationError: it is a link or no ordinary file, or we may not write there.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
    except OSError as error:
        raise ConfigurationError(
            f"the file {path} cannot be opened ({error.strerror}): it must be an ordinary file of this user's"
        ) from error
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigurationError(f"{path} is not an ordinary file: move it away")
        if stat.S_IMODE(mode) & 0o077:
            os.fchmod(handle, _FILE_MODE)
    finally:
        os.close(handle)


def fsync(path: Path) -> None:
    """Wait until the file or folder *path* is on the disk; a file's mode becomes 0600 by the way."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            os.fchmod(handle, _FILE_MODE)
        os.fsync(handle)
    finally:
        os.close(handle)
