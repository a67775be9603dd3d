"""Running migrations from the package: ``upgrade(connection)`` needs no ``alembic.ini`` and no shell."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

__all__ = ["config", "upgrade"]

_LOCK = 0x62656172  # "bear": any number, as long as every bearerwatch takes the same


def config(connection: Connection) -> Config:
    """Alembic's configuration for the open *connection*, with the migrations inside this package."""
    settings = Config()
    settings.set_main_option("script_location", "bearerwatch.store:migrations")
    settings.set_main_option("path_separator", "os")
    settings.attributes["connection"] = connection
    return settings


def upgrade(connection: Connection) -> None:
    """Bring the tables behind *connection* to the newest revision, within its transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    command.upgrade(config(connection), "head")
