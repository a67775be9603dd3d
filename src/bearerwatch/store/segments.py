"""Segment files: how one is written so that it is either whole and on the disk or not there, and how it is read."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb

from bearerwatch.errors import ConfigurationError
from bearerwatch.store.engine import empty, quoted
from bearerwatch.store.folders import fsync, private_folder
from bearerwatch.store.integrity import digests
from bearerwatch.store.manifest import Segment
from bearerwatch.store.state import StateBusy

__all__ = [
    "NAME",
    "ROW_GROUP_BYTES",
    "TEMPORARY",
    "expression",
    "partition",
    "stored",
    "stored_files",
    "trouble",
    "write",
]

NAME = re.compile(r"[0-9a-f]{16}\.parquet")
"""File names of segments."""
TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.parquet\.tmp")
"""File names of segments being written."""

# Sorted by token, equal and similar values lie together: smaller files, and one token's rows in few row groups.
_ORDER = "token_id, ts"
# v2 pages delta-encode numbers and string lengths: 7 % smaller than v1 with the same codec.
# No Bloom filters: 3 bytes an event, and nothing we ask looks for a value in one column alone.
_ROW_GROUP = 30_720
_OPTIONS = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, WRITE_BLOOM_FILTER false"
_HASTY, _THOROUGH = 1, 3
_REPETITIONS = 4
ROW_GROUP_BYTES = 24 << 20
"""What a row group takes in memory at most, while it is written and whenever it is read."""
_GLOB = re.compile(r"([*?\[])")


# Random ids are most of a segment, for they do not compress. So an event's id is stored as 16 bytes, and an id that
# merely repeats another of the same event as "=": a request's own id is its event's, an opaque token is presented as
# it is. Together that is a quarter of the size. Ids that begin with "=" themselves get another one in front.
_REPEATS = {"request_id": "event_id", "presented_id": "token_id"}


def _replacing(event_id: str, case: str) -> str:
    cases = ", ".join(f"CASE {case} ELSE {{0}} END AS {{0}}".format(*pair) for pair in _REPEATS.items())
    return f"* REPLACE ({event_id} AS event_id, {cases})"


_STORED = _replacing("event_id::UUID", "WHEN {0} = {1} THEN '=' WHEN starts_with({0}, '=') THEN '=' || {0}")
_READ = _replacing("event_id::VARCHAR", "WHEN {0} = '=' THEN {1}::VARCHAR WHEN starts_with({0}, '=') THEN {0}[2:]")


def _literal(path: Path) -> str:
    # A state folder may well be called "[prod]": brackets keep DuckDB from taking it for a pattern.
    return quoted(_GLOB.sub(r"[\1]", str(path)))


def expression(lake: Path, segments: Iterable[Segment]) -> str:
    """An SQL table expression over the events in *segments*: all columns, in order, as they were appended."""
    listed = list(segments)
    return f"(SELECT {_READ} FROM {stored_files(lake, listed)})" if listed else empty()  # noqa: S608


def stored(relation: str) -> str:
    """The rows of a table expression over events in the form in which segments hold them."""
    return f"(SELECT {_STORED} FROM {relation})"  # noqa: S608


def stored_files(lake: Path, segments: Iterable[Segment]) -> str:
    """A table expression over what *segments* (at least one) hold, in that form."""
    paths = ", ".join(_literal(lake / segment.path) for segment in segments)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def partition(lake: Path, hour: datetime) -> Path:
    """The folder of the segments of one hour, made if need be.

    Raises:
        ConfigurationError: something else is in its place.
    """
    return private_folder(lake / "events" / f"date={hour.date()}" / f"hour={hour.hour:02}", below=lake)


def write(
    con: duckdb.DuckDBPyConnection,
    lake: Path,
    hour: datetime,
    relation: str,
    *,
    rows: int,
    span: tuple[datetime, datetime],
    now: datetime,
    ordered: bool = False,
    hasty: bool = False,
    row_group_bytes: int = ROW_GROUP_BYTES,
) -> Segment:
    """Write the rows of *relation* as one segment. The caller syncs the folder and publishes it.

    Args:
        con: where *relation* can be read.
        lake: the lake's folder.
        hour: start of the hour to file it under, aware UTC.
        relation: a table expression over rows in stored form, see :func:`stored`.
        rows: how many they are.
        span: the earliest and the latest ``ts`` in it, aware UTC.
        now: when it is created.
        ordered: whether to sort the rows; worth while for what is going to stay.
        hasty: whether to spend less time on compression; it is going to be merged.
        row_group_bytes: bound for the size of row groups in memory.

    Returns:
        The segment; its file is whole and on the disk.

    Raises:
        OSError: the disk is full or broken; nothing is left behind.
        duckdb.Error: *relation* cannot be read, or as above; nothing is left behind.
        RuntimeError: *relation* does not have so many rows; nothing is left behind.
    """
    folder = partition(lake, hour)
    name = secrets.token_hex(8)
    temporary, final = folder / f".{name}.parquet.tmp", folder / f"{name}.parquet"
    try:
        order = f" ORDER BY {_ORDER}" if ordered else ""
        # A dictionary for what repeats four times or more; DuckDB's own rule gives up sooner.
        dictionary = max(min(rows, _ROW_GROUP) // _REPETITIONS, 1)
        bounds = f"ROW_GROUP_SIZE {_ROW_GROUP}, ROW_GROUP_SIZE_BYTES {row_group_bytes}"
        level = _HASTY if hasty else _THOROUGH
        options = f"{_OPTIONS}, COMPRESSION_LEVEL {level}, {bounds}, DICTIONARY_SIZE_LIMIT {dictionary}"
        _copy(con, f"COPY (FROM {relation}{order}) TO {quoted(temporary)} ({options})", rows)
        fsync(temporary)
        sha256, footer = digests(temporary)
        segment = Segment(
            path=str(final.relative_to(lake)),
            date=str(hour.date()),
            hour=hour.hour,
            rows=rows,
            bytes=temporary.stat().st_size,
            sha256=sha256,
            footer=footer,
            min_ts=span[0],
            max_ts=span[1],
            created_at=now,
        )
        os.rename(temporary, final)  # noqa: PTH104 - rename(2), meant literally
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return segment


@contextmanager
def trouble(lake: Path) -> Iterator[None]:
    """Say what to do when the disk, its folders or their owner keep the lake from being changed.

    Raises:
        StateBusy: whatever it was; it may pass.
    """
    try:
        yield
    except (duckdb.IOException, OSError, ConfigurationError) as error:
        raise StateBusy(
            f"the lake {lake} cannot be written just now ({type(error).__name__}: {_reason(error)}): see that its disk "
            "has space and that this user owns its folders. Events wait until it can"
        ) from error


def _reason(error: Exception) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else str(error).partition("\n")[0][:200]


def _copy(con: duckdb.DuckDBPyConnection, sql: str, rows: int) -> None:
    ((written,),) = con.execute(sql).fetchall()
    if written != rows:
        raise RuntimeError(f"{written} rows were written of {rows}: nothing was published")
