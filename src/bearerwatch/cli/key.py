"""``bearerwatch key``: make keys. They go to standard output alone, so that they can be piped into a secret store."""

from __future__ import annotations

import base64
import re
import secrets
from typing import Annotated

import typer

from bearerwatch.cli._options import Json
from bearerwatch.cli._output import document, say
from bearerwatch.errors import ConfigurationError

__all__ = ["app", "ingest", "new", "webhook"]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Make keys: for fingerprints, HTTP ingest and webhooks.",
    epilog="Example: bearerwatch key new >> /etc/bearerwatch/keys",
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@app.command(epilog="Example: bearerwatch key new >> /etc/bearerwatch/keys    (then BEARERWATCH_KEYS_FILE names it)")
def new(as_json: Json = False) -> None:
    """Print a new random key for the fingerprint key ring.

    Give every host the same ring: put the key first in BEARERWATCH_KEYS or the file BEARERWATCH_KEYS_FILE names,
    and keep the older ones behind it for as long as their fingerprints are looked for.

    With --json: one document {"key", "key_id"}.
    """
    from bearerwatch.fingerprint import KeyRing  # noqa: PLC0415

    key = secrets.token_urlsafe(32)
    name = KeyRing([key.encode()]).active_id
    if as_json:
        document({"key": key, "key_id": name})
        return
    typer.echo(key)
    say(f"key id {name}; put it first in BEARERWATCH_KEYS or BEARERWATCH_KEYS_FILE, on every host the same")


@app.command(epilog="Example: bearerwatch key ingest web-1 >> /etc/bearerwatch/ingest-keys")
def ingest(
    name: Annotated[str, typer.Argument(help="Names the sender: letters, digits, '.', '_' and '-'.")],
    as_json: Json = False,
) -> None:
    """Print a new ingest key for one sender, as NAME:SECRET.

    The collector takes it from BEARERWATCH_INGEST_KEYS (or its file); the sender presents SECRET as its bearer token.

    With --json: one document {"name", "secret", "entry"}.
    """
    if not _NAME.match(name):
        raise ConfigurationError(
            "an ingest key's name is 1 to 64 letters, digits, '.', '_' or '-' and begins with a letter or digit"
        )
    secret = secrets.token_urlsafe(32)
    if as_json:
        document({"name": name, "secret": secret, "entry": f"{name}:{secret}"})
        return
    typer.echo(f"{name}:{secret}")
    say("add it to BEARERWATCH_INGEST_KEYS of the collector; the sender presents what follows the colon")


@app.command(epilog="Example: bearerwatch key webhook > /etc/bearerwatch/webhook-secret")
def webhook(as_json: Json = False) -> None:
    """Print a new signing secret for a webhook channel.

    With --json: one document {"secret"}.
    """
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    if as_json:
        document({"secret": secret})
        return
    typer.echo(secret)
    say("set it as BEARERWATCH_WEBHOOK_SECRET here, and at the receiver, which verifies with it")
