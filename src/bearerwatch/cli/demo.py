"""``bearerwatch demo``: the whole product on one screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bearerwatch.cli._options import Json

__all__ = ["app", "demo"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="Example: bearerwatch demo --out ./demo-out --keep")
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the samples and the collector running.")] = False,
    as_json: Json = False,
    seed: Annotated[int | None, typer.Option("--seed", help="Same traffic every time.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where logs and results are kept.", show_default=False)
    ] = None,
) -> None:
    """Attack three sample APIs and watch the alerts arrive; then follow one request from nginx to a Celery worker.

    Exits 0 only if every request has its one event, every attack was alerted, no benign request was, the request
    that was followed is one thread with one fingerprint, and no token is found anywhere afterwards. With --json: one
    document with those results.
    """
    from bearerwatch.demo import run  # noqa: PLC0415 - loads the collector

    raise typer.Exit(run(keep=keep, as_json=as_json, seed=seed, out=out))
