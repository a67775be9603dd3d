# ruff: noqa: S608 - every part is made here or quoted
"""Files of events in the canonical schema as one relation, whatever wrote them: Parquet, or NDJSON.

What is not as it must be is refused with the file, the line or the column, and the mend; never with what stands there.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb

from bearerwatch.errors import ConfigurationError
from bearerwatch.store.engine import COLUMNS, quoted

__all__ = ["Given", "given"]

_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".jsonl.zst", ".ndjson.zst")
_REQUIRED = ("ts", "kind")
_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_PLACE = re.compile(r"(?:file \"(?P<file>[^\"]*)\".*?)?line (?P<line>\d+)", re.DOTALL)
_MOST_LINE = 1 << 20


class Given:
    """Events that were given, as a relation.

    Attributes:
        relation: an SQL table expression with all columns of an event.
        missing: columns no file has; they are NULL in it.
    """

    def __init__(self, relation: str, missing: frozenset[str]) -> None:
        self.relation = relation
        self.missing = missing


def given(con: duckdb.DuckDBPyConnection, names: Iterable[str], scratch: Path) -> Given:
    """The events in files, folders (with all that is below them) and patterns such as ``spool/**/*.jsonl``.

    Args:
        con: from :func:`bearerwatch.store.engine.connect`.
        names: paths and patterns.
        scratch: a folder for NDJSON read once; as large as its Parquet.

    Raises:
        ConfigurationError: there is no file, or one of them does not hold events; the message says what to mend.
    """
    parquet, lines = _files(names)
    for number, path in enumerate(lines):
        copy = scratch / f"lines-{number}.parquet"
        _converted(con, path, copy)
        parquet.append(copy)
    kinds = [_checked(con, path) for path in parquet]
    listed = ", ".join(quoted(glob.escape(str(path))) for path in parquet)
    has = frozenset().union(*kinds)
    # A segment of the lake has "=" for a credential that is its own token id.
    columns = {name: _read(name, {one[name] for one in kinds if name in one}) for name in COLUMNS if name in has}
    if {"presented_id", "token_id"} <= has:
        columns["presented_id"] = """CASE WHEN "presented_id" = '=' THEN "token_id" ELSE "presented_id" END"""
    shown = [f'{columns.get(name, "NULL")}::{kind} AS "{name}"' for name, kind in COLUMNS.items()]
    relation = f"(SELECT {', '.join(shown)} FROM read_parquet([{listed}], union_by_name = true))"
    return Given(relation, frozenset(COLUMNS) - has)


def _files(names: Iterable[str]) -> tuple[list[Path], list[Path]]:
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name).expanduser()
        inside: Sequence[Path]
        if path.is_dir():
            inside = [one for one in sorted(path.rglob("*")) if one.is_file() and _of_events(one)]
        elif path.exists():
            inside = [path]
        else:
            matched = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - it may begin with a root
            inside = [one for one in map(Path, matched) if one.is_file()]
        if not inside:
            raise ConfigurationError(f"--events {path}: there is no file of events; they end in .parquet or .jsonl")
        found.update(dict.fromkeys(inside))
    strange = next((path for path in found if not _of_events(path)), None)
    if strange is not None:
        raise ConfigurationError(f"--events {strange}: name files that end in .parquet, .jsonl or .ndjson (.gz, .zst)")
    return (
        [path for path in found if path.name.endswith(".parquet")],
        [path for path in found if not path.name.endswith(".parquet")],
    )


def _of_events(path: Path) -> bool:
    return not path.name.startswith(".") and path.name.endswith((".parquet", *_LINES))


def _converted(con: duckdb.DuckDBPyConnection, path: Path, copy: Path) -> None:
    """NDJSON read once, strictly: a line that is no event spoils the file, for a rule might have needed it."""
    wire = {name: "TIMESTAMPTZ" if kind == "TIMESTAMP" else kind for name, kind in COLUMNS.items()}
    columns = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in wire.items())
    times = ", ".join(
        f'"{name}" AT TIME ZONE \'UTC\' AS "{name}"' for name, kind in COLUMNS.items() if kind == "TIMESTAMP"
    )
    source = (
        f"read_json({quoted(glob.escape(str(path)))}, format = 'newline_delimited', columns = {{{columns}}}, "
        f"maximum_object_size = {_MOST_LINE})"
    )
    try:
        con.execute(f"COPY (SELECT * REPLACE ({times}) FROM {source}) TO {quoted(copy)} (FORMAT parquet)")
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        place = _PLACE.search(str(error))
        where = f"{path}:{place['line']}" if place else str(path)
        raise ConfigurationError(
            f"{where}: is no JSON object, or has a value of another type than events: mend that line, or take it out"
        ) from None


def _checked(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    """The columns of a Parquet file and their types."""
    try:
        rows = con.execute(f"DESCRIBE FROM read_parquet({quoted(glob.escape(str(path)))})").fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error:
        raise ConfigurationError(f"{path}: cannot be read as Parquet: write it anew") from None
    kinds = {str(row[0]): str(row[1]) for row in rows}
    for name in _REQUIRED:
        if name not in kinds:
            raise ConfigurationError(
                f"{path}: has no column {name!r}: give it the columns of events, as 'bearerwatch events export' does"
            )
    for name, kind in COLUMNS.items():
        if name in kinds and not _fits(kinds[name], kind):
            raise ConfigurationError(f"{path}: column {name!r} is {kinds[name]} and must be {kind}: cast it")
    return kinds


def _fits(has: str, wanted: str) -> bool:
    match wanted:
        case "TIMESTAMP":
            return has.startswith("TIMESTAMP")
        case "BIGINT":
            return _WHOLE.fullmatch(has) is not None
        case "DOUBLE":
            return has in ("DOUBLE", "FLOAT") or has.startswith("DECIMAL") or _WHOLE.fullmatch(has) is not None
        case "VARCHAR":
            return has in ("VARCHAR", "UUID") or has.startswith("ENUM")
    return has == wanted


def _read(name: str, kinds: set[str]) -> str:
    if COLUMNS[name] == "TIMESTAMP" and any(kind == "TIMESTAMP WITH TIME ZONE" for kind in kinds):
        return f"timezone('UTC', \"{name}\"::TIMESTAMPTZ)"
    return f'"{name}"'
