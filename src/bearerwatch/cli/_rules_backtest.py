"""``bearerwatch rules backtest``: what rules would have said about events of the past."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bearerwatch.cli._options import (
    Database,
    Json,
    Rules,
    StateFolder,
    Until,
    database_url,
    rules_folder,
    span,
    state_folder,
)
from bearerwatch.cli._output import console, row, say
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.detect.batch import Found
    from bearerwatch.detect.ir import Rule
    from bearerwatch.detect.judging import Judged

__all__ = ["backtest"]

_NOISIEST = 3
_MISSED = 5


def backtest(
    *,
    events: Annotated[
        list[str] | None,
        typer.Option(
            "--events",
            metavar="PATH",
            help="Events in .parquet or .jsonl: a file, folder or pattern; may be repeated. The lake if none.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="From when: 30d ago, or 2026-01-31; of the lake 30d if not given.", show_default=False),
    ] = None,
    until: Until = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="NAME", help="Only this rule; may be repeated.", show_default=False),
    ] = None,
    rules: Rules = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FILE", help="Marked episodes, to judge the rules by.", show_default=False),
    ] = None,
    memory: Annotated[int, typer.Option(min=128, max=1 << 20, help="Megabytes to work in.")] = 1024,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Processor cores to work with.")] = 1,
    state: StateFolder = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Say what rules would have told of events of the past: of the lake, or of files.

    It is the query that runs live, so the answer is that of a collector that had these rules at the time. With
    --since, what came before is still known to the rules, as far as it is there. With --truth, each rule's recall and
    precision: an episode fits what is marked if its rule is named there (of an attack, any), their times overlap within
    the rule's window, and no field of its key has another value. Exits 1 if a rule missed something or made something
    up.

    With --json: NDJSON, one episode a line, {"rule", "version", "key", "first_hit", "last_hit", "peak", "hits", "id",
    "level"}; with --truth also "verdict": true, other or false.
    """
    from bearerwatch.detect.rulebook import load_rules  # noqa: PLC0415 - loads pySigma
    from bearerwatch.detect.truth import read_truth  # noqa: PLC0415

    marked = None if truth is None else read_truth(truth.expanduser())
    chosen = _chosen(load_rules(rules_folder(rules)), only or [])
    start, end = span(since, until, datetime.now(UTC))
    if events:
        found = _of_files(events, chosen, start, end, memory=memory, threads=threads)
    else:
        start = start or datetime.now(UTC) - timedelta(days=30)
        found = _of_lake(state_folder(state), database_url(database), chosen, start, end)
    judged = None
    verdicts: Mapping[str, str] = {}
    if marked is not None:
        from bearerwatch.detect.judging import judge  # noqa: PLC0415

        judged = judge(found, marked, {rule.name: rule.window for rule in chosen})
        verdicts = {one.id: verdict for each in judged for verdict, ones in each.verdicts.items() for one in ones}
    if as_json:
        for one in found:
            row(_fields(one) | ({} if judged is None else {"verdict": verdicts[one.id]}))
    else:
        _print(chosen, found, judged)
    bad = judged is not None and any(one.missed or one.false for one in judged)
    raise typer.Exit(1 if bad else 0)


def _chosen(rules: tuple[Rule, ...], only: list[str]) -> list[Rule]:
    known = {rule.name for rule in rules}
    if set(only) - known:
        raise ConfigurationError(f"--rule is the name of a rule in force: {', '.join(sorted(known))}")
    return [rule for rule in rules if not only or rule.name in only]


def _of_files(
    events: list[str], rules: list[Rule], start: datetime | None, end: datetime | None, *, memory: int, threads: int
) -> list[Found]:
    from bearerwatch.detect.batch import Batch  # noqa: PLC0415 - loads DuckDB
    from bearerwatch.detect.fields import FALLBACK  # noqa: PLC0415
    from bearerwatch.detect.given import given  # noqa: PLC0415
    from bearerwatch.detect.ir import fields_of  # noqa: PLC0415
    from bearerwatch.store.engine import connect  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="bearerwatch-") as folder:
        con = connect(Path(folder) / "tmp", memory_limit=f"{memory}MB", threads=threads)
        try:
            files = given(con, events, Path(folder))
            for rule in rules:
                blind = sorted(
                    name
                    for name in fields_of(rule.correlation) & files.missing
                    if FALLBACK.get(name, name) in files.missing
                )
                if blind:
                    say(f"{rule.name} may see nothing: no file has the column {', '.join(blind)}")
            relation = files.relation
            if end is not None:
                relation = f"(FROM {relation} WHERE ts < TIMESTAMP '{_naive(end)}')"
            return [one for one in Batch(con, relation, rules)() if start is None or one.last_hit >= start]
        finally:
            con.close()


