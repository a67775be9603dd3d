"""What commands print. Data goes to standard output, the rest to standard error; stored values are hostile."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["console", "document", "lines", "row", "say", "show"]


def say(message: str) -> None:
    """A remark for whoever runs the command: one line on standard error."""
    typer.echo(message, err=True)


def document(value: Any) -> None:
    """*value* as one indented JSON document on standard output.

    ASCII alone, so that no character of a stored value can act on a terminal.
    """
    sys.stdout.write(json.dumps(value, ensure_ascii=True, indent=2, default=_json) + "\n")


def row(value: Any) -> None:
    """*value* as one line of NDJSON on standard output, ASCII alone."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=_json) + "\n")


def lines(values: Iterable[Any]) -> None:
    """*values* as NDJSON on standard output."""
    for value in values:
        row(value)


def console(*, stderr: bool = False) -> Console:
    """A console that wraps nothing and interprets nothing."""
    from rich.console import Console  # noqa: PLC0415 - not needed for --json

    return Console(stderr=stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)


def show(text: Text | str) -> None:
    """One line on standard output."""
    console().print(text)


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return aware.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")
