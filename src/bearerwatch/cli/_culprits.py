"""Which lines of code tried to log tokens, as the collector has it from the applications' ``leak`` events."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bearerwatch.cli._output import console, lines, say

if TYPE_CHECKING:
    from rich.text import Text

    from bearerwatch.store.reader import Reader

__all__ = ["culprits", "show_culprits"]

_DETAIL = re.compile(r"(?P<file>.*?):(?P<line>[0-9]{1,9}) (?P<logger>.*)", re.DOTALL)
_SQL = """
SELECT service, detail, sum("count")::BIGINT AS times, count(DISTINCT token_id) AS tokens,
       array_agg(DISTINCT reason) FILTER (reason IS NOT NULL) AS forms,
       arg_max(token_id, ts) AS token_id, arg_max(request_id, ts) AS request_id, min(ts) AS first, max(ts) AS last
FROM {events} WHERE kind = 'leak' AND ts >= $since AND ($service IS NULL OR service = $service)
GROUP BY service, detail ORDER BY times DESC, last DESC, detail
"""


def culprits(reader: Reader, since: datetime, *, service: str | None = None) -> list[dict[str, Any]]:
    """The places in code that tried to log a token, the most frequent first.

    Args:
        reader: of the collector's lake.
        since: from this instant on; aware.
        service: only of this service.

    Returns:
        A dict per place: ``service file line logger times tokens forms token_id request_id first last``. ``tokens``
        counts those that were told of, one a minute and process; ``token_id`` and ``request_id`` are the latest.
    """
    parameters = {"since": since.astimezone(UTC).replace(tzinfo=None), "service": service}
    return [_place(row) for row in reader.query(_SQL, parameters, since=since)]


def _place(row: dict[str, Any]) -> dict[str, Any]:
    told = _DETAIL.fullmatch(row["detail"] or "")
    named = (told["file"], int(told["line"]), told["logger"]) if told is not None else (row["detail"], None, None)
    place = dict(zip(("file", "line", "logger"), named, strict=True))
    rest = {name: row[name] for name in ("times", "tokens", "forms", "token_id", "request_id", "first", "last")}
    return {"service": row["service"], **place, **rest, "forms": sorted(row["forms"] or ())}


def show_culprits(found: Iterable[dict[str, Any]], *, as_json: bool) -> int:
    """Print places, a line each; returns how many records were caught in all."""
    found = list(found)
    if as_json:
        lines(found)
    else:
        screen = console()
        for place in found:
            screen.print(_line(place))
    times = sum(int(place["times"]) for place in found)
    if not as_json:
        say(_summary(len(found), times))
    return times


def _summary(places: int, times: int) -> str:
    from bearerwatch.alert.notice import counted  # noqa: PLC0415 - not needed for --json

    if not places:
        return "no line of code tried to log a token; --since looks further back"
    return (
        f"{counted(places, 'line')} of code, {counted(times, 'record')} redacted: take the token out of what they log"
    )


def _line(place: dict[str, Any]) -> Text:
    from rich.text import Text  # noqa: PLC0415

    from bearerwatch.alert.escape import printable  # noqa: PLC0415
    from bearerwatch.alert.lines import short_id  # noqa: PLC0415
    from bearerwatch.alert.notice import stamp  # noqa: PLC0415

    text = Text(no_wrap=True)
    text.append(f"{place['times']:>7} x  ", style="bold")
    where = printable(place["file"]) + (f":{place['line']}" if place["line"] is not None else "")
    text.append(where, style="bold red")
    text.append(f"  {printable(place['service'])}", style="cyan")
    if place["logger"]:
        text.append(f"  logger {printable(place['logger'])}")
    if place["forms"]:
        text.append(f"  {', '.join(map(printable, place['forms']))}", style="dim")
    text.append(f"  last {stamp(place['last'])}", style="dim")
    if place["token_id"]:
        text.append(f"  {short_id(place['token_id'])}")
    return text
