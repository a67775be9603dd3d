"""``bearerwatch fingerprint``: what a token is called in logs, events and alerts."""

from __future__ import annotations

import typer

from bearerwatch.cli._options import Json, StateFolder, state_folder
from bearerwatch.cli._output import document
from bearerwatch.cli._tokens import from_stdin, ring_of

__all__ = ["app", "show"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="Example: bearerwatch fingerprint < token.txt")
def show(state: StateFolder = None, as_json: Json = False) -> None:
    """Print the fingerprint of a token from standard input.

    The token is never an argument: command lines are visible to every user.

    With --json: one document {"token_id", "presented_id", "older"}.
    """
    ring = ring_of(state_folder(state))
    token = from_stdin()
    ids = ring.all_ids(token)
    if as_json:
        document({"token_id": ids[0], "presented_id": ring.presented_id(token), "older": ids[1:]})
        return
    typer.echo(ids[0])
