"""Tokens planted on purpose, one per kind of place, so that a sweep can show that it would find them."""

from __future__ import annotations

import base64
import gzip
import io
import json
import secrets
import shutil
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bearerwatch.testing.needles import WINDOW

__all__ = ["Planted", "plant"]


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted token and where it stands."""

    kind: str
    """The kind of place."""
    place: Path
    """The file that holds it."""
    inside: bool
    """Whether it must be found by decoding that file: a column, a row, a member."""
    token: str = field(repr=False)

    @property
    def label(self) -> str:
        """What findings call it."""
        return f"planted: {self.kind}"


def plant(folder: Path) -> list[Planted]:
    """Write one fresh token into each kind of place under *folder*, which is emptied first.

    Returns:
        what stands where, in the order planted.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    planted = []
    for inside, kinds in ((False, _TEXTS), (True, _CONTAINERS)):
        for kind, write in kinds.items():
            token = _token()
            write(folder / kind, token)
            planted.append(Planted(kind, folder / kind, inside, token))
    return planted


def _token() -> str:
    """Shaped like a JWT, since those are what leaks; with a character that percent-encoding changes."""
    part = secrets.token_urlsafe
    return f"{part(18)}.{part(60)}.{part(32)}+/="


def _line(text: str) -> bytes:
    return f"2024-05-01 12:00:00 DEBUG shop: headers={{'Authorization': '{text}'}} path=/orders\n".encode()


def _write(encode: Callable[[str], bytes]) -> Callable[[Path, str], object]:
    return lambda place, token: place.write_bytes(b"first line\n" + encode(token) + b"last line\n")


def _base64(shift: int) -> Callable[[str], bytes]:
    return lambda token: base64.b64encode(b"x" * (30 + shift) + token.encode() + b" and more") + b"\n"


def _unicode_escaped(token: str) -> bytes:
    return b'{"note": "' + "".join(f"\\u{ord(c):04x}" for c in token).encode() + b'"}\n'


def _parquet(place: Path, token: str) -> None:
    import duckdb  # noqa: PLC0415 - part of the server extra

    with closing(duckdb.connect()) as con:
        con.execute("CREATE TABLE t AS SELECT i, 'path ' || i AS path, 'a note ' || i AS note FROM range(5000) r(i)")
        con.execute("UPDATE t SET note = ? WHERE i = 4321", [f"a note 4321 with {token}"])
        con.execute(f"COPY t TO '{str(place).replace(chr(39), chr(39) * 2)}' (FORMAT parquet, COMPRESSION zstd)")


def _sqlite(column: Callable[[str], object]) -> Callable[[Path, str], None]:
    def write(place: Path, token: str) -> None:
        with closing(sqlite3.connect(place)) as con:
            con.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, note)")
            con.executemany("INSERT INTO notes (note) VALUES (?)", [(f"note {n}",) for n in range(500)])
            con.execute("UPDATE notes SET note = ? WHERE id = 400", (column(token),))
            con.commit()

    return write


def _zip(place: Path, token: str) -> None:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logs/app.log", _line(token) * 50)


def _tar(place: Path, token: str) -> None:
    data = gzip.compress(_line(token) * 50)
    with tarfile.open(place, "w") as archive:
        info = tarfile.TarInfo("logs/app.log.gz")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))


def _zstd(place: Path, token: str) -> None:
    import duckdb  # noqa: PLC0415

    target = str(place).replace("'", "''")
    with closing(duckdb.connect()) as con:
        con.execute(
            f"COPY (SELECT 'line ' || i AS line, ? AS note FROM range(500) r(i)) "  # noqa: S608 - quoted above
            f"TO '{target}' (FORMAT csv, COMPRESSION zstd)",
            [token],
        )


_TEXTS: dict[str, Callable[[Path, str], object]] = {
    "log.txt": _write(_line),
    "twelve-characters.txt": _write(lambda token: _line(token[40 : 40 + WINDOW])),
    "json.jsonl": _write(lambda token: json.dumps({"headers": json.dumps({"a": f'"{token}"'})}).encode() + b"\n"),
    "json-escapes.json": _write(_unicode_escaped),
    "percent-encoded.log": _write(lambda token: _line(f"GET /x?access_token={quote(token, safe='')}")),
    "percent-encoded-whole.log": _write(lambda token: _line("".join(f"%{ord(c):02X}" for c in token))),
    "base64-0.txt": _write(_base64(0)),
    "base64-1.txt": _write(_base64(1)),
    "base64-2.txt": _write(_base64(2)),
    "base64-url.txt": _write(lambda token: base64.urlsafe_b64encode(b">>>???" + token.encode())),
    "coloured.log": _write(lambda token: _line("\x1b[1m" + token[:30] + "\x1b[0m" + token[30:])),
}
_CONTAINERS: dict[str, Callable[[Path, str], object]] = {
    "column.parquet": _parquet,
    "table.sqlite": _sqlite(lambda token: token),
    "blob.sqlite": _sqlite(lambda token: gzip.compress(token.encode() * 3)),
    "log.gz": lambda place, token: place.write_bytes(gzip.compress(_line(token) * 50)),
    "log.zst": _zstd,
    "log.zip": _zip,
    "log.tar": _tar,
}
