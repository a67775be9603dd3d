# ruff: noqa: S608 - made of the dialect's text and of names that are quoted
"""``bearerwatch rules watch``: while a rule is written, what it says and what it finds, at every save."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bearerwatch.cli._options import Database, StateFolder, database_url, moment, state_folder
from bearerwatch.cli._output import console, say
from bearerwatch.cli._rules_check import files_of, show_test, tested
from bearerwatch.errors import BearerwatchError, ConfigurationError, RuleError

__all__ = ["watch"]

_SHOWN = 5
_DEBOUNCE = 100
"""Milliseconds of quiet after which what was saved is looked at."""

Ask = Callable[[str], list[tuple[Any, ...]]]
"""Runs a query, with ``{events}`` where the events go."""


def watch(
    path: Annotated[Path, typer.Argument(metavar="FOLDER|FILE", help="A rule file, or a folder of them.")],
    *,
    events: Annotated[
        list[Path] | None,
        typer.Option(
            "--events",
            metavar="FILE",
            help="Events to try rules on: Parquet or JSON lines, files or folders; may be repeated.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Try rules on the lake's events since: 6h ago, or a moment.", show_default=False)
    ] = None,
    state: StateFolder = None,
    database: Database = None,
) -> None:
    """Look at rules again whenever one is saved: errors with file and line, their tests, and what they find.

    What they find is looked for in --events, or in the lake with --since. Stop with Ctrl-C.
    """
    import watchfiles  # noqa: PLC0415 - not needed for --help

    from bearerwatch.server.signals import stopping_by_signal  # noqa: PLC0415 - likewise

    if events and since:
        raise ConfigurationError("say either --events or --since: rules are tried on one of the two")
    if not path.exists():
        raise ConfigurationError("there is no such file or folder: name one that exists, it may be empty")
    start = None if since is None else moment(since, "--since", datetime.now(UTC))
    stop = threading.Event()
    with (
        stopping_by_signal(stop.set),
        _asking(events or [], start, state_folder(state), database_url(database)) as ask,
    ):
        folder = path if path.is_dir() else path.parent
        changes = watchfiles.watch(
            folder,
            debounce=_DEBOUNCE,
            recursive=False,
            rust_timeout=500,
            yield_on_timeout=True,
            stop_event=stop,
        )
        next(changes)  # from here on nothing that is saved is missed
        _look(files_of([path]) if path.is_file() or any(path.glob("*.yml")) else [], ask)
        say(f"watching {path}; stop with Ctrl-C")
        for changed in changes:
            _look(_rules_of({Path(name) for _, name in changed}, path), ask)
    say("stopped")


def _rules_of(changed: set[Path], path: Path) -> list[Path]:
    """The rule files that are to be looked at after *changed*."""
    wanted = None if path.is_dir() else path.resolve()
    names = {
        one.with_name(one.name.removesuffix(".test.yml") + ".yml") if one.name.endswith(".test.yml") else one
        for one in changed
        if one.suffix == ".yml" and not one.name.startswith(".")
    }
    return sorted(one for one in names if one.is_file() and (wanted is None or one.resolve() == wanted))


def _look(paths: list[Path], ask: Ask | None) -> None:
    for path in paths:
        began = time.perf_counter()
        show_test(tested(path))
        if ask is not None:
            try:
                _show_found(path, ask)
            except RuleError:
                pass  # said with its tests
            except BearerwatchError as error:
                say(f"cannot try it: {error}")
        console().print(f"    {datetime.now(UTC):%H:%M:%S}, {time.perf_counter() - began:.1f} s", style="dim")


def _show_found(path: Path, ask: Ask) -> None:
    from bearerwatch.alert.escape import printable  # noqa: PLC0415
    from bearerwatch.alert.notice import counted, stamp  # noqa: PLC0415
    from bearerwatch.detect import duckdb_sql as sql  # noqa: PLC0415
    from bearerwatch.detect.islands import SECOND, Key, instant, islands  # noqa: PLC0415
    from bearerwatch.detect.sigma import read_rule  # noqa: PLC0415 - loads pySigma

    rule = read_rule(path)
    width = len(rule.group_by)
    names = "".join(f"k{place}, " for place in range(width))
    text = sql.hits(rule.correlation, "\0").replace("{", "{{").replace("}", "}}").replace("\0", "{events}")
    anchors: dict[Key, list[tuple[int, int]]] = {}
    for row in ask(f"SELECT {names}epoch_us(ts), n FROM ({text})"):
        anchors.setdefault(row[:width], []).append((row[width], row[width + 1]))
    found = [
        (island, dict(zip(rule.group_by, key, strict=True)))
        for key, hits in anchors.items()
        for island in islands(hits, (), rule.window * SECOND)
    ]
    found.sort(key=lambda one: (-one[0].hits, one[0].first))
    screen = console()
    screen.print(f"    finds {counted(len(found), 'alert')} of {counted(len(anchors), 'key')}")
    for island, of in found[:_SHOWN]:
        told = ", ".join(f"{name} {printable(value)}" for name, value in of.items())
        screen.print(f"      {stamp(instant(island.first))}  {told}  {counted(island.hits, 'hit')}, peak {island.peak}")
    if len(found) > _SHOWN:
        screen.print(f"      and {len(found) - _SHOWN} more", style="dim")


@contextmanager
def _asking(files: list[Path], since: datetime | None, folder: Path, url: str | None) -> Iterator[Ask | None]:
    if files:
        with _of_files(files) as ask:
            yield ask
    elif since is not None:
        from bearerwatch.store.reader import Reader  # noqa: PLC0415 - loads DuckDB

        with Reader(folder, url) as reader:
            start = f"(SELECT * FROM {{events}} WHERE ts >= make_timestamp({int(since.timestamp()) * 1_000_000}))"
            yield lambda text: [
                tuple(row.values()) for row in reader.query(text.replace("{events}", start), since=since)
            ]
    else:
        yield None


@contextmanager
def _of_files(files: list[Path]) -> Iterator[Ask]:
    """Events of files, read once."""
    import tempfile  # noqa: PLC0415 - not needed for --help

    from bearerwatch.detect.given import given  # noqa: PLC0415 - loads DuckDB
    from bearerwatch.store.engine import connect  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="bearerwatch-") as scratch:
        con = connect(Path(scratch), memory_limit="1GB", threads=2)
        try:
            relation = given(con, map(str, files), Path(scratch)).relation.replace("{", "{{").replace("}", "}}")
            yield lambda text: con.execute(text.replace("{events}", relation).format()).fetchall()
        finally:
            con.close()
