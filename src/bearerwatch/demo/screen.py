"""What the demonstration shows: a paragraph, its phases, alerts as they arrive, and two tables at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bearerwatch.alert.escape import printable
from bearerwatch.alert.lines import event_line

__all__ = ["Screen"]

_WIDTH = 112
_LEVELS = {"critical": "bold white on red", "high": "bold red", "medium": "bold yellow", "low": "yellow"}


class Screen:
    """Everything goes to standard error, and without colour to a file that is swept with the rest.

    Args:
        kept: the file.
        stream: standard error, if not given.
    """

    def __init__(self, kept: Path, stream: IO[str] | None = None) -> None:
        self._shown = Console(file=stream or sys.stderr, highlight=False, emoji=False, markup=False)
        if not self._shown.is_terminal:
            self._shown.width = _WIDTH
        self._file = kept.open("w", encoding="utf-8")
        self._kept = Console(file=self._file, width=_WIDTH, highlight=False, emoji=False, markup=False)
        self._lock = threading.RLock()
        self._begun = time.monotonic()
        self._doing = Spinner("dots", "")
        self._live = Live(self._doing, console=self._shown, transient=True, refresh_per_second=8)
        self._is_live = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()
        self._file.close()

    def show(self, *parts: RenderableType) -> None:
        """Print for good."""
        with self._lock:
            for console in (self._shown, self._kept):
                for part in parts:
                    console.print(part)
            self._file.flush()

    def doing(self, what: str) -> None:
        """What is going on, on a line that goes away. Nothing without a terminal."""
        with self._lock:
            self._doing.update(text=Text(f" {what}", style="dim"))
            if not self._is_live and self._shown.is_terminal:
                self._live.start()
                self._is_live = True

    def rest(self) -> None:
        """Take that line away."""
        with self._lock:
            if self._is_live:
                self._live.stop()
                self._is_live = False

    def intro(self, title: str, paragraph: str) -> None:
        """The beginning."""
        self.show(Rule(Text(title, style="bold")), Text(paragraph), Text())

    def phase(self, what: str, detail: str = "") -> None:
        """Something begins."""
        self.show(Text.assemble(self._clock(), ("▸ ", "cyan"), (what, "bold")))
        if detail:
            self.show(Padding(Text(detail, style="dim"), (0, 0, 0, 11)))

    def step(self, ok: bool, what: str) -> None:
        """Something was done."""
        self.show(Text.assemble(self._clock(), _mark(ok), f" {what}"))

    def alert(self, level: str, title: str, key: str, after: float | None) -> None:
        """An alert arrived, so many seconds *after* what it is about began."""
        shown = (f" {printable(level).upper()} ", _LEVELS.get(level, "bold"))
        line = Text.assemble(self._clock(), ("  ⚠ ", "yellow"), shown, f" {printable(title)}")
        if after is not None:
            line.append(f"  after {after:.1f} s", "bold green")
        line.append(f"  {printable(key)}", "cyan")
        self.show(line)

    def timeline(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Events and lines of logs, as ``bearerwatch timeline`` shows them."""
        before: Mapping[str, Any] | None = None
        with self._lock:
            for entry in entries:
                delta = timedelta() if before is None else entry["ts"] - before["ts"]
                line = event_line(entry, delta=delta, with_date=False)
                for console in (self._shown, self._kept):
                    console.print(line, soft_wrap=True)
                before = entry
            self._file.flush()

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
        """A table; columns whose name ends in ``#`` are numbers."""
        table = Table(title=Text(title, style="bold"), title_justify="left", expand=False, border_style="dim")
        for column in columns:
            number = column.endswith("#")
            table.add_column(column.removesuffix("#"), justify="right" if number else "left", no_wrap=number)
        for row in rows:
            table.add_row(*row)
        self.show(Text(), table)

    def checks(self, title: str, checks: Iterable[tuple[bool, str, str]]) -> None:
        """Promises and whether they were kept."""
        lines: list[RenderableType] = [Text(), Text(title, style="bold")]
        for ok, promise, found in checks:
            lines.append(Text.assemble(" ", _mark(ok), " ", (promise, "" if ok else "bold red")))
            lines.append(Padding(Text(found, style="dim"), (0, 0, 0, 4)))
        self.show(Group(*lines))

    def lines(self, title: str, pairs: Iterable[tuple[str, str]]) -> None:
        """Two columns without a frame."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="cyan", no_wrap=True)
        grid.add_column(style="dim")
        for left, right in pairs:
            grid.add_row(Text(left), Text(right))
        self.show(Text(), Text(title, style="bold"), Padding(grid, (0, 0, 0, 2)))

    def verdict(self, ok: bool, text: str) -> None:
        """The end."""
        self.show(Text(), Text.assemble(_mark(ok), " ", (text, "bold green" if ok else "bold red")))

    def _clock(self) -> tuple[str, str]:
        return (f"{time.monotonic() - self._begun:5.1f} s  ", "dim")


def _mark(ok: bool) -> tuple[str, str]:
    return ("✓", "bold green") if ok else ("✗", "bold red")
