"""What is looked at: files, folders with all that is below them, patterns, and standard input."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from bearerwatch.leaks import beside

__all__ = ["STDIN", "Source", "sources"]

STDIN = "-"


class Source(NamedTuple):
    """Something to be read."""

    name: str
    """As the user has called it, or the folder it was found in."""
    size: int
    regular: bool
    """Whether it is a file, which can be rewritten; a pipe, say, cannot."""


def sources(paths: Iterable[str], problem: Callable[[str, str], object]) -> Iterator[Source]:
    """Each file once, however many ways lead to it; symbolic links are followed.

    In a folder everything is looked at that is a file. Links that lead nowhere hold nothing, and are passed over.

    Args:
        paths: as the user gave them; ``-`` is standard input.
        problem: is told the name and what is wrong with it, and what to do.
    """
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if path == STDIN:
            yield Source(STDIN, 0, regular=False)
            continue
        matches = [path]
        if not os.path.lexists(path) and glob.has_magic(path):
            matches = sorted(glob.iglob(path, recursive=True, include_hidden=True))  # noqa: PTH207 - as the shell reads it
        if not matches:
            problem(path, "no file fits this pattern: correct it, or leave it out")
        for match in matches:
            yield from _named(match, seen, problem)


def _named(path: str, seen: set[tuple[int, int]], problem: Callable[[str, str], object]) -> Iterator[Source]:
    try:
        found = os.stat(path)  # noqa: PTH116 - a name need not be Unicode
    except OSError as error:
        problem(path, f"cannot be read: {error.strerror}. Correct the name or the permissions, or leave it out")
        return
    if stat.S_ISDIR(found.st_mode):
        yield from _below(path, found, seen, problem)
    elif _new(found, seen):
        yield Source(path, found.st_size, regular=stat.S_ISREG(found.st_mode))


def _below(
    top: str, found: os.stat_result, seen: set[tuple[int, int]], problem: Callable[[str, str], object]
) -> Iterator[Source]:
    folders = [(top, found)]
    while folders:
        folder, found = folders.pop()
        if not _new(found, seen):  # a link back to where we come from, say
            continue
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            problem(folder, f"cannot be listed: {error.strerror}. Correct its permissions, or leave it out")
            continue
        inside = []
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118
            try:
                found = os.stat(path)  # noqa: PTH116
            except FileNotFoundError:
                continue
            except OSError as error:
                problem(path, f"cannot be read: {error.strerror}. Correct it, or leave it out")
                continue
            if stat.S_ISDIR(found.st_mode):
                inside.append((path, found))
            elif stat.S_ISREG(found.st_mode) and not beside.is_ours(name) and _new(found, seen):
                yield Source(path, found.st_size, regular=True)
        folders += reversed(inside)


def _new(found: os.stat_result, seen: set[tuple[int, int]]) -> bool:
    which = (found.st_dev, found.st_ino)
    if which in seen:
        return False
    seen.add(which)
    return True
