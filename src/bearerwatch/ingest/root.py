"""A spool folder itself: whose it is to tail, and which services have a folder in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection
from pathlib import Path

from bearerwatch.ingest.complaints import Complaints, remedy, shown
from bearerwatch.ingest.folder import FOLDER, nameable

__all__ = ["SpoolRoot"]

_MAX_SERVICES = 1_000


class SpoolRoot:
    """Holds a spool open and locked, for as long as it is the same folder.

    The lock is on the folder itself: nothing has to be written to it, and it ends with the process.

    Args:
        path: the folder; it may appear later, and go and come back.
        complain: takes what the operator should know.
    """

    def __init__(self, path: Path, complain: Complaints) -> None:
        self.path = path
        self.fd = -1
        self.taken = False
        """Whether, at the last look, somebody else held it."""
        self._complain = complain
        self._identity = (0, 0)

    def enter(self) -> bool:
        """Open the folder and lock it, unless that is done; whether it may be read."""
        self.taken = False
        try:
            status = self.path.stat()
            if self.fd >= 0 and (status.st_dev, status.st_ino) == self._identity:
                return True
            self.leave()
            fd = os.open(self.path, FOLDER)
        except FileNotFoundError:
            return False  # the first application creates it
        except OSError as error:
            self._complain(
                f"spool {self.path}",
                f"the spool {shown(self.path)} cannot be read: {remedy(error)}",
            )
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            self.taken = True
            self._complain(
                f"spool {self.path}",
                f"another collector tails the spool {shown(self.path)}; it is not read here until that one ends",
            )
            return False
        status = os.fstat(fd)
        self.fd = fd
        self._identity = (status.st_dev, status.st_ino)
        return True

    def services(self, known: Collection[str]) -> set[str]:
        """Names of the services' folders, following no link; those *known* before new ones, if there are too many.

        Raises:
            OSError: the folder cannot be listed.
        """
        found: set[str] = set()
        fresh: list[str] = []
        with os.scandir(self.fd) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if not entry.is_dir(follow_symlinks=False) or not nameable(name):
                    self._complain(
                        f"stray {name!r}",
                        f"{shown(name)} in the spool {shown(self.path)} is not a service's folder and is not read;"
                        " remove it",
                    )
                elif name in known:
                    found.add(name)
                else:
                    fresh.append(name)
        if len(found) + len(fresh) > _MAX_SERVICES:
            self._complain(
                f"services {self.path}",
                f"the spool {shown(self.path)} holds more than {_MAX_SERVICES} services; the rest is not read",
            )
            fresh = sorted(fresh)[: max(0, _MAX_SERVICES - len(found))]
        return found.union(fresh)

    def leave(self) -> None:
        """Close it, and let somebody else have it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
