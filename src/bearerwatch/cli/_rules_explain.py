"""``bearerwatch rules explain``: why an alert fired, by the very events that were counted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bearerwatch.cli._find import find_alert
from bearerwatch.cli._options import Database, Json, Rules, StateFolder, database_url, rules_folder, state_folder
from bearerwatch.cli._output import console, document
from bearerwatch.errors import BearerwatchError

if TYPE_CHECKING:
    from rich.console import Console

    from bearerwatch.detect.explain import Explanation, Moment, Part
    from bearerwatch.detect.ir import Rule
    from bearerwatch.store.episodes import Episode

__all__ = ["explain"]

_BARS = "▁▂▃▄▅▆▇█"
_VALUES = 10


def explain(
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="The alert's id, or its beginning.")],
    *,
    limit: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="List at most so many events of each step; all are counted.")
    ] = 20,
    rules: Rules = None,
    state: StateFolder = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Explain why an alert fired: the rule in words, and the events it counted at its first hit and at its peak.

    The events are read from the lake by the rule's own conditions: what is named is what was counted. Exits 1 if the
    lake has none of them any more.

    With --json: one document, the alert with "rule", "sentence", "first" and "peak" (each with "parts" and their
    "events"), "unless" and "remarks".
    """
    from bearerwatch.detect.explain import explain as explained  # noqa: PLC0415 - loads DuckDB
    from bearerwatch.detect.rulebook import load_rules  # noqa: PLC0415 - loads pySigma
    from bearerwatch.store.reader import Reader  # noqa: PLC0415

    with Reader(state_folder(state), database_url(database)) as reader:
        with reader.state.read() as conn:
            episode = find_alert(conn, alert)
        rule = next((one for one in load_rules(rules_folder(rules)) if one.name == episode.rule), None)
        if rule is None:
            raise BearerwatchError(
                "the rule of that alert is not among those in force: name the folder it is in with --rules"
            )
        found = explained(rule, episode, reader.query, limit=limit)
    if found is None:
        raise BearerwatchError(
            "no event of the lake makes the rule fire at that time any more: they are older than what is kept, or an "
            "exception or another version of the rule leaves them out; 'bearerwatch alerts show' has the evidence "
            "that was kept"
        )
    if as_json:
        document(_fields(rule, episode, found))
    else:
        _print(rule, episode, found)


def _fields(rule: Rule, episode: Episode, found: Explanation) -> dict[str, Any]:
    return {
        "id": episode.id,
        "rule": rule.name,
        "version": episode.rule_version,
        "title": rule.title,
        "level": episode.level,
        "key": episode.key,
        "first_hit": episode.first_hit,
        "last_hit": episode.last_hit,
        "exceptions": [one.name for one in rule.exceptions],
        **asdict(found),
    }


def _print(rule: Rule, episode: Episode, found: Explanation) -> None:
    from bearerwatch.alert.escape import printable  # noqa: PLC0415
    from bearerwatch.alert.lines import alert_line  # noqa: PLC0415
    from bearerwatch.alert.notice import counted  # noqa: PLC0415

    screen = console()
    screen.print(alert_line(episode))
    screen.print(f"Rule {printable(rule.name)}, version {rule.version}: {printable(found.sentence, 2000)}.")
    for remark in found.remarks:
        screen.print(printable(remark), style="yellow")
    same = found.first.at == found.peak.at
    _moment(screen, "First hit, and its peak" if same else "First hit", found.first)
    if not same:
        _moment(screen, "Peak", found.peak)
    screen.print(f"\n{counted(found.hits, 'hit')} in all. {printable(found.unless, 1000)}.")


def _moment(screen: Console, title: str, moment: Moment) -> None:
    from bearerwatch.alert.notice import stamp  # noqa: PLC0415

    screen.print(f"\n{title}: {stamp(moment.at)}, {moment.n} counted", style="bold")
    for part in moment.parts:
        _part(screen, part)


def _part(screen: Console, part: Part) -> None:
    from rich.text import Text  # noqa: PLC0415

    from bearerwatch.alert.escape import printable  # noqa: PLC0415
    from bearerwatch.alert.lines import event_line, short_id  # noqa: PLC0415
    from bearerwatch.alert.notice import counted  # noqa: PLC0415

    what = counted(part.counted, "event")
    if part.field is not None:
        what = f"{counted(part.counted, 'value')} of {part.field} in {counted(part.rows, 'event')}"
    needed = "" if part.needed is None else f", {part.needed} needed"
    screen.print(f"  {printable(part.step)}: {what}{needed}")
    if any(part.spread):
        screen.print(f"  {part.since:%H:%M:%S} {_line(part)} {part.until:%H:%M:%S}", style="cyan")
    for value, number in list(part.values.items())[:_VALUES]:
        screen.print(Text(f"    {number:>6} x {short_id(value) if part.field != 'path' else printable(value)}"))
    if part.field is not None and part.counted > _VALUES:
        screen.print(f"           and {part.counted - _VALUES} more values", style="dim")
    for event in part.events:
        line = Text("    ")
        if "event_id" in event:
            line.append_text(event_line(event))
        else:  # a hit of a correlation
            line.append(", ".join(f"{name} {printable(value)}" for name, value in event.items()))
        screen.print(line)
    if part.rows > len(part.events):
        screen.print(f"    and {part.rows - len(part.events)} more events: --limit shows them", style="dim")


def _line(part: Part) -> str:
    """How the events lie in the window, from its beginning to its end; blank where there is none."""
    most, top = max(part.spread), len(_BARS) - 1
    return "".join(_BARS[number * top // most] if number else " " for number in part.spread)
