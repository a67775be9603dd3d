"""What a plain search of a file cannot see: archive members, Parquet columns, the rows of databases."""

from __future__ import annotations

import bz2
import gzip
import importlib
import json
import lzma
import shutil
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from bearerwatch.leaks.packed import DAMAGE, zstd

__all__ = ["Member", "Rows", "Tables", "database", "members"]

_SPREADABLE = 4 << 20
"""Bytes of row text gathered before they are searched."""

_VALUE_LIMIT = 64 << 20
"""Bytes one compressed database value may unpack to."""

_BROKEN: tuple[type[Exception], ...] = (OSError, RuntimeError, zipfile.BadZipFile, tarfile.TarError, *DAMAGE)
"""What reading raises where an archive is cut off or damaged."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file found inside another, written out to *path* to be searched like any other."""

    name: str
    path: Path


@dataclass(slots=True)
class Rows:
    """Row values as one text, and which value stands where in it."""

    text: bytes
    marks: list[tuple[int, str]]
    """(offset, name of the value that begins there), ascending."""


def members(path: Path, scratch: Path, limit: int) -> Iterator[Member]:
    """Unpack *path* one level, if it is an archive or compressed.

    Args:
        path: any file.
        scratch: an empty folder of the caller's; members are written there and removed once consumed.
        limit: bytes a member may unpack to.

    Raises:
        ValueError: it begins like an archive but cannot be read as one, or unpacks to more than *limit*.
    """
    with path.open("rb") as file:
        magic = file.read(512)
    opener = next((o for sign, o in _COMPRESSED.items() if magic.startswith(sign)), None)
    try:
        if opener is not None:
            with opener(path) as stream:
                yield from _written("unpacked", stream, scratch, limit)
        elif magic.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if not info.is_dir():
                        with archive.open(info) as stream:
                            yield from _written(info.filename, cast("BinaryIO", stream), scratch, limit)
        elif magic[257:262] == b"ustar":
            with tarfile.open(path, "r:") as archive:
                for entry in archive:
                    stream_ = archive.extractfile(entry) if entry.isreg() else None
                    if stream_ is not None:
                        with stream_:
                            yield from _written(entry.name, cast("BinaryIO", stream_), scratch, limit)
    except _BROKEN as error:
        raise ValueError(f"begins like an archive but cannot be unpacked ({type(error).__name__})") from error


class Tables:
    """Reads the values of Parquet files and SQLite databases. A context manager: DuckDB is opened once, if at all."""

    def __init__(self) -> None:
        self._con: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._con is not None:
            self._con.close()
            self._con = None

    def __call__(self, path: Path, scratch: Path) -> Iterator[Rows]:
        """The values of *path* if it is a Parquet file or an SQLite database.

        Raises:
            ValueError: it begins like one but cannot be read.
        """
        with path.open("rb") as file:
            magic = file.read(16)
        if magic.startswith(b"PAR1"):
            if self._con is None:
                self._con = _duckdb()
            yield from _parquet(path, self._con)
        elif magic == b"SQLite format 3\0":
            yield from _sqlite(path, scratch)


def database(url: str) -> Iterator[Rows]:
    """Every table of the database at an SQLAlchemy URL, all schemas but the system's.

    Raises:
        ValueError: it cannot be read; the message names no password.
    """
    import sqlalchemy as sa  # noqa: PLC0415 - only who names a database needs it

    try:
        engine = sa.create_engine(url)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise ValueError(f"is no database URL this can open ({type(error).__name__})") from error
    try:
        inspector = sa.inspect(engine)
        for schema in inspector.get_schema_names():
            if schema in {"information_schema", "pg_catalog"}:
                continue
            for table in inspector.get_table_names(schema):
                source = sa.table(table, schema=schema)
                with engine.connect().execution_options(stream_results=True, yield_per=1000) as con:
                    result = con.execute(sa.select(sa.text("*")).select_from(source))
                    yield from _spread(f"{schema}.{table}", list(result.keys()), result)
    except sa.exc.SQLAlchemyError as error:
        raise ValueError(f"cannot be read ({type(error).__name__})") from error
    finally:
        engine.dispose()


def _written(name: str, stream: BinaryIO, scratch: Path, limit: int) -> Iterator[Member]:
    path = scratch / "member"
    written = 0
    try:
        with path.open("wb") as out:
            while block := stream.read(1 << 20):
                written += len(block)
                if written > limit:
                    raise ValueError(f"member {name!r} unpacks to more than {limit} bytes")
                out.write(block)
        yield Member(name, path)
    finally:
        path.unlink(missing_ok=True)


def _zstd(path: Path) -> BinaryIO:
    """The server extra and Python 3.14 bring zstd, ``zstandard`` too; else DuckDB reads it, as 8-bit text."""
    module = zstd()
    if module is not None:
        return cast("BinaryIO", module.open(path, "rb"))
    with suppress(ImportError):
        return cast("BinaryIO", importlib.import_module("zstandard").open(path, "rb"))
    return _zstd_by_duckdb(path)


