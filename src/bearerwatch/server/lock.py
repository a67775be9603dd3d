"""One collector per state folder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from bearerwatch.errors import ConfigurationError

__all__ = ["StateLock"]


class StateLock:
    """Holds ``<state>/collector.lock`` as long as the process lives, however it ends.

    Args:
        folder: the state folder; exists.

    Raises:
        ConfigurationError: another collector holds it, or it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "collector.lock"
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"--state {folder} cannot be used ({error.strerror}): make this user its owner"
            ) from None
        if not self._taken():
            holder = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise ConfigurationError(
                f"a collector ({who}) works on {folder} already: stop it, or name another folder with --state"
            ) from None
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, str(os.getpid()).encode(), 0)
        except OSError:
            pass  # a full disk: the lock holds all the same, only its note is missing

    def _taken(self) -> bool:
        """Take the lock; patiently, for ``doctor`` holds it for an instant to see whether anybody does."""
        for pause in (0.05, 0.1, 0.2, 0.0):
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(pause)
            else:
                return True
        return False

    def release(self) -> None:
        """Let another collector have it."""
        os.close(self._handle)
