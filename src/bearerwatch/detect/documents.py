"""YAML from people we do not know, read within bounds, with the line every value stands on.

PyYAML alone would expand a "billion laughs", recurse as deep as the file says and let a later key silently replace
an earlier one. Here the parser's events are counted first, and nothing is built from a file that breaks a bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bearerwatch.errors import RuleError

__all__ = ["MAX_BYTES", "Document", "at", "read"]

MAX_BYTES = 65_536
"""A rule file is text by a person: longer ones are refused unread."""
_MAX_DEPTH = 24
_MAX_NODES = 20_000
_MAX_ALIASES = 50

Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document and where its parts stand."""

    path: Path
    line: int
    """Line the document begins on, from 1."""
    data: dict[str, Any]
    lines: dict[Where, int] = field(repr=False)
    """Path of keys and indexes to line."""

    def error(self, message: str, where: Sequence[str | int] = ()) -> RuleError:
        """A RuleError at the line of the value at *where*, or of the nearest one around it."""
        place = tuple(where)
        while place and place not in self.lines:
            place = place[:-1]
        return at(self.path, self.lines.get(place, self.line), message)


def at(path: Path, line: int, message: str) -> RuleError:
    """A RuleError as every one of them reads: ``file:line: message``."""
    return RuleError(f"{path}:{line}: {message}")


def read(path: Path) -> list[Document]:
    """The documents of *path*, empty ones left out.

    Raises:
        RuleError: not readable, too long, not UTF-8, not YAML, nested or repeated beyond bounds, or not a mapping.
    """
    text = _text(path)
    try:
        _check_bounds(path, text)
        nodes = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise _broken(path, error) from None
    return [_document(path, node) for node in nodes if not _is_null(node)]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise at(
            path, 1, f"cannot be read ({error.strerror}): check that it exists and this user may read it"
        ) from None
    if len(raw) > MAX_BYTES:
        raise at(path, 1, f"is longer than {MAX_BYTES} bytes: split it into several rules, one file each")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise at(path, line, "is not UTF-8 here: save the file as UTF-8") from None


def _check_bounds(path: Path, text: str) -> None:
    depth = nodes = aliases = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        line = _line(event.start_mark)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > _MAX_DEPTH:
            raise at(path, line, f"is nested deeper than {_MAX_DEPTH} levels: flatten it")
        if nodes > _MAX_NODES:
            raise at(path, line, f"has more than {_MAX_NODES} values: split it into several rules")
        if aliases > _MAX_ALIASES:
            raise at(path, line, f"has more than {_MAX_ALIASES} aliases (*name): write the values out")


def _line(mark: Any) -> int:
    return 1 if mark is None else int(mark.line) + 1


def _broken(path: Path, error: yaml.YAMLError) -> RuleError:
    mark = getattr(error, "problem_mark", None)
    line = _line(mark)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return at(path, line, f"is not YAML ({problem}): check indentation, quotes and colons here")


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _document(path: Path, node: yaml.Node) -> Document:
    line = _line(node.start_mark)
    if not isinstance(node, yaml.MappingNode):
        raise at(path, line, "is not a mapping: begin the document with 'title: …'")
    lines: dict[Where, int] = {}
    budget = _MAX_NODES
    for place, mark, key in _walk(node, (), 0):
        budget -= 1
        if budget < 0 or len(place) > _MAX_DEPTH:
            raise at(path, mark, "grows too large through its aliases (*name): write the values out")
        if key and place in lines:
            raise at(path, mark, f"says {place[-1]!r} a second time (first on line {lines[place]}): keep one of them")
        lines.setdefault(place, mark)
    try:
        data = yaml.constructor.SafeConstructor().construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        if isinstance(error, yaml.YAMLError):
            raise _broken(path, error) from None
        raise at(path, line, f"holds a value YAML cannot make sense of ({error}): put it in quotes") from None
    for name in data:
        if not isinstance(name, str):
            raise at(path, line, f"has the key {name!r}, which is not text: put it in quotes")
    return Document(path=path, line=line, data=data, lines=lines)


def _walk(node: yaml.Node, place: Where, depth: int) -> Iterator[tuple[Where, int, bool]]:
    """Every value as a tree (aliases expanded): its place, its line, and whether it was named by a key."""
    if depth > _MAX_DEPTH:
        yield (*place, *range(_MAX_DEPTH + 1)), _line(node.start_mark), False
        return
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            yield inner, _line(key.start_mark), True
            yield from _walk(value, inner, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = (*place, index)
            yield inner, _line(value.start_mark), False
            yield from _walk(value, inner, depth + 1)