def _of_lake(folder: Path, url: str | None, rules: list[Rule], start: datetime, end: datetime | None) -> list[Found]:
    from bearerwatch.detect.batch import Batch, past  # noqa: PLC0415 - loads DuckDB
    from bearerwatch.store.reader import Reader  # noqa: PLC0415

    began = start - timedelta(seconds=max((past(rule.correlation) for rule in rules), default=0))
    bounds = f"ts >= TIMESTAMP '{_naive(began)}'" + ("" if end is None else f" AND ts < TIMESTAMP '{_naive(end)}'")
    with Reader(folder, url) as reader:
        found = reader.reading(
            began,
            end,
            lambda con, relation: list(Batch(con, f"(FROM {relation} WHERE {bounds})", rules)()),
        )
    return [one for one in found if one.last_hit >= start]


def _naive(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _fields(one: Found) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "version": one.version,
        "key": one.key,
        "first_hit": one.first_hit,
        "last_hit": one.last_hit,
        "peak": one.peak,
        "hits": one.hits,
        "id": one.id,
        "level": one.level,
    }


def _print(rules: list[Rule], found: list[Found], judged: list[Judged] | None) -> None:
    from rich.text import Text  # noqa: PLC0415

    from bearerwatch.alert.escape import printable  # noqa: PLC0415
    from bearerwatch.alert.notice import counted  # noqa: PLC0415

    screen = console()
    by_rule: dict[str, list[Found]] = defaultdict(list)
    for one in found:
        by_rule[one.rule].append(one)
    verdicts = {one.rule: one for one in judged or ()}
    width = max((len(rule.name) for rule in rules), default=0)
    for rule in rules:
        ones = by_rule[rule.name]
        text = Text()
        text.append(f"{printable(rule.name):<{width}}  ", style="bold")
        text.append(counted(len(ones), "episode"))
        if ones:
            days = Counter(one.first_hit.date() for one in ones)
            hits = sum(one.hits for one in ones)
            (busiest, most) = max(days.items(), key=lambda day: (day[1], day[0]))
            text.append(f", {counted(hits, 'hit')}; {len(ones) / _days(found):.1f} a day, most {most} on {busiest}")
        verdict = verdicts.get(rule.name)
        if verdict is not None:
            style = "red" if verdict.missed or verdict.false else "green"
            text.append(f"  {_told(verdict)}", style=style)
        screen.print(text)
        for key, episodes, hits in _noisiest(ones):
            told = f"{counted(episodes, 'episode')}, {counted(hits, 'hit')}"
            screen.print(Text(f"    {told}  {printable(_key(key), 300)}", style="dim"))
        if verdict is not None and verdict.missed:
            shown = ", ".join(printable(one) for one in verdict.missed[:_MISSED])
            more = len(verdict.missed) - _MISSED
            screen.print(Text(f"    missed {shown}{f' and {more} more' if more > 0 else ''}", style="red"))
        for one in verdict.made_up[:_NOISIEST] if verdict is not None else ():
            whom = printable(_key(tuple(one.key.items())), 300)
            screen.print(Text(f"    made up {one.first_hit:%Y-%m-%d %H:%M:%S}  {whom}", style="red"))
    say(f"{len(rules)} rules, {counted(len(found), 'episode')}")


def _days(found: list[Found]) -> int:
    first, last = min(one.first_hit for one in found), max(one.last_hit for one in found)
    return (last.date() - first.date()).days + 1


def _noisiest(found: list[Found]) -> list[tuple[tuple[tuple[str, str], ...], int, int]]:
    """Keys with their episodes and hits: those with the most."""
    episodes: Counter[tuple[tuple[str, str], ...]] = Counter()
    hits: Counter[tuple[tuple[str, str], ...]] = Counter()
    for one in found:
        key = tuple(one.key.items())
        episodes[key] += 1
        hits[key] += one.hits
    ranked = sorted(episodes, key=lambda key: (-episodes[key], -hits[key], key))
    return [(key, episodes[key], hits[key]) for key in ranked[:_NOISIEST]]


def _key(key: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name} {value}" for name, value in key)


def _told(verdict: Judged) -> str:
    def share(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    return (
        f"recall {share(verdict.recall)} ({verdict.caught}/{verdict.marked}), precision {share(verdict.precision)} "
        f"({verdict.true} true, {verdict.other} other, {verdict.false} false)"
    )
