"""``bearerwatch redact``: a stream without its tokens."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, cast

import typer

from bearerwatch.cli._output import say
from bearerwatch.cli._pipe import piped
from bearerwatch.errors import ConfigurationError

__all__ = ["app", "redact"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Example: tail -f app.log | bearerwatch redact\n\nExample: bearerwatch redact --count < app.log > clean.log"
)
def redact(
    count: Annotated[bool, typer.Option("--count", help="Say on standard error how many there were.")] = False,
) -> None:
    """Pass standard input on to standard output without tokens.

    Each becomes its fingerprint. Lines go out as soon as they have come in; all else stays as it is, byte for byte.
    Exits 0 whether there were any or not.
    """
    from bearerwatch.leaks.filter import Filter  # noqa: PLC0415

    if sys.stdin is None or sys.stdout is None:
        raise ConfigurationError(
            "standard input or output is closed: this takes lines from one and writes to the other"
        )
    read: Callable[[Any], int] = cast("Any", sys.stdin.buffer).readinto1  # what is there, without waiting for more
    passing = Filter(_write)
    try:
        with piped():
            passing(read)
    finally:
        if count:
            say(f"{passing.found} redacted")


def _write(data: bytes) -> None:
    out = sys.stdout.buffer
    rest = memoryview(data)
    while rest:  # where Python was told not to buffer, a pipe may take less
        rest = rest[out.write(rest) :]
    out.flush()
