"""Files that are there whole or not at all: written beside their place under a name of chance, and renamed into it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["drafted"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def drafted(path: Path, mode: int = 0o600) -> Iterator[int]:
    """A descriptor to write to; at the end it is closed and takes *path*, and if anything is raised nothing is left.

    Args:
        path: whose place it takes; a link is replaced.
        mode: of the new file, less the umask.

    Raises:
        OSError: it cannot be made, or cannot take its place.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, _FLAGS, mode)
    try:
        try:
            yield handle
        finally:
            os.close(handle)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
