"""Both state databases for real, and lakes on them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import duckdb
import pytest

from bearerwatch.store.engine import connect
from bearerwatch.store.state import State, default_url
from store.kept import Kept


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
