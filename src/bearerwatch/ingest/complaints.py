"""What the collector has to say to its operator, each thing at most once a minute."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from bearerwatch import _guard

__all__ = ["Complaints", "remedy", "shown"]

_MAX_SUBJECTS = 1_000
_REMEDIES = {
    errno.EACCES: "run the collector as the applications' user, or as root",
    errno.EPERM: "run the collector as the applications' user, or as root",
    errno.EMFILE: "let it open more files (ulimit -n, systemd's LimitNOFILE)",
    errno.ENFILE: "let the system open more files (sysctl fs.file-max)",
    errno.EIO: "see the kernel log (dmesg)",
}


class Complaints:
    """Says each thing at most once per *every* seconds, however often it happens.

    Args:
        say: takes one line of text; stderr by default.
        every: seconds between two sayings of the same subject.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        say: Callable[[str], None] = _guard.say,
        *,
        every: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._every = every
        self._clock = clock
        self._said: dict[str, float] = {}

    def __call__(self, subject: str, message: str) -> None:
        """Say *message* unless *subject* was spoken of within the last *every* seconds."""
        now = self._clock()
        last = self._said.get(subject)
        if last is not None and now - last < self._every:
            return
        if len(self._said) >= _MAX_SUBJECTS:  # a flood of subjects is itself one subject
            self._said = {key: at for key, at in self._said.items() if now - at < self._every}
            if len(self._said) >= _MAX_SUBJECTS:
                return
        self._said[subject] = now
        self._say(message)


def remedy(error: OSError) -> str:
    """What the system says of *error*, and what to do about it where that is known."""
    said = error.strerror or type(error).__name__
    advice = _REMEDIES.get(error.errno or 0)
    return said if advice is None else f"{said}; {advice}"


def shown(name: object) -> str:
    """*name*, which somebody else chose, fit for a terminal: ASCII, escaped, cut at 80 characters."""
    text = ascii(str(name))[1:-1]
    return text if len(text) <= 80 else text[:77] + "..."
