"""Tables, and the migrations that make them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import bearerwatch
from bearerwatch.store import offsets, tables
from bearerwatch.store.migrations import head
from bearerwatch.store.migrations.run import config
from bearerwatch.store.state import State


def test_migrations_make_the_tables_that_the_code_uses(state: State) -> None:
    with state.read() as conn:
        context = MigrationContext.configure(conn, opts={"compare_server_default": False})
        differences = compare_metadata(context, tables.metadata)

    assert [d for d in differences if not _same_type(d)] == []


def _same_type(difference: object) -> bool:
    """Our own types are plain ones in the database."""
    if not isinstance(difference, list):
        return False
    [(what, _, _, _, _, was, now)] = difference
    plain = {tables.Utc: sa.DateTime, tables.Json: sa.Text}
    return what == "modify_type" and isinstance(was, plain.get(type(now), type(None)))


def test_migrations_lead_back_and_forth(state: State) -> None:
    with state.begin() as tx:
        command.downgrade(config(tx), "base")
        assert set(sa.inspect(tx).get_table_names()) == {"alembic_version"}
    state.migrate()

    assert state.revision() == head()
    with state.begin() as tx:
        offsets.save(tx, {("spool:a", "s"): 7})


def test_a_newer_revision_follows_from_the_one_before(state: State) -> None:
    """Alembic itself finds one chain whose end is what ``head()`` reads off the file names."""
    with state.read() as conn:
        scripts = ScriptDirectory.from_config(config(conn))

    assert scripts.get_heads() == [head()]
    assert [s.revision for s in scripts.walk_revisions()][::-1] == sorted(s.revision for s in scripts.walk_revisions())


def test_migrations_run_from_an_installed_package(tmp_path: Path, url: str) -> None:
    """No ``alembic.ini``, no checkout: the package alone, in a folder of an awkward name."""
    installed = tmp_path / "site %(here)s packages"
    package = Path(bearerwatch.__file__).parent
    shutil.copytree(package, installed / "bearerwatch", ignore=shutil.ignore_patterns("__pycache__", "samples"))
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import bearerwatch.store.state as s; assert s.__file__.startswith(sys.argv[1])\n"
        "state = s.State(sys.argv[2]); state.migrate(); print(state.revision()); state.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", script, str(installed), url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == (f"{head()}\n", "")


class TestUtc:
    def test_an_instant_comes_back_as_the_same_instant(self, state: State) -> None:
        local = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        with state.begin() as tx:
            found = tx.execute(sa.select(sa.literal(local, tables.Utc))).scalar_one()

        assert found == local
        assert found.tzinfo is UTC

    def test_an_instant_without_a_zone_is_refused(self, state: State) -> None:
        with pytest.raises(sa.exc.StatementError, match="time zone"), state.read() as conn:
            conn.execute(sa.select(sa.literal(datetime(2026, 1, 2), tables.Utc)))  # noqa: DTZ001

    def test_order_in_the_database_is_order_in_time(self, state: State) -> None:
        early = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        with state.read() as conn:
            earlier = sa.literal(early, tables.Utc) < sa.literal(early + timedelta(microseconds=1), tables.Utc)
            assert bool(conn.execute(sa.select(earlier)).scalar_one())


def test_json_comes_back_as_it_went_in(state: State) -> None:
    value = {"a": [1, 2.5, None, True, "ä\u2028\U0001f600"], "b": {}}
    with state.begin() as tx:
        found = tx.execute(sa.select(sa.literal(value, tables.Json))).scalar_one()

    assert found == value
