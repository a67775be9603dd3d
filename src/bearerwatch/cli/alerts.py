"""``bearerwatch alerts``: what was noticed, what is going on now, and who was told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bearerwatch.cli._find import find_alert
from bearerwatch.cli._options import Database, Json, StateFolder, database_url, moment, state_folder
from bearerwatch.cli._output import console, document, row, say
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from bearerwatch.store.episodes import Episode
    from bearerwatch.store.state import State

__all__ = ["app", "list_", "show"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_KNOWN = "; 'bearerwatch rules list' names the rules"
_LEVELS = ("informational", "low", "medium", "high", "critical")


@app.callback(
    invoke_without_command=True,
    epilog="Example: bearerwatch alerts --open --level high\n\nExample: bearerwatch alerts show 9f86d081",
)
def list_(
    ctx: typer.Context,
    *,
    open_only: Annotated[bool, typer.Option("--open", help="Only those going on.")] = False,
    level: Annotated[str | None, typer.Option(help=f"At least this: {', '.join(_LEVELS)}.", show_default=False)] = None,
    rule: Annotated[
        list[str] | None, typer.Option(help="Only of this rule; may be repeated.", show_default=False)
    ] = None,
    since: Annotated[str, typer.Option(help="With a hit since: 15m, 2h, 7d ago, or a moment.")] = "7d",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 50,
    state: StateFolder = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List alerts, newest first.

    With --json: NDJSON, one alert a line; "closed_at" is null while it is open.
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = (state, database)
        return
    from bearerwatch.store import episodes  # noqa: PLC0415 - loads SQLAlchemy

    if level is not None and level not in _LEVELS:
        raise ConfigurationError(f"--level is one of {', '.join(_LEVELS)}")
    levels = _LEVELS[_LEVELS.index(level) :] if level else ()
    start = moment(since, "--since", datetime.now(UTC))
    store = _open(state, database)
    try:
        with store.read() as conn:
            found = episodes.list_(conn, since=start, rules=rule or (), levels=levels, open_only=open_only, limit=limit)
    finally:
        store.close()
    if as_json:
        for episode in found:
            row(_fields(episode))
        return
    from bearerwatch.alert.lines import alert_line  # noqa: PLC0415 - not needed for --json

    screen = console()
    for episode in found:
        screen.print(alert_line(episode))
    if not found:
        narrowed = open_only or level or rule
        say(("no alert fits" if narrowed else "no alert") + f" since {since}" + (_KNOWN if rule else ""))
    elif len(found) == limit:
        say(f"only the newest {limit} are shown: --limit gives more")


@app.command("show", epilog="Example: bearerwatch alerts show 9f86d081")
def show(
    ctx: typer.Context,
    alert: Annotated[str, typer.Argument(metavar="ID", help="The alert's id, or its beginning.")],
    state: StateFolder = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Show one alert: what was seen, and who was told when.

    With --json: one document, the alert with "notices".
    """
    outer: tuple[Path | None, str | None] = ctx.obj or (None, None)
    store = _open(state or outer[0], database or outer[1])
    try:
        with store.read() as conn:
            episode = find_alert(conn, alert)
            notices = _notices(conn, episode.id)
    finally:
        store.close()
    if as_json:
        document(_fields(episode) | {"notices": notices})
        return
    _print(episode, notices)


def _print(episode: Episode, notices: list[dict[str, Any]]) -> None:
    from bearerwatch.alert.escape import printable  # noqa: PLC0415
    from bearerwatch.alert.notice import Notice, stamp  # noqa: PLC0415

    advice = next((str(notice["advice"]) for notice in notices if notice["advice"]), "")
    told = Notice.of("opened" if episode.closed_at is None else "closed", episode, advice=advice)
    screen = console()
    screen.print(told.headline, style="bold")
    for label, values in told.facts():
        screen.print(f"  {label + ':':<14}{values[0]}")
        for value in values[1:]:
            screen.print(f"  {'':<14}{value}")
    if told.advice:
        screen.print(f"  {'What to do:':<14}{told.advice}")
    for notice in notices:
        if notice["delivered_at"] is not None:
            fate = f"delivered {stamp(notice['delivered_at'])}"
        elif notice["dead_at"] is not None:
            fate = f"given up {stamp(notice['dead_at'])}: {printable(notice['last_error'])}"
        else:
            fate = f"waiting, {notice['attempts']} tries failed"
            if notice["last_error"]:
                fate += f": {printable(notice['last_error'])}"
        screen.print(f"  {'Notice:':<14}{notice['transition']} to {printable(notice['channel'])}: {fate}")


def _open(state: Path | None, database: str | None) -> State:
    from bearerwatch.store.state import State, default_url  # noqa: PLC0415 - loads SQLAlchemy

    folder = state_folder(state)
    url = database_url(database)
    if url is None and not (folder / "state.db").exists():
        raise ConfigurationError(
            f"there is no collector state in {folder}: start one with 'bearerwatch serve', "
            "or name its folder with --state or BEARERWATCH_STATE"
        )
    store = State(url or default_url(folder))
    try:
        store.check()
    except BaseException:
        store.close()
        raise
    return store


def _notices(conn: Connection, episode_id: str) -> list[dict[str, Any]]:
    import sqlalchemy as sa  # noqa: PLC0415

    from bearerwatch.store.tables import outbox  # noqa: PLC0415

    query = sa.select(outbox).where(outbox.c.episode_id == episode_id).order_by(outbox.c.created_at, outbox.c.channel)
    kept = ("channel", "transition", "created_at", "attempts", "delivered_at", "dead_at", "last_error")
    return [
        {name: row[name] for name in kept} | {"advice": (row["payload"] or {}).get("advice", "")}
        for row in conn.execute(query).mappings()
    ]


def _fields(episode: Episode) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415

    return msgspec.structs.asdict(episode)
