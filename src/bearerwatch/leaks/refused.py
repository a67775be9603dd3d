"""Why a file is not read, or not rewritten."""

from __future__ import annotations

from bearerwatch.errors import BearerwatchError

__all__ = ["Refused"]


class Refused(BearerwatchError):  # noqa: N818 - reads as the sentence it is
    """A file cannot be read or may not be rewritten. The message goes after its name, and says what to do."""
