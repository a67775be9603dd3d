"""``bearerwatch events``: what happened, event by event."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bearerwatch.cli._export import export
from bearerwatch.cli._find import find
from bearerwatch.cli._options import (
    Database,
    Json,
    OnlyCaller,
    OnlyOutcomes,
    OnlyRequest,
    OnlyService,
    OnlyToken,
    StateFolder,
    Until,
    caller,
    database_url,
    outcomes,
    span,
    state_folder,
)
from bearerwatch.cli._output import console, lines, say
from bearerwatch.cli._tokens import token_ids
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.store.reader import Reader

__all__ = ["app", "events"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.command(
    "export",
    epilog="Example: bearerwatch events export --format ocsf --since 1d --out events.ndjson.zst\n\n"
    "Example: bearerwatch events export --to https://otel.example.org/v1/logs --checkpoint otel.checkpoint",
)(export)

_LATE = timedelta(minutes=2)
_POLL = 1.0


@app.callback(
    invoke_without_command=True,
    epilog="Example: bearerwatch events --since 15m --outcome invalid --ip 203.0.113.7\n\n"
    "Example: bearerwatch events --follow --json | jq .outcome",
)
def events(
    context: typer.Context,
    *,
    since: Annotated[str, typer.Option(help="From when: 15m, 2h, 7d ago, or 2026-01-31T12:00:00Z.")] = "1h",
    until: Until = None,
    outcome: OnlyOutcomes = None,
    token: OnlyToken = None,
    ip: OnlyCaller = None,
    request_id: OnlyRequest = None,
    service: OnlyService = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many, the newest.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new ones arrive.")] = False,
    state: StateFolder = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Show events, oldest first.

    With --json: NDJSON, one event a line with all its fields.
    """
    if context.invoked_subcommand is not None:
        sources = map(context.get_parameter_source, context.params)
        if any(source is not None and source.name == "COMMANDLINE" for source in sources):
            raise ConfigurationError("options of 'events export' stand behind the word export")
        return
    from bearerwatch.store.reader import Reader  # noqa: PLC0415 - loads DuckDB

    now = datetime.now(UTC)
    only = outcomes(outcome)
    folder = state_folder(state)
    filters: dict[str, Any] = {
        "outcome": only,
        "client_ip": caller(ip),
        "request_id": request_id,
        "service": service,
    }
    start, end = span(since, until, now)
    tokens = [] if token is None else token_ids(token, folder)
    with Reader(folder, database_url(database)) as reader:
        found = find(reader, tokens, since=start, until=end, limit=limit, **filters)
        _print(found, as_json=as_json)
        if len(found) == limit:
            say(f"only the newest {limit} are shown: --limit gives more, --since fewer")
        elif not found and not follow:
            say("no event fits; 'bearerwatch doctor' says whether any arrive")
        if follow:
            _follow(reader, tokens, found, start or now, filters, as_json=as_json)


def _follow(
    reader: Reader,
    tokens: list[str],
    shown: list[dict[str, Any]],
    start: datetime,
    filters: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    from bearerwatch.store.state import StateBusy  # noqa: PLC0415

    seen = {event["event_id"]: event["ts"] for event in shown}
    start = max(start, datetime.now(UTC) - _LATE)
    held_up = False
    while True:
        time.sleep(_POLL)
        try:
            found = find(reader, tokens, since=start, limit=None, **filters)
        except StateBusy as busy:
            if not held_up:
                say(f"{busy}; still following")
            held_up = True
            continue
        held_up = False
        fresh = [event for event in found if event["event_id"] not in seen]
        _print(fresh, as_json=as_json)
        seen.update((event["event_id"], event["ts"]) for event in fresh)
        # Late events still come: what was shown is remembered for as long as it may be found again.
        start = max(start, datetime.now(UTC) - _LATE)
        seen = {event_id: moment for event_id, moment in seen.items() if moment >= start}


def _print(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        lines(found)
    else:
        from bearerwatch.alert.lines import event_line  # noqa: PLC0415 - not needed for --json

        screen = console()
        for event in found:
            screen.print(event_line(event))
    if found:
        sys.stdout.flush()
