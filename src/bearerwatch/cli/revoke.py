"""``bearerwatch revoke``: withdraw tokens by their fingerprints, and see or undo that."""

from __future__ import annotations

import getpass
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl, urlsplit

import typer

from bearerwatch.cli._options import Database, Json, StateFolder, database_url, duration, state_folder
from bearerwatch.cli._output import document, row, say
from bearerwatch.errors import BearerwatchError, ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.verify.revocations import Ledger, Revocation

__all__ = ["app", "revoke"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_SOURCE_ENV = "BEARERWATCH_REVOCATIONS"
_PRINTED = re.compile(r"\[?(?:token )?(?P<key>k[0-9a-f]{8}):(?P<mac>[0-9a-f]{4,32})(?:…|\.\.\.)?\]?", re.ASCII)
_SHORT = re.compile(r"\bshort:[0-9]{1,4}\b", re.ASCII)
_TOO_SHORT = (
    "a credential shorter than 16 characters has no fingerprint of its own, and all of its length would be refused "
    "with it: withdraw it where it was issued"
)
_MAC = 32


@app.command(
    epilog="Example: bearerwatch revoke k1a2b3c4d:9f86d081884c7d659a2feaa0c55ad015 --reason 'laptop stolen'\n\n"
    "Example: bearerwatch revoke --token-from-stdin --to file:/etc/bearerwatch/revoked.jsonl < token.txt\n\n"
    "Example: bearerwatch revoke --list"
)
def revoke(
    token: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOKEN_ID", help="Fingerprints, as events, logs and alerts show them.", show_default=False
        ),
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the list.", show_default=False)] = "",
    until: Annotated[
        str | None,
        typer.Option(
            help="When to forget it: in 12h, 30d, or a moment after the token's expiry. Else it is kept.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the list is kept: file:/path, redis://host or django-cache:alias; with a password only as "
            f"[env: {_SOURCE_ENV}]. Else at the collector, see --state.",
            show_default=False,
        ),
    ] = None,
    state: StateFolder = None,
    database: Database = None,
    token_from_stdin: Annotated[
        bool, typer.Option("--token-from-stdin", help="Read a token itself, and keep nothing but its fingerprint.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show what is revoked.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was revoked.")] = False,
    as_json: Json = False,
) -> None:
    """Revoke tokens by fingerprint: services that read the list refuse them within two seconds.

    The token itself is not needed, and is never an argument: command lines are visible to every user. Revoking twice
    is revoking once; what is there is never shortened.

    With --json: one document {"changed", "token_ids", "list"}; of --list NDJSON, one revocation a line.
    """
    named = list(token or ())
    if list_ and (named or undo or token_from_stdin or until or reason):
        raise ConfigurationError("--list goes by itself: leave the rest out")
    if not list_ and not named and not token_from_stdin:
        raise ConfigurationError(
            "say which tokens: give fingerprints as events, logs and alerts show them, --token-from-stdin for a token "
            "itself, or --list to see what is revoked"
        )
    if undo and (until or reason):
        raise ConfigurationError("--undo takes neither --until nor --reason: leave them out")
    forget_at = None if until is None else _moment(until)
    ids = _ids(named, state, database)  # first of all: one that is a token is to be told of as that
    ledger, where = _ledger(to, state, database)
    if list_:
        _show(ledger.entries(), where, as_json=as_json)
        return
    _look_at_keys(ids, state)
    if token_from_stdin:
        ids = list(dict.fromkeys([*ids, *_from_stdin(state, undo=undo)]))
    if undo:
        changed = ledger.remove(ids)
    else:
        from bearerwatch.verify.revocations._entry import revoke as entry  # noqa: PLC0415 - not needed for --help

        now, who = time.time(), _who()
        changed = ledger.add([entry(one, at=now, until=forget_at, by=who, reason=reason) for one in ids])
    if as_json:
        document({"changed": changed, "token_ids": ids, "list": where})
        return
    for one in ids:
        typer.echo(one)
    same = len(ids) - changed
    done, was = ("taken back", "not revoked") if undo else ("revoked", "revoked before")
    say(f"{changed} {done} in {where}" + (f", {same} {was}" if same > 0 else ""))


def _moment(text: str) -> float:
    """*text* as a moment to come: a length of time from now, or ISO 8601 (UTC where it names no zone).

    Raises:
        ConfigurationError: it is neither, or lies in the past.
    """
    now = datetime.now(UTC)
    try:
        try:
            parsed = datetime.fromisoformat(text.strip())
            at = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed
        except ValueError:
            at = now + duration(text, "--until")
    except OverflowError:
        raise ConfigurationError("--until lies beyond all time: leave it out to keep the entry for good") from None
    if at <= now:
        raise ConfigurationError("--until lies in the past: nothing would be revoked. To take it back use --undo")
    return at.timestamp()


