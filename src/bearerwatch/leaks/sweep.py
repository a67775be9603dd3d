"""One run over many files: what is found in each, and what could not be read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from bearerwatch.leaks import in_place, journal, rewrite
from bearerwatch.leaks.gate import FIRST, Gate
from bearerwatch.leaks.opened import Opened
from bearerwatch.leaks.refused import Refused
from bearerwatch.leaks.scan import Leak, Scanner
from bearerwatch.leaks.sources import STDIN, Source

__all__ = ["Sweep"]


def _nothing(*_: object) -> None:
    pass


class Sweep:
    """Looks through one file after another.

    Args:
        redact: whether files are rewritten.
        in_place: whether that is done at equal length, rather than by putting a new file in the old one's place.
        binary: whether files are rewritten that are no text.
        problem: is told a name and what is wrong with it, and what to do.
        remark: is told a name and what there is to know about it.
    """

    def __init__(
        self,
        *,
        redact: bool = False,
        in_place: bool = False,
        binary: bool = False,
        problem: Callable[[str, str], object] = _nothing,
        remark: Callable[[str, str], object] = _nothing,
    ) -> None:
        self._redact = redact or in_place
        self._in_place = in_place
        self._binary = binary
        self._problem = problem
        self._remark = remark
        self._gate = Gate(FIRST)
        self._finished: set[str] = set()

    def __call__(self, source: Source, advance: Callable[[int], object] = _nothing) -> Iterator[Leak]:
        """Each token in *source*. Whatever goes wrong with it is told, not raised.

        Args:
            source: where to look.
            advance: is told how many bytes of it have been read.
        """
        try:
            yield from self._look(source, advance)
        except Refused as error:
            self._problem(source.name, str(error))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            what = "rewritten" if self._redact else "read"
            self._problem(source.name, f"cannot be {what}: {reason}. Mend that, or leave it out")

    def _look(self, source: Source, advance: Callable[[int], object]) -> Iterator[Leak]:
        if not self._redact:
            yield from self._scan(source, advance)
            return
        if not source.regular:
            yield from self._scan(source, advance)
            raise Refused(
                "it is no file, and cannot be rewritten: 'bearerwatch redact' passes a stream on without tokens"
            )
        path = os.path.realpath(source.name)
        self._finish(os.path.dirname(path))  # noqa: PTH120 - a name need not be Unicode
        if self._in_place:
            said = lambda text: self._remark(source.name, text)  # noqa: E731
            yield from in_place.rewrite(path, self._gate, binary=self._binary, advance=advance, remark=said)
        else:
            yield from rewrite.rewrite(path, self._gate, binary=self._binary, advance=advance)

    def _scan(self, source: Source, advance: Callable[[int], object]) -> Iterator[Leak]:
        with Opened(_stdin()) if source.name == STDIN else Opened.at(source.name) as opened:
            scanner = Scanner(self._gate)
            for piece in opened.pieces():
                for hit in scanner(piece):
                    yield from hit.leaks
                advance(opened.read)

    def _finish(self, folder: str) -> None:
        if folder not in self._finished:
            self._finished.add(folder)
            for name in journal.finish(folder):
                self._remark(os.path.join(folder, name), "an earlier run had not finished it: done now")  # noqa: PTH118


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise Refused("standard input is closed: leave it out, or give it something to read")
    return cast("BinaryIO", sys.stdin.buffer)
