"""Events and alerts as lines for a reader. Every stored value is escaped on its way in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rich.text import Text

from bearerwatch.alert.channels.console import STYLES
from bearerwatch.alert.escape import printable
from bearerwatch.alert.notice import counted, span, stamp
from bearerwatch.store.episodes import Episode

__all__ = ["alert_line", "alert_mark", "event_line", "gap_line", "short_id"]

_OUTCOME_STYLES = {
    "success": "green",
    "anonymous": "dim",
    "missing": "yellow",
    "malformed": "magenta",
    "invalid": "red",
    "expired": "dark_orange",
    "revoked": "bold red",
    "insufficient_scope": "yellow",
    "forbidden": "red",
    "throttled": "cyan",
    "error": "bold magenta",
}
"""How each outcome is coloured."""


def short_id(token_id: Any) -> str:
    """``k1a2b3c4d:9f86d081…``: enough to tell tokens apart, and to look one up."""
    text = printable(token_id)
    name, colon, mac = text.partition(":")
    return f"{name}:{mac[:8]}…" if colon and len(mac) > 12 else text


def event_line(
    event: Mapping[str, Any], *, delta: timedelta | None = None, moved: bool = False, with_date: bool = True
) -> Text:
    """One event as one line.

    Args:
        event: columns of the lake, and as ``via`` what access logs say of the same request.
        delta: time since the line before.
        moved: whether the address differs from the line before.
        with_date: whether the date is part of the time.
    """
    moment: datetime = event["ts"]
    text = Text(no_wrap=True)
    text.append(f"{moment:%Y-%m-%d %H:%M:%S}" if with_date else f"{moment:%H:%M:%S}", style="bold")
    text.append(f".{moment.microsecond // 1000:03d}", style="dim")
    if delta is not None:
        text.append(f" {'+' + span(delta):>10}", style="dim")
    outcome = printable(event.get("outcome") or event.get("kind"))
    text.append(f"  {outcome:<18}", style=_OUTCOME_STYLES.get(outcome, ""))
    request = " ".join(
        printable(part) for part in (event.get("method"), event.get("route") or event.get("path")) if part
    )
    if not request and event.get("detail"):
        request = printable(event["detail"])
    text.append(f" {request:<34}")
    status = printable(event.get("status"))
    text.append(f" {status:>3}", style="red" if status[:1] in ("4", "5") else "dim")
    address = printable(event.get("client_ip"))
    text.append("  → " if moved else "    ", style="bold yellow")
    text.append(f"{address:<15}", style="bold yellow" if moved else "")
    text.append(f" {printable(event.get('country')):<2}")
    text.append(f"  {printable(event.get('service'))}", style="cyan")
    if event.get("token_id"):
        text.append(f"  {short_id(event['token_id'])}")
    if (event.get("count") or 1) > 1:
        text.append(f"  x{event['count']}", style="bold")
    if event.get("reason"):
        text.append(f"  {printable(event['reason'])}", style="dim")
    for seen in event.get("via") or ():
        text.append(*_seen(seen, event))
    if event.get("request_id"):
        text.append(f"  {printable(event['request_id'])}", style="dim")
    return text


def _seen(seen: Mapping[str, Any], event: Mapping[str, Any]) -> tuple[str, str]:
    """What an access log says of the request of *event*; boldly coloured where it says another status."""
    words = f"  via {printable(seen.get('service'))} {printable(seen.get('status')) or 'without an answer'}"
    took, here = (one.get("duration_us") for one in (seen, event))
    if took is not None:
        words += f" in {span(timedelta(microseconds=took))}"
        words += f", {span(timedelta(microseconds=here))} of them here" if here is not None else ""
    return words, "bold red" if seen.get("differs") else "dim"


def gap_line(length: timedelta) -> Text:
    """A pause between two events."""
    return Text(f"        ⋮  {span(length)} without a request", style="dim italic")


def _key(episode: Episode) -> str:
    return ", ".join(f"{printable(name)} {printable(value)}" for name, value in episode.key.items())


def alert_mark(episode: Episode) -> Text:
    """An alert as a line of a timeline."""
    text = Text(no_wrap=True)
    text.append(f"{episode.first_hit:%H:%M:%S}", style="bold")
    text.append(f".{episode.first_hit.microsecond // 1000:03d}", style="dim")
    text.append(f"{'▲':>14} ", style="bold red")
    text.append(episode.level.upper(), style=STYLES.get(episode.level, ""))
    text.append(f" {printable(episode.title)}", style="bold")
    text.append(f" ({_key(episode)})")
    length = span(episode.last_hit - episode.first_hit)
    state = "open" if episode.closed_at is None else "closed"
    text.append(f"  {counted(episode.hits, 'hit')} in {length}, {state}  [{printable(episode.id)[:12]}]", style="dim")
    return text


def alert_line(episode: Episode) -> Text:
    """An alert as a line of a list."""
    text = Text(no_wrap=True)
    text.append(f"{printable(episode.id)[:12]}  ")
    is_open = episode.closed_at is None
    text.append(f"{'open' if is_open else 'closed':<7}", style="bold" if is_open else "dim")
    text.append(f"{printable(episode.level):<14}", style=STYLES.get(episode.level, ""))
    text.append(f"{stamp(episode.first_hit)}  ")
    text.append(printable(episode.title), style="bold")
    text.append(f"  {_key(episode)}")
    text.append(f"  {counted(episode.hits, 'hit')} in {span(episode.last_hit - episode.first_hit)}", style="dim")
    return text