def _ledger(to: str | None, state: Path | None, database: str | None) -> tuple[Ledger, str]:
    """Where the list is kept, and what to call that."""
    from bearerwatch.verify.revocations import open_ledger  # noqa: PLC0415 - not needed for --help
    from bearerwatch.verify.revocations._source import where  # noqa: PLC0415

    if to is not None:
        if state is not None or database is not None:
            raise ConfigurationError("--to and --state or --database name two lists: leave one out")
        _no_password(to)
        url = f"file:{Path(to).expanduser().absolute()}" if to.startswith(("/", "./", "~/")) else to
        return open_ledger(url), where(url)
    url = os.environ.get(_SOURCE_ENV, "").strip()
    if url and state is None and database is None and not url.lower().startswith("collector"):
        return open_ledger(url), where(url)
    from bearerwatch.store.revocations import StateLedger  # noqa: PLC0415 - loads SQLAlchemy
    from bearerwatch.store.state import default_url  # noqa: PLC0415

    folder, kept = state_folder(state), database_url(database)
    if kept is None and not (folder / "state.db").exists():
        raise ConfigurationError(
            f"there is no collector state in {folder}: name its folder with --state, or another place for the list "
            f"with --to or {_SOURCE_ENV}"
        )
    return StateLedger(kept or default_url(folder)), "the collector's list"


def _no_password(url: str) -> None:
    try:
        parts = urlsplit(url)
        found = parts.password or any(name.lower() == "password" for name, _ in parse_qsl(parts.query))
    except ValueError:
        return  # whoever opens it says what is wrong
    if found:
        raise ConfigurationError(
            f"--to holds a password, and every user of this host can read command lines: set {_SOURCE_ENV} instead"
        )


def _ids(named: list[str], state: Path | None, database: str | None) -> list[str]:
    """Whole fingerprints of what was named, each once. What is only the beginning of one is looked up."""
    found: dict[str, None] = {}
    for text in named:
        if _SHORT.search(text):
            raise ConfigurationError(_TOO_SHORT)
        match = _PRINTED.fullmatch(text.strip())
        if match is None:
            raise ConfigurationError(
                "a fingerprint is <key id>:<hex digits>, such as k1a2b3c4d:9f86d081…, and one of these is none (it is "
                "not repeated here: it may be a token). To revoke a token itself, hand it over on standard input: "
                "bearerwatch revoke --token-from-stdin < FILE. A token that stood on a command line is in the shell's "
                "history and was visible to every user: revoke it"
            )
        one = f"{match['key']}:{match['mac']}"
        found[one if len(match["mac"]) == _MAC else _whole(one, state, database)] = None
    return list(found)


def _whole(beginning: str, state: Path | None, database: str | None) -> str:
    """The one fingerprint in the collector's events that begins so.

    Raises:
        ConfigurationError: there is none, or several.
    """
    from bearerwatch.store.reader import Reader  # noqa: PLC0415 - loads DuckDB

    try:
        with Reader(state_folder(state), database_url(database)) as reader:
            events = reader.events(token=beginning, limit=1)
    except LookupError as error:
        raise ConfigurationError(str(error)) from None
    except BearerwatchError:
        raise ConfigurationError(
            f"{beginning} is the beginning of a fingerprint, and there is no collector here to look the rest up: give "
            "all 32 digits, as events have them"
        ) from None
    names = ("token_id", "token_id_prev", "presented_id")
    for value in (event[name] for event in events for name in names):
        if value is not None and value.startswith(beginning):
            return str(value)
    raise ConfigurationError(f"no event has a token whose fingerprint begins with {beginning}: give all of it")


def _from_stdin(state: Path | None, *, undo: bool) -> list[str]:
    """The fingerprint of a token from standard input; to undo, under every key of the ring."""
    from bearerwatch.cli._tokens import from_stdin, ring_of  # noqa: PLC0415
    from bearerwatch.context import live  # noqa: PLC0415

    ring = ring_of(state_folder(state))
    token = from_stdin()
    live.add(token)  # whatever is written from here on, the reason among it, is redacted of it
    ids = ring.all_ids(token)
    if _SHORT.match(ids[0]):
        raise ConfigurationError(_TOO_SHORT)
    return [*ids, ring.presented_id(token)] if undo else ids[:1]


def _look_at_keys(ids: list[str], state: Path | None) -> None:
    """Say so if a fingerprint was made with a key that is not of the ring here: then services may not know it."""
    from bearerwatch.cli._tokens import ring_of  # noqa: PLC0415

    try:
        known = ring_of(state_folder(state)).key_ids
    except ConfigurationError:
        return  # this host has no ring, as one that only writes the list need not have
    for key in dict.fromkeys(one.partition(":")[0] for one in ids):
        if key not in known:
            say(
                f"warning: no key {key} is known here ({', '.join(known)} are): services refuse the token only if "
                "their key ring still has it"
            )


def _who() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # a container's made-up user id, say
        return f"uid {os.getuid()}"


def _show(entries: list[Revocation], where: str, *, as_json: bool) -> None:
    for entry in entries:
        at = datetime.fromtimestamp(entry.at, UTC)
        until = None if entry.until is None else datetime.fromtimestamp(entry.until, UTC)
        if as_json:
            row({"token_id": entry.token_id, "at": at, "until": until, "by": entry.by, "reason": entry.reason})
            continue
        from bearerwatch.alert.escape import printable  # noqa: PLC0415

        told = f"{entry.token_id}  {at:%Y-%m-%d %H:%M:%SZ}"
        told += "  for good" if until is None else f"  until {until:%Y-%m-%d %H:%M:%SZ}"
        told += f"  by {printable(entry.by)}" if entry.by else ""
        typer.echo(told + (f"  {printable(entry.reason)}" if entry.reason else ""))
    if not entries and not as_json:
        say(f"nothing is revoked in {where}")
