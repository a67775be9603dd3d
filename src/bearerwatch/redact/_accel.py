"""Hyperscan, where the ``accel`` extra is installed: in one pass over a text, whether it is worth a closer look.

What is found there is found by the same code as without it, so the spans are identical as long as nothing is passed
over; differential tests hold it to that.
https://intel.github.io/hyperscan/dev-reference/
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bearerwatch import _guard
from bearerwatch._version import __version__
from bearerwatch.redact._kept import Kept

__all__ = ["Prefilter"]


_PATIENCE = 200
"""Texts that are looked at without, before it is worth to compile: processes that end soon need not."""


class Prefilter:
    """Which of many expressions may match in a text: one pass over it, however many there are.

    Compiling them takes a second of a core. That is done in a thread of its own, without the interpreter's lock, so
    that the first line that is logged need not wait; until it is done every one may. What was compiled is kept for the
    processes that come after.
    """

    def __init__(
        self, expressions: Callable[[], list[tuple[int, str]]], *, once: bool = False, kept: str | None = None
    ) -> None:
        """Nothing is compiled before the first question.

        Args:
            expressions: gives them, in Hyperscan's syntax, each with a number; several may have the same.
            once: whether it is enough to know of the first place where an expression matches, which is quicker.
            kept: the name under which what is compiled is kept in the state folder; nothing is without one.
        """
        self._expressions = expressions
        self._once = once
        self._name = kept
        self.held = False
        """Whether it is compiled only once somebody waits for it: a process that ends soon has no use for it."""
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)  # the thread is not there any more

    def _forget(self) -> None:
        self._scan: _Scan | None = None
        self._local = threading.local()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._asked = 0

    def __call__(self, text: str) -> list[int] | None:
        """The numbers of what may match in ASCII *text*; ``None`` for all, as is always so without Hyperscan."""
        scan = self._scan
        if scan is None:
            self._asked += 1
            if self._asked >= _PATIENCE and self._thread is None and not self.held:
                self._begin()
            return None
        found: list[int] = []
        scan(text.encode("ascii"), _number, found)
        return found

    def places(self) -> Callable[[bytes], list[int]] | None:
        """A function from bytes to the places where something has matched, in no order; ``None`` without Hyperscan.

        All of them, unless it was made to tell the first ones alone.
        """
        if _library() is None or not self.ready():
            return None
        scan = self._scan

        def places(data: bytes) -> list[int]:
            found: list[int] = []
            if scan is not None:
                scan(data, _place, found)
            return found

        return places

    def ready(self) -> bool:
        """Wait until it is compiled; ``False`` without Hyperscan."""
        self._begin()
        if self._thread is not None:
            self._thread.join()
        return self._scan is not None

    def _begin(self) -> None:
        with self._lock, suppress(RuntimeError):  # the interpreter is about to end: it need not be quick any more
            if self._thread is None:
                # No daemon: at the interpreter's end it must not be cut off amid a library's code.
                self._thread = threading.Thread(target=self._try, name="bearerwatch-accel")
                self._thread.start()

    def _try(self) -> None:
        try:
            hyperscan = _library()
            if hyperscan is not None:
                self._compile(hyperscan)
        except Exception as error:  # noqa: BLE001 - host boundary: without it everything is found just as well
            _guard.swallowed("compiling for Hyperscan", error)

    def _compile(self, hyperscan: Any) -> None:
        database = self._database(hyperscan)
        local = self._local  # a scratch space serves one scan at a time

        def scan(data: bytes, on_match: _OnMatch, found: list[int]) -> None:
            try:
                scratch = local.scratch
            except AttributeError:
                scratch = local.scratch = hyperscan.Scratch(database)
            database.scan(data, on_match, 0, found, scratch)  # by name they would take it twice as long

        self._scan = scan

    def _database(self, hyperscan: Any) -> Any:
        kept = Kept(self._name, f"{hyperscan.__version__} {__version__}") if self._name else None
        held = kept.load() if kept is not None else None
        if held is not None:
            with suppress(hyperscan.HyperscanError):  # of another processor, say, that shares the folder
                return hyperscan.loadb(held, hyperscan.HS_MODE_BLOCK)
        numbers, expressions = zip(*self._expressions(), strict=True)
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        database.compile(
            expressions=[expression.encode("ascii") for expression in expressions],
            ids=list(numbers),
            elements=len(expressions),
            flags=hyperscan.HS_FLAG_SINGLEMATCH if self._once else 0,
        )
        if kept is not None:
            kept.save(hyperscan.dumpb(database))
        return database


_OnMatch = Callable[[int, int, int, int, Any], None]
_Scan = Callable[[bytes, _OnMatch, list[int]], None]


def _number(number: int, _start: int, _end: int, _flags: int, found: Any) -> None:
    if number not in found:
        found.append(number)


def _place(_number: int, _start: int, end: int, _flags: int, found: Any) -> None:
    found.append(end - 1)


def _library() -> Any:
    """Hyperscan, or ``None``; loaded at first use, for importing the app side loads nothing native."""
    if os.environ.get("BEARERWATCH_ACCEL", "").lower() in {"0", "off", "no", "false"}:
        return None
    try:
        import hyperscan  # noqa: PLC0415
    except ImportError:  # the extra is not installed, or this machine has no build of it
        return None
    return hyperscan
