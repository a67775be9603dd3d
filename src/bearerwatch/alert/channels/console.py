"""The terminal: one line per notice on standard error, coloured where the stream is a terminal."""

from __future__ import annotations

import sys
import threading
from typing import TextIO

from rich.console import Console
from rich.text import Text

from bearerwatch.alert.channel import DeliveryError
from bearerwatch.alert.notice import Notice, span
from bearerwatch.alert.options import Options

__all__ = ["STYLES", "Channel", "line"]

STYLES = {
    "informational": "cyan",
    "low": "green",
    "medium": "yellow",
    "high": "bold red",
    "critical": "bold white on red",
}
"""How each level is coloured."""


def line(notice: Notice) -> Text:
    """*notice* as one line: time, level, what, key, how much. No stored value is read as markup."""
    text = Text(no_wrap=False)
    text.append(f"{notice.at:%H:%M:%S} ", style="dim")
    closed = notice.transition == "closed"
    text.append(f"{notice.level.upper():<8}", style="dim" if closed else STYLES.get(notice.level, ""))
    text.append(" closed " if closed else " alert  ", style="green" if closed else "bold")
    text.append(notice.title, style="" if closed else "bold")
    for name, value in notice.group.items():
        text.append(f"  {name}=", style="dim")
        text.append(value)
    count = f"{notice.hits} hits" if notice.hits != 1 else "1 hit"
    if notice.peak:
        count += f", peak {notice.peak}"
    text.append(f"  {count} in {span(notice.last_hit - notice.first_hit)}", style="dim")
    if notice.services:
        text.append(f"  on {', '.join(notice.services)}", style="dim")
    text.append(f"  [{notice.episode_id[:12]}]", style="dim")
    return text


class Channel:
    """Writes notices to a stream.

    Options: none of its own.

    Args:
        options: the ``[[channel]]`` table, if there is one.
        stream: where to write, standard error if not given.
    """

    def __init__(self, options: Options | None = None, *, stream: TextIO | None = None) -> None:
        self.name = "console" if options is None else options.name
        self._stream = stream
        self._lock = threading.Lock()

    def deliver(self, notice: Notice) -> None:
        """Write one line.

        Raises:
            DeliveryError: the stream is closed. Nobody can read it any more, so it is not tried again.
        """
        stream = self._stream or sys.stderr
        with self._lock:
            try:
                Console(file=stream, soft_wrap=True, highlight=False).print(line(notice))
                stream.flush()
            except (OSError, ValueError) as error:
                raise DeliveryError(f"the console is gone ({type(error).__name__})", retry=False) from None

    def close(self) -> None:
        """Nothing to let go of: the stream belongs to the process."""
