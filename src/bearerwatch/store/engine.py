"""DuckDB, configured once: in memory, bounded, offline, UTC; and the columns of an event.

DuckDB 2.0 keeps a connection busy after ``fetchone()``: always ``fetchall()``.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import types
import typing
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from bearerwatch.event import AuthEvent
from bearerwatch.store.folders import private_folder

__all__ = ["COLUMNS", "DEFAULTS", "FORMAT", "clean", "connect", "empty", "quoted"]

FORMAT = 1
"""Number of the set of columns below, kept with each segment: raised when a column is added."""

# Every integer is a BIGINT: Parquet packs small ones anyway, and no client can break a batch by a large one.
_SQL_TYPES: dict[Any, str] = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", datetime: "TIMESTAMP"}


def _sql_type(annotation: Any) -> str:
    inner = [a for a in typing.get_args(annotation) if a is not types.NoneType] or [annotation]
    return _SQL_TYPES.get(inner[0], "VARCHAR")


COLUMNS: dict[str, str] = {
    "schema_version": "BIGINT",
    **{field.encode_name: _sql_type(field.type) for field in msgspec.structs.fields(AuthEvent)},
    "received_at": "TIMESTAMP",
    "source": "VARCHAR",
}
"""Name to DuckDB type of every column of an event, in order. Times are naive UTC with microseconds."""

DEFAULTS: dict[str, str] = {"verified": "false", "count": "1"}
"""SQL literals for fields that are left out on the wire when they have their default; others are NULL then."""


def quoted(text: str | Path) -> str:
    """*text* as an SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def empty() -> str:
    """A table expression with all columns of an event and no rows."""
    columns = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in COLUMNS.items())
    return f"(SELECT {columns} WHERE false)"


def connect(scratch: Path, *, memory_limit: str = "128MB", threads: int = 1) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB that stays within its bounds and never reaches for the network.

    Args:
        scratch: folder for what does not fit in memory; made if need be (0700).
        memory_limit: as DuckDB writes it, such as ``"128MB"``. Larger work spills to *scratch*.
        threads: worker threads; 1 means none beside the caller's.

    Returns:
        A connection; the caller closes it.

    Raises:
        ConfigurationError: *scratch* cannot be used.
    """
    # Each connection spills into a folder of its own, for DuckDB's names for these files are always the same.
    folder = private_folder(scratch) / f"duckdb-{os.getpid()}-{secrets.token_hex(4)}"
    con = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": memory_limit,
            "threads": threads,
            "temp_directory": str(folder),
            "max_temp_directory_size": "8GB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            # SQL that names an unknown table must fail, not pick up a Python variable of that name.
            "python_enable_replacements": False,
            # Segments are read a few times at most; their bytes are in the page cache already.
            "enable_external_file_cache": False,
        },
    )
    con.execute("SET TimeZone = 'UTC'")
    return con


def clean(scratch: Path) -> None:
    """Remove what processes that are gone have left in *scratch*."""
    for folder in scratch.glob("duckdb-*") if scratch.is_dir() else ():
        match = re.fullmatch(r"duckdb-([0-9]+)-[0-9a-f]{8}", folder.name)
        if match and not folder.is_symlink() and not _runs(int(match[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return True
