"""The interpreter and the libraries of the server extra."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from bearerwatch.doctor.model import Report, Site, finding

__all__ = ["NAME", "ORDER", "look"]

NAME = "installation"
ORDER = 10
_SERVER_LIBRARIES = {
    "alembic": "alembic",
    "apprise": "apprise",
    "duckdb": "duckdb",
    "httpx2": "httpx2",
    "maxminddb": "maxminddb",
    "sigma": "pysigma",
    "sqlalchemy": "sqlalchemy",
    "standardwebhooks": "standardwebhooks",
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "yaml": "PyYAML",
}


def look(_site: Site, report: Report) -> str:
    """Look, report what is wrong, and say what was looked at."""
    version = ".".join(map(str, sys.version_info[:3]))
    missing = sorted(package for module, package in _SERVER_LIBRARIES.items() if find_spec(module) is None)
    if missing:
        report(
            finding(
                "E010",
                f"Libraries the collector needs are not installed: {', '.join(missing)}.",
                "pip install 'bearerwatch[server]'",
            )
        )
    return f"Python {version}" + ("" if missing else ", all libraries of the server extra")
