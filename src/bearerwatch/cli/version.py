"""``bearerwatch version``: what is installed here."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer

from bearerwatch._version import __version__
from bearerwatch.cli._options import Json
from bearerwatch.cli._output import document

__all__ = ["app", "show"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_LIBRARIES = ("apprise", "django", "duckdb", "flask", "httpx2", "msgspec", "pysigma", "sqlalchemy", "starlette")


@app.command(epilog="Example: bearerwatch version --json")
def show(as_json: Json = False) -> None:
    """Say which version this is, and of its libraries.

    With --json: one document {"bearerwatch", "python", "libraries": {name: version or null}}.
    """
    found: dict[str, str | None] = {name: _installed(name) for name in _LIBRARIES}
    if as_json:
        facts: dict[str, Any] = {
            "bearerwatch": __version__,
            "python": platform.python_version(),
            "libraries": found,
        }
        document(facts)
        return
    typer.echo(f"bearerwatch {__version__}, Python {platform.python_version()}")
    for name, number in found.items():
        typer.echo(f"  {name:<12}{number or 'not installed'}")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