def _zstd_by_duckdb(path: Path) -> BinaryIO:
    import io  # noqa: PLC0415

    import duckdb  # noqa: PLC0415

    sql = """SELECT line FROM read_csv(?, compression='zstd', encoding='latin-1', header=false,
             auto_detect=false, delim='\x01', quote='', escape='', new_line='\\n', strict_mode=false,
             columns={'line': 'VARCHAR'}, null_padding=true, max_line_size=268435456,
             buffer_size=536870912, ignore_errors=false)"""
    try:
        with closing(_duckdb()) as con:
            lines = con.execute(sql, [str(path)]).fetchall()
    except duckdb.Error as error:
        raise ValueError(
            "is zstd-compressed and not plain text: install the package zstandard to have it read"
        ) from error
    return io.BytesIO(b"\n".join((line or "").encode("latin-1", "replace") for (line,) in lines))


_COMPRESSED: dict[bytes, Callable[[Path], BinaryIO]] = {
    b"\x1f\x8b": lambda path: cast("BinaryIO", gzip.GzipFile(path, "rb")),
    b"BZh": lambda path: cast("BinaryIO", bz2.BZ2File(path, "rb")),
    b"\xfd7zXZ\0": lambda path: cast("BinaryIO", lzma.LZMAFile(path, "rb")),  # noqa: SIM115 - closed by who calls
    b"\x28\xb5\x2f\xfd": _zstd,
}


def _duckdb() -> Any:
    import duckdb  # noqa: PLC0415 - part of the server extra; only who sweeps Parquet needs it

    return duckdb.connect(config={"autoinstall_known_extensions": "false", "memory_limit": "1GB", "threads": "1"})


def _parquet(path: Path, con: Any) -> Iterator[Rows]:
    """Each column's distinct values: a value that stands in a million rows is searched once."""
    import duckdb  # noqa: PLC0415

    # Bytes that are no text come as \\xFF, which the reading of escapes undoes.
    sql = """SELECT name || ' row ' || min(row), value FROM (
               UNPIVOT (SELECT CAST(COLUMNS(* EXCLUDE file_row_number) AS VARCHAR), file_row_number AS row
                        FROM read_parquet(?, file_row_number=true))
               ON COLUMNS(* EXCLUDE row) INTO NAME name VALUE value)
             GROUP BY name, value ORDER BY name, min(row)"""
    try:
        found = con.execute(sql, [str(path)]).fetchall()
    except duckdb.Error as error:
        raise ValueError(f"begins like Parquet but DuckDB cannot read it ({type(error).__name__})") from error
    yield from _gather((name, value.encode()) for name, value in found)


def _sqlite(path: Path, scratch: Path) -> Iterator[Rows]:
    try:
        yield from _sqlite_tables(path)
    except sqlite3.OperationalError:
        # Its folder may not be writable, or its owner holds it: read a copy, write-ahead log included.
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{suffix}", scratch / f"copy{suffix}")
        try:
            yield from _sqlite_tables(scratch / "copy")
        except sqlite3.DatabaseError as error:
            raise ValueError(f"begins like SQLite but cannot be read ({error})") from error
    except sqlite3.DatabaseError as error:
        raise ValueError(f"begins like SQLite but cannot be read ({error})") from error


def _sqlite_tables(path: Path) -> Iterator[Rows]:
    uri = path.resolve().as_uri() + "?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=5)) as con:
        con.text_factory = bytes
        names = con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            table = name.decode()
            quoted = table.replace('"', '""')
            cursor = con.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608 - quoted above
            columns = [column[0] for column in cursor.description]
            yield from _spread(table, columns, cursor)


def _spread(table: str, columns: Sequence[str], found: Iterable[Sequence[Any]]) -> Iterator[Rows]:
    def values() -> Iterator[tuple[str, bytes]]:
        for number, row in enumerate(found):
            for column, value in zip(columns, row, strict=True):
                if value is not None:
                    yield f"{table}.{column} row {number}", _as_bytes(value)

    yield from _gather(values())


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        if data.startswith(b"\x1f\x8b"):
            with suppress(zlib.error):  # a compressed value in a column
                return data + b"\n" + zlib.decompressobj(31).decompress(data, _VALUE_LIMIT)
        return data
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, dict | list):
        return json.dumps(value, default=str).encode()
    return str(value).encode()


def _gather(values: Iterable[tuple[str, bytes]]) -> Iterator[Rows]:
    pieces: list[bytes] = []
    marks: list[tuple[int, str]] = []
    length = 0
    for name, value in values:
        marks.append((length, name))
        pieces.append(value)
        length += len(value) + 1
        if length >= _SPREADABLE:
            yield Rows(b"\n".join(pieces), marks)
            pieces, marks, length = [], [], 0
    if pieces:
        yield Rows(b"\n".join(pieces), marks)
