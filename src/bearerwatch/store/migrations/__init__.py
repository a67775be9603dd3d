"""Alembic migrations of the state database, inside the package.

A new migration is one file in ``versions/``, named ``<revision>_<what>.py``, with revisions in sorting order.
"""

from __future__ import annotations

from bearerwatch._units import names

__all__ = ["head"]


def head() -> str:
    """The newest revision there is, found without loading Alembic."""
    return names("bearerwatch.store.migrations.versions")[-1].split("_")[0]
