"""The sweep finds what was planted, in every kind of place, says where, and never shows a token."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import json
import lzma
import os
import secrets
import sqlite3
import subprocess
import sys
import tarfile
import time
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bearerwatch.testing import Sweep, plant, prove

TOKEN = secrets.token_urlsafe(48)


@pytest.fixture
def sweep() -> Sweep:
    return Sweep({"canary": TOKEN})


def places(sweep: Sweep, *where: Path | str) -> list[str]:
    report = sweep(where)
    assert report.unread == []
    return sorted({f.place for f in report.findings})


def test_each_planted_token_is_found_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("nothing to see\n" * 100)

    proof = prove({"canary": TOKEN}, [tmp_path / "app.log"], plants=tmp_path / "plants")

    assert proof.holds
    assert len(proof.planted) >= 15
    assert proof.to_dict()["tokens"] == 1


def test_a_leak_elsewhere_is_no_plant(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(f"token={TOKEN}\n")

    proof = prove({"canary": TOKEN}, [tmp_path], plants=tmp_path / "plants")

    assert not proof.holds
    assert proof.missed == []
    assert [str(f) for f in proof.leaks] == [f"{tmp_path}/app.log:6: {len(TOKEN)} characters of token 'canary' (clear)"]


def test_a_planted_token_in_another_place_is_a_leak(tmp_path: Path) -> None:
    planted = plant(tmp_path / "plants")
    report = Sweep({p.label: p.token for p in planted})([tmp_path])

    assert {f.label for f in report.findings} == {p.label for p in planted}
    assert all(str(p.place) in {f.place.split("!")[0].split("#")[0] for f in report.findings} for p in planted)


@pytest.mark.parametrize("kind", ["column.parquet", "table.sqlite", "log.gz", "log.zst", "log.zip", "log.tar"])
def test_proof_fails_when_a_kind_of_place_cannot_be_decoded(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("bearerwatch.testing.sweep")
    target, decoder = module, "members"
    if kind in {"column.parquet", "table.sqlite"}:
        target, decoder = module.Tables, "__call__"
    original = getattr(target, decoder)

    def blind(*args: Any) -> Any:
        return iter(()) if kind in {getattr(arg, "name", "") for arg in args} else original(*args)

    monkeypatch.setattr(target, decoder, blind)

    proof = prove({}, [], plants=tmp_path / "plants")

    assert not proof.holds
    assert [p.kind for p in proof.missed] == [kind]


def test_nothing_that_is_printed_holds_a_token(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(f"token={TOKEN}\n")

    proof = prove({"canary": TOKEN}, [tmp_path], plants=tmp_path / "plants")
    printed = "\n".join([repr(proof), str(proof.report), json.dumps(proof.to_dict()), repr(proof.planted)])
    secret = {"canary": TOKEN, **{p.label: p.token for p in proof.planted}}

    (tmp_path / "printed.txt").write_text(printed)
    assert Sweep(secret)([tmp_path / "printed.txt"]).clean


def test_compressed_files_and_archives_in_archives(sweep: Sweep, tmp_path: Path) -> None:
    line = f"Authorization: Bearer {TOKEN}\n".encode() * 20
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(line))
    (tmp_path / "b").write_bytes(bz2.compress(line))  # by content, not by name
    (tmp_path / "c").write_bytes(lzma.compress(line))
    with zipfile.ZipFile(tmp_path / "d.zip", "w", zipfile.ZIP_DEFLATED) as outer:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as inner:
            info = tarfile.TarInfo("x/y.log")
            info.size = len(line)
            inner.addfile(info, io.BytesIO(line))
        outer.writestr("inner.tgz", buffer.getvalue())

    assert [Path(p).name for p in places(sweep, tmp_path)] == [
        "a.log.gz!unpacked",
        "b!unpacked",
        "c!unpacked",
        "d.zip!inner.tgz!unpacked",
        "y.log",
    ]


def test_zstd(sweep: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "x.zst"
    with closing(duckdb.connect()) as con:
        con.execute(f"COPY (SELECT 'l' || i, ? FROM range(9) r(i)) TO '{path}' (FORMAT csv, COMPRESSION zstd)", [TOKEN])

    assert f"{path}!unpacked" in places(sweep, path)


def test_parquet_says_column_and_row(sweep: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    with closing(duckdb.connect()) as con:
        con.execute(
            """CREATE TABLE t AS SELECT i, CASE i WHEN 7 THEN $t ELSE 'm' || i END AS ua,
               {'a': [CASE i WHEN 8 THEN $t ELSE 'm' || i END]} AS nested,
               CASE i WHEN 9 THEN $t::BLOB || '\\xff'::BLOB ELSE 'm'::BLOB END AS b FROM range(3000) r(i)""",
            {"t": f"m4 {TOKEN}"},
        )
        con.execute(f"COPY t TO '{path}' (FORMAT parquet, COMPRESSION zstd)")

    found = places(sweep, path)

    assert {p.removeprefix(f"{path}#") for p in found} - {str(path)} == {"ua row 7", "nested row 8", "b row 9"}


def test_sqlite_tables_blobs_and_what_is_still_in_the_write_ahead_log(sweep: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as con:
        con.execute("PRAGMA journal_mode=WAL")
        con.execute('CREATE TABLE "odd ""name" (id INTEGER PRIMARY KEY, "a b" TEXT, c BLOB) WITHOUT ROWID')
        con.executemany('INSERT INTO "odd ""name" VALUES (?, ?, ?)', [(n, "x" * 300, b"") for n in range(100)])
        con.execute('UPDATE "odd ""name" SET "a b" = ? WHERE id = 3', (TOKEN,))
        con.execute('UPDATE "odd ""name" SET c = ? WHERE id = 4', (gzip.compress(TOKEN.encode() * 2),))
        con.commit()
        found = places(sweep, tmp_path)

    names = {p.removeprefix(f"{path}") for p in found}
    assert {'#odd "name.a b row 3', '#odd "name.c row 4', "-wal"} <= names


def test_a_database_by_url(sweep: Sweep, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as con:
        con.execute("CREATE TABLE t (a, b)")
        con.execute("INSERT INTO t VALUES (1, ?)", (f"x {TOKEN}",))
        con.commit()
    url = f"sqlite:///{tmp_path}/app.db"

    assert places(sweep, url) == [f"{url}#main.t.b row 0"]


def test_a_database_that_cannot_be_opened_is_unread_and_its_password_unsaid(sweep: Sweep) -> None:
    report = sweep(["postgresql+psycopg://me:hunter2hunter2@127.0.0.1:1/x"])

    assert not report.clean
    assert "hunter2" not in str(report)
    assert "me:***@127.0.0.1:1/x" in str(report)


def test_a_token_across_a_chunk_boundary_is_found_once(sweep: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "big.log"
    for shift in range(-len(TOKEN), 3, 13):
        path.write_bytes(b"." * ((4 << 20) + shift) + TOKEN.encode() + b"." * 5000)
        findings = sweep([path]).findings
        assert [(f.offset, f.form) for f in findings][:1] == [((4 << 20) + shift, "clear")]
        assert len(findings) == 1 or findings[0].length >= 12


def test_a_window_across_a_chunk_boundary_is_found(sweep: Sweep, tmp_path: Path) -> None:
    path = tmp_path / "big.log"
    for before in range(1, 12):
        path.write_bytes(b"." * ((4 << 20) - before) + TOKEN[10:22].encode() + b"." * 9000)
        assert [(f.offset, f.length) for f in sweep([path]).findings] == [((4 << 20) - before, 12)]


def test_a_place_that_is_missing_unreadable_or_broken_is_said_to_be_unread(sweep: Sweep, tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(secrets.token_bytes(5000))[:900])
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04" + b"x" * 100)
    (tmp_path / "cut.parquet").write_bytes(b"PAR1" + b"x" * 100)
    (tmp_path / "cut.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 200)
    (tmp_path / "cut.zst").write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 100)

    report = sweep([tmp_path, tmp_path / "missing"])

    assert not report.clean
    assert {Path(u.place).name for u in report.unread} == {
        "cut.gz", "cut.zip", "cut.parquet", "cut.db", "cut.zst", "missing",
    }  # fmt: skip


def test_an_unreadable_file_still_has_its_bytes_searched(sweep: Sweep, tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(b"PAR1" + TOKEN.encode())

    assert [f.offset for f in sweep([tmp_path]).findings] == [4]


def test_links_and_pipes_are_not_followed(sweep: Sweep, tmp_path: Path) -> None:
    outside = tmp_path / "outside.log"
    outside.write_text(TOKEN)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    os.mkfifo(inside / "pipe")

    assert places(sweep, inside) == []


def test_what_is_excluded_is_said(sweep: Sweep, tmp_path: Path) -> None:
    (tmp_path / "store.txt").write_text(TOKEN)

    report = sweep([tmp_path], exclude={tmp_path / "store.txt": "the credential store"})

    assert report.clean
    assert f"{tmp_path}/store.txt: the credential store" in report.excluded
    assert "JOSE header" in report.excluded[0]


def test_a_member_that_would_fill_the_disk_is_unread(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bearerwatch.testing.sweep._UNPACK_LIMIT", 1 << 20)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(2 << 20)))

    [unread] = sweep([tmp_path]).unread

    assert "more than 1048576 bytes" in unread.why


def test_ten_findings_of_a_token_are_enough_for_a_place(sweep: Sweep, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(f"{TOKEN}\n" * 1000)

    assert len(sweep([tmp_path]).findings) == 10


def test_a_hundred_megabytes_take_less_than_a_minute(tmp_path: Path) -> None:
    """A short slice, 20 MB with 300 tokens; the rate is what counts."""
    tokens = {str(n): secrets.token_urlsafe(160) for n in range(300)}
    line = json.dumps({"id": secrets.token_hex(16), "headers": json.dumps({"ua": "a%20b"})}) + "\n"
    (tmp_path / "a.log").write_text("".join(line for _ in range((20 << 20) // len(line))))
    sweep = Sweep(tokens)

    begun = time.process_time()
    assert sweep([tmp_path]).clean

    assert time.process_time() - begun < 12


def test_importing_it_loads_no_server_library() -> None:
    code = "import sys, bearerwatch.testing; print({'duckdb', 'sqlalchemy', 'rich', 'httpx2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_of_tokens_that_begin_alike_the_one_that_stands_there_is_named(tmp_path: Path) -> None:
    head = secrets.token_urlsafe(40)
    tokens = {str(n): head + secrets.token_urlsafe(20) for n in range(5)}
    (tmp_path / "app.log").write_text(f"x {tokens['3']} y")

    [finding] = Sweep(tokens)([tmp_path]).findings

    assert (finding.label, finding.length) == ("3", len(tokens["3"]))
