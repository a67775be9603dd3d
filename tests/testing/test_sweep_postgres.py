"""The sweep reads a real PostgreSQL: every schema, text, JSON and bytes."""

from __future__ import annotations

import gzip
import secrets

import sqlalchemy as sa

from bearerwatch.testing import Sweep

TOKEN = secrets.token_urlsafe(48)


def test_every_table_of_every_schema_is_read(postgres_database: str) -> None:
    engine = sa.create_engine(postgres_database)
    with engine.begin() as con:
        con.execute(sa.text('CREATE SCHEMA "Odd name"'))
        con.execute(sa.text('CREATE TABLE "Odd name"."t 1" (id int, note text, doc jsonb, raw bytea)'))
        con.execute(sa.text("CREATE TABLE plain (id int, note text)"))
        rows = [
            {"id": 1, "note": TOKEN, "doc": None, "raw": None},
            {"id": 2, "note": None, "doc": f'{{"a": ["{TOKEN}"]}}', "raw": None},
            {"id": 3, "note": None, "doc": None, "raw": gzip.compress(TOKEN.encode() * 2)},
        ]
        con.execute(sa.text('INSERT INTO "Odd name"."t 1" VALUES (:id, :note, :doc, :raw)'), rows)
        con.execute(sa.text("INSERT INTO plain SELECT i, 'note ' || i FROM generate_series(1, 5000) i"))
    engine.dispose()

    report = Sweep({"canary": TOKEN})([postgres_database])

    assert report.unread == []
    assert {f.place.partition("#")[2] for f in report.findings} == {
        "Odd name.t 1.note row 0",
        "Odd name.t 1.doc row 1",
        "Odd name.t 1.raw row 2",
    }
    assert report.searched > 5000 * 5


def test_a_missing_database_is_unread(postgres_database: str) -> None:
    [unread] = Sweep({"canary": TOKEN})([postgres_database.replace("/d_", "/nowhere_")]).unread

    assert "cannot be read" in unread.why
