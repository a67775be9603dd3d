"""The state database: transactions, locks, and what is said when it cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from bearerwatch.errors import ConfigurationError
from bearerwatch.store import offsets
from bearerwatch.store import state as state_module
from bearerwatch.store.migrations import head
from bearerwatch.store.state import State, StateBusy, default_url


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process's transaction on the SQLite database."""
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


class TestTransactions:
    def test_a_block_is_committed(self, state: State) -> None:
        with state.begin() as tx:
            offsets.save(tx, {("spool:a", "s"): 7})

        with state.read() as conn:
            assert offsets.load(conn) == {("spool:a", "s"): 7}

    def test_a_block_that_raises_changes_nothing(self, state: State) -> None:
        with pytest.raises(ZeroDivisionError), state.begin() as tx:  # noqa: PT012
            offsets.save(tx, {("spool:a", "s"): 7})
            _ = 1 / 0

        with state.read() as conn:
            assert offsets.load(conn) == {}

    def test_readers_do_not_wait_for_the_writer_nor_see_its_work(self, state: State) -> None:
        with state.begin() as tx:
            offsets.save(tx, {("spool:a", "s"): 7})
            with state.read() as conn:
                assert offsets.load(conn) == {}

    def test_what_is_read_in_a_block_is_of_one_moment(self, state: State) -> None:
        with state.read() as conn:
            assert offsets.load(conn) == {}
            with state.begin() as tx:
                offsets.save(tx, {("spool:a", "s"): 7})
            assert offsets.load(conn) == {}

    def test_a_reader_cannot_write_in_postgresql(self, postgres_url: str, opened: Callable[[str], State]) -> None:
        state = opened(postgres_url)

        with pytest.raises(sa.exc.InternalError, match="read-only"), state.read() as conn:
            offsets.save(conn, {("spool:a", "s"): 7})
        with state.begin() as tx:  # the connection is as good as new
            offsets.save(tx, {("spool:a", "s"): 7})

    def test_there_is_one_writer_at_a_time(self, state: State) -> None:
        with state.begin() as tx:
            began = time.monotonic()
            with pytest.raises(StateBusy), state.begin():
                pytest.fail("began to write beside another writer")
            assert 0.5 < time.monotonic() - began < 5
            offsets.save(tx, {("spool:a", "s"): 7})
        with state.begin() as tx:
            assert offsets.load(tx) == {("spool:a", "s"): 7}

    def test_a_writer_that_vanished_gives_way(
        self, postgres_url: str, opened: Callable[[str], State], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(state_module, "_PATIENCE", state_module._PATIENCE.replace("60s", "100ms"))
        state = opened(postgres_url)
        with pytest.raises(StateBusy, match="does not answer"), state.begin() as tx:  # noqa: PT012
            time.sleep(0.3)
            with state.begin() as other:
                offsets.save(other, {("spool:a", "s"): 8})
            offsets.save(tx, {("spool:a", "s"): 7})
        with state.read() as conn:
            assert offsets.load(conn) == {("spool:a", "s"): 8}

    def test_databases_side_by_side_do_not_wait_for_each_other(
        self, postgres: str, postgres_url: str, opened: Callable[[str], State]
    ) -> None:
        """Two schemas of one PostgreSQL are two state databases."""
        with opened(postgres_url).begin(), closing(State(postgres)) as other, other.begin():
            pass

    def test_threads_have_connections_of_their_own(self, state: State) -> None:
        def work(name: str) -> None:
            for number in range(10):
                with state.begin() as tx:
                    offsets.save(tx, {(name, str(number)): number})

        threads = [threading.Thread(target=work, args=[f"spool:{n}"]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        with state.read() as conn:
            assert len(offsets.load(conn)) == 40

    def test_an_error_of_the_statement_is_no_business_of_ours(self, state: State) -> None:
        with pytest.raises(IntegrityError), state.begin() as tx:  # noqa: PT012
            for _ in range(2):
                tx.exec_driver_sql("INSERT INTO offsets (source, segment, \"offset\") VALUES ('a', 'b', 1)")

    def test_sqlite_commits_are_on_the_disk(self, sqlite: State) -> None:
        with sqlite.read() as conn:
            assert conn.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
            assert conn.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL


class TestBusy:
    def test_a_locked_sqlite_database(self, folder: Path, sqlite: State) -> None:
        with locked(folder):
            began = time.monotonic()
            with pytest.raises(StateBusy, match=r"another process holds its lock.*fuser"), sqlite.begin():
                pytest.fail("began a transaction on a locked database")
            assert time.monotonic() - began < 3
            with sqlite.read() as conn:
                assert offsets.load(conn) == {}

        with sqlite.begin() as tx:
            offsets.save(tx, {("spool:a", "s"): 7})

    def test_a_locked_row_in_postgresql(self, postgres_url: str, opened: Callable[[str], State]) -> None:
        state = opened(postgres_url)
        with closing(psycopg.connect(postgres_url)) as other:
            other.execute("LOCK TABLE offsets IN ACCESS EXCLUSIVE MODE")

            with pytest.raises(StateBusy, match="55P03"), state.begin() as tx:
                offsets.save(tx, {("spool:a", "s"): 7})

    def test_a_postgresql_that_went_away_and_came_back(self, postgres_url: str, opened: Callable[[str], State]) -> None:
        state = opened(postgres_url)
        with closing(psycopg.connect(postgres_url, autocommit=True)) as admin:  # noqa: SIM117
            with pytest.raises(StateBusy), state.begin() as tx:  # noqa: PT012
                me = tx.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
                admin.execute("SELECT pg_terminate_backend(%s)", [me])
                offsets.save(tx, {("spool:a", "s"): 7})

        with state.begin() as tx:
            offsets.save(tx, {("spool:a", "s"): 8})
        with state.read() as conn:
            assert offsets.load(conn) == {("spool:a", "s"): 8}

    def test_a_postgresql_that_is_not_there(self, tmp_path: Path) -> None:
        with (
            closing(State(f"postgresql://somebody:geheim@/db?host={tmp_path}")) as state,
            pytest.raises(StateBusy, match="does not answer") as caught,
            state.begin(),
        ):
            pytest.fail("began a transaction with nobody")
        assert "geheim" not in str(caught.value)

    def test_a_postgresql_that_is_no_longer_the_primary(
        self, postgres_url: str, opened: Callable[[str], State]
    ) -> None:
        """After a failover the open connections take no writes; the next try finds one that does."""
        opened(postgres_url)
        with closing(State(postgres_url)) as state:  # has one connection, which is used again and again
            with state.begin() as tx:
                tx.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")

            with pytest.raises(StateBusy, match="takes no writes"), state.begin() as tx:
                offsets.save(tx, {("spool:a", "s"): 7})
            with state.begin() as tx:
                offsets.save(tx, {("spool:a", "s"): 8})
            with state.read() as conn:
                assert offsets.load(conn) == {("spool:a", "s"): 8}

    def test_a_postgresql_whose_disk_fails(self, postgres_url: str, opened: Callable[[str], State]) -> None:
        state = opened(postgres_url)
        for transaction in (state.begin, state.read):
            with pytest.raises(StateBusy, match="error of its disk.*58030"), transaction() as conn:
                conn.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '58030'; END $$")

    def test_a_postgresql_that_vanishes_is_noticed_soon(self, postgres_url: str) -> None:
        """The system is told to give a silent connection up, unless the URL says otherwise."""

        def parameters(url: str) -> dict[str, str]:
            with closing(State(url)) as state, state.read() as conn:
                return conn.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]

        found = parameters(postgres_url)
        silence = int(found["keepalives_idle"]) + int(found["keepalives_interval"]) * int(found["keepalives_count"])
        assert found["keepalives"] == "1"
        assert silence <= 20
        assert found["tcp_user_timeout"] == "15000"
        chosen = parameters(postgres_url + "&keepalives_idle=99&connect_timeout=3&application_name=mine")
        assert (chosen["keepalives_idle"], chosen["connect_timeout"]) == ("99", "3")
        assert (chosen["application_name"], chosen["tcp_user_timeout"]) == ("mine", "15000")

    def test_a_read_only_database(self, folder: Path, sqlite: State) -> None:
        with sqlite.begin() as tx:
            tx.exec_driver_sql("PRAGMA query_only = ON")

        with pytest.raises(StateBusy, match="read-only"), sqlite.begin() as tx:
            offsets.save(tx, {("spool:a", "s"): 7})

    def test_a_full_disk(self, sqlite: State) -> None:
        with sqlite.begin() as tx:
            pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
            tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(StateBusy, match="disk is full"), sqlite.begin() as tx:
            offsets.save(tx, {("spool:a", str(n)): 7 for n in range(10_000)})

    def test_a_folder_that_vanished(self, tmp_path: Path, opened: Callable[[str], State]) -> None:
        state = State(default_url(tmp_path / "s"))
        shutil.rmtree(tmp_path / "s")

        with closing(state), pytest.raises(StateBusy, match="folder exists"), state.begin():
            pytest.fail("began a transaction in no folder")


class TestMigrate:
    def test_does_nothing_the_second_time(self, state: State) -> None:
        with state.begin() as tx:
            offsets.save(tx, {("spool:a", "s"): 7})
        before = state.revision()

        state.migrate()

        assert state.revision() == before
        with state.read() as conn:
            assert offsets.load(conn) == {("spool:a", "s"): 7}

    def test_of_two_at_once_one_waits(self, url: str) -> None:
        states = [State(url) for _ in range(3)]
        threads = [threading.Thread(target=state.migrate) for state in states]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {state.revision() for state in states} == {head()}
        for state in states:
            state.close()

    def test_many_open_a_new_database_at_once(self, folder: Path) -> None:
        # SQLite does not wait where several turn a new file to WAL: without asking again, most rounds fail.
        for number in range(10):
            states = [State(default_url(folder / str(number))) for _ in range(8)]
            with ThreadPoolExecutor(len(states)) as pool:
                assert list(pool.map(State.revision, states)) == [None] * len(states)
            for state in states:
                state.close()

    def test_an_empty_database_does_not_pass_the_check(self, url: str) -> None:
        with closing(State(url)) as state:
            assert state.revision() is None
            with pytest.raises(ConfigurationError, match="bearerwatch serve"):
                state.check()
            state.migrate()
            state.check()

    def test_a_database_of_the_future_is_left_alone(self, state: State) -> None:
        with state.begin() as tx:
            tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

        for use in (state.migrate, state.check):
            with pytest.raises(ConfigurationError, match="newer bearerwatch"):
                use()

    def test_a_locked_database_is_busy(self, folder: Path) -> None:
        with closing(State(default_url(folder))) as state:
            assert state.revision() is None
            with locked(folder), pytest.raises(StateBusy):
                state.migrate()
            state.migrate()


class TestFiles:
    def test_nobody_else_may_read_them(self, folder: Path, sqlite: State) -> None:
        with sqlite.begin() as tx:
            offsets.save(tx, {("spool:a", "s"): 7})

        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()}
        assert modes == dict.fromkeys(["state.db", "state.db-wal", "state.db-shm"], 0o600)

    def test_a_loose_file_is_tightened(self, folder: Path) -> None:
        folder.mkdir(mode=0o755)
        (folder / "state.db").touch(0o644)

        State(default_url(folder)).close()

        assert stat.S_IMODE((folder / "state.db").stat().st_mode) == 0o600

    def test_a_folder_that_was_there_before_is_left_as_it_is(self, tmp_path: Path) -> None:
        """``sqlite:////tmp/state.db`` must not close /tmp to everybody."""
        tmp_path.chmod(0o1777)

        State(default_url(tmp_path)).close()

        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777

    def test_a_link_is_not_followed(self, folder: Path, tmp_path: Path) -> None:
        folder.mkdir()
        (folder / "state.db").symlink_to(tmp_path / "elsewhere")

        with pytest.raises(ConfigurationError, match="ordinary file"):
            State(default_url(folder))
        assert not (tmp_path / "elsewhere").exists()

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_a_pipe_is_no_database(self, folder: Path) -> None:
        folder.mkdir()
        os.mkfifo(folder / "state.db")

        with pytest.raises(ConfigurationError, match="ordinary file"):
            State(default_url(folder))

    def test_a_relative_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with closing(State(default_url(Path("here")))) as state, closing(State("sqlite:///there/state.db")) as other:
            monkeypatch.chdir("/")
            state.migrate()
            other.migrate()

        assert (tmp_path / "here" / "state.db").stat().st_size
        assert (tmp_path / "there" / "state.db").stat().st_size


class TestUrl:
    @pytest.mark.parametrize(
        "given", ["mysql://u:geheim@h/d", "sqlite://", "sqlite:///:memory:", "nonsense geheim", ""]
    )
    def test_of_no_use(self, given: str) -> None:
        with pytest.raises(ConfigurationError, match=r"sqlite:////path/state\.db or postgresql://") as caught:
            State(given)
        assert "geheim" not in str(caught.value)
        assert caught.value.__context__ is None or caught.value.__suppress_context__

    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
    def test_every_way_to_write_postgresql(self, scheme: str, postgres_url: str) -> None:
        with closing(State(postgres_url.replace("postgresql", scheme, 1))) as state:
            state.migrate()
            assert state.dialect == "postgresql"

    def test_the_password_is_not_shown(self) -> None:
        with closing(State("postgresql://u:geheim@h/d")) as state:
            assert "geheim" not in repr(state)

    def test_statements_in_errors_show_no_values(self, state: State) -> None:
        with pytest.raises((OperationalError, sa.exc.ProgrammingError)) as caught, state.begin() as tx:
            tx.execute(sa.text("INSERT INTO nowhere VALUES (:v)"), {"v": "geheim"})
        assert "geheim" not in str(caught.value)
