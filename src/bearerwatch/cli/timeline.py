"""``bearerwatch timeline``: the story of one token, one address or one request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bearerwatch.cli._find import find
from bearerwatch.cli._joined import joined
from bearerwatch.cli._options import Database, Json, StateFolder, Until, caller, database_url, moment, state_folder
from bearerwatch.cli._output import console, row, say
from bearerwatch.cli._tokens import token_ids
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.store.episodes import Episode
    from bearerwatch.store.reader import Reader

__all__ = ["app", "timeline"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_GAP = timedelta(minutes=15)


@app.command(
    epilog="Example: bearerwatch timeline --token k1a2b3c4d:9f86d081\n\n"
    "Example: bearerwatch timeline --token - < token.txt\n\n"
    "Example: bearerwatch timeline --ip 203.0.113.7 --since 7d"
)
def timeline(
    *,
    token: Annotated[
        str | None,
        typer.Option(help="A fingerprint as logs print it, or - for a token on stdin.", show_default=False),
    ] = None,
    ip: Annotated[str | None, typer.Option("--ip", "--address", help="A caller's address.", show_default=False)] = None,
    request_id: Annotated[str | None, typer.Option(help="A request's id.", show_default=False)] = None,
    since: Annotated[str, typer.Option(help="From when: 15m, 2h, 7d ago, or 2026-01-31T12:00:00Z.")] = "24h",
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many events, the newest.")] = 500,
    state: StateFolder = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Tell the story of one token, address or request, with its alerts.

    A gateway's log and a service that tell of one request are one entry, with what the gateway says behind "via".

    With --json: NDJSON in that order; each line has "type": "event" or "alert". An event's "via" lists what access
    logs say of its request: "service", "status", "duration_us", "client_ip", "ts", "event_id", "outcome", "differs".
    """
    from bearerwatch.store.reader import Reader  # noqa: PLC0415 - loads DuckDB

    if sum(value is not None for value in (token, ip, request_id)) != 1:
        raise ConfigurationError("say whose timeline: one of --token, --ip and --request-id")
    ip = caller(ip)
    now = datetime.now(UTC)
    start = moment(since, "--since", now)
    end = None if until is None else moment(until, "--until", now)
    folder = state_folder(state)
    tokens = [] if token is None else token_ids(token, folder)
    with Reader(folder, database_url(database)) as reader:
        found = find(
            reader, tokens, since=start, until=end, limit=limit, client_ip=ip, request_id=request_id, kind="auth"
        )
        full = len(found) == limit
        found = joined(reader, found)
        alerts = _alerts(reader, found, tokens, ip, (start, end))
        if not found and not alerts:
            say(_nothing(reader, tokens, since))
            raise typer.Exit(0)
        if as_json:
            _print_json(found, alerts)
        else:
            _print(found, alerts)
    if full:
        say(f"only the newest {limit} events are shown: --limit gives more")


def _alerts(
    reader: Reader,
    found: list[dict[str, Any]],
    tokens: list[str],
    ip: str | None,
    period: tuple[datetime, datetime | None],
) -> list[Episode]:
    """Alerts on the same key, or with one of these events as evidence."""
    from bearerwatch.store import episodes  # noqa: PLC0415 - loads SQLAlchemy

    with reader.state.read() as conn:
        listed = episodes.list_(conn, since=period[0], until=period[1], limit=10_000)
    values = {value for event in found for value in _ids(event)} if tokens else {ip}
    event_ids = {seen["event_id"] for event in found for seen in (event, *event.get("via", ()))}

    def concerns(episode: Episode) -> bool:
        if values & set(episode.key.values()) or values & set(_strings(episode.evidence.get("token_ids"))):
            return True
        return bool(event_ids & set(_strings(episode.evidence.get("event_ids"))))

    return sorted(filter(concerns, listed), key=lambda episode: (episode.first_hit, episode.id))


def _ids(event: dict[str, Any]) -> list[str]:
    return [event[name] for name in ("token_id", "token_id_prev", "presented_id") if event.get(name)]


def _strings(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple | dict) else []


def _ordered(found: list[dict[str, Any]], alerts: list[Episode]) -> list[tuple[datetime, Any]]:
    """Events and alerts by time; an alert stands behind the event that began it."""
    merged: list[tuple[datetime, int, Any]] = [(event["ts"], 0, event) for event in found]
    merged += [(alert.first_hit, 1, alert) for alert in alerts]
    return [(moment, thing) for moment, _, thing in sorted(merged, key=lambda item: item[:2])]


def _print_json(found: list[dict[str, Any]], alerts: list[Episode]) -> None:
    import msgspec  # noqa: PLC0415

    for _, thing in _ordered(found, alerts):
        if isinstance(thing, dict):
            row({"type": "event", **thing})
        else:
            row({"type": "alert", **msgspec.structs.asdict(thing)})


def _print(found: list[dict[str, Any]], alerts: list[Episode]) -> None:
    from bearerwatch.alert.lines import alert_mark, event_line, gap_line  # noqa: PLC0415

    screen = console()
    before: dict[str, Any] | None = None
    day = None
    for instant, thing in _ordered(found, alerts):
        if instant.date() != day:
            day = instant.date()
            screen.print(f"── {day:%A %Y-%m-%d} (UTC)", style="bold cyan")
        if not isinstance(thing, dict):
            screen.print(alert_mark(thing))
            continue
        delta = None if before is None else thing["ts"] - before["ts"]
        if delta is not None and delta >= _GAP:
            screen.print(gap_line(delta))
        moved = before is not None and before.get("client_ip") != thing.get("client_ip")
        screen.print(event_line(thing, delta=delta or timedelta(), moved=moved, with_date=False))
        before = thing
    screen.print(_summary(found, alerts), style="dim")


def _summary(found: list[dict[str, Any]], alerts: list[Episode]) -> str:
    def many(count: int, one: str, more: str) -> str:
        return f"{count} {one if count == 1 else more}"

    addresses = {event.get("client_ip") for event in found} - {None}
    services = {seen.get("service") for event in found for seen in (event, *event.get("via", ()))} - {None}
    return ", ".join(
        (
            many(len(found), "event", "events"),
            many(len(addresses), "address", "addresses"),
            many(len(services), "service", "services"),
            many(len(alerts), "alert", "alerts"),
        )
    )


def _nothing(reader: Reader, tokens: list[str], since: str) -> str:
    message = f"nothing found since {since}: --since looks further back"
    names = {token.partition(":")[0] for token in tokens if token.startswith("k")}
    if not names:
        return message
    known = reader.query("SELECT DISTINCT split_part(token_id, ':', 1) AS name FROM {events} WHERE token_id LIKE 'k%'")
    others = sorted({str(one["name"]) for one in known} - names)
    if known and not names & {str(one["name"]) for one in known}:
        return (
            f"{message}. No event has a fingerprint of key {', '.join(sorted(names))}; there are: {', '.join(others)}"
        )
    return message
