"""``bearerwatch ingest``: access logs that are finished, as events."""

from __future__ import annotations

import glob
import io
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import typer

from bearerwatch.cli._options import (
    Database,
    Json,
    LogZone,
    Mmdb,
    Rules,
    StateFolder,
    database_url,
    mmdb_files,
    rules_folder,
    state_folder,
    time_zone,
)
from bearerwatch.cli._output import document, say
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.server.backfill import Taken

__all__ = ["app", "ingest"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_STDIN = "-"
_QUIET = 60.0
"""Seconds after which nobody is taken to write to a file any more."""
_SAY_EVERY = 5.0


@app.command(
    epilog="Example: bearerwatch ingest /var/log/nginx/access.log.*.gz --format nginx --service edge\n\n"
    "Example: bearerwatch ingest access.log --format 'nginx:$remote_addr [$time_local] \"$request\" $status'\n\n"
    "Example: journalctl -u shop -o short-iso-precise | bearerwatch ingest - --format uvicorn --service shop"
)
def ingest(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Logs, plain or packed, patterns such as 'logs/*.gz', or - for standard input."
        ),
    ],
    *,
    layout: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT[:LAYOUT]",
            help="alb, apache, caddy, envoy, gunicorn, nginx, traefik or uvicorn; with the layout the server was told, "
            "if it is not the usual one.",
        ),
    ],
    service: Annotated[
        str | None,
        typer.Option(help="Whose logs they are; the format's name if not given.", show_default=False),
    ] = None,
    log_zone: LogZone = "UTC",
    state: StateFolder = None,
    database: Database = None,
    mmdb: Mmdb = None,
    rules: Rules = None,
    as_json: Json = False,
) -> None:
    """Take finished access logs in as events, each line once however often it is given.

    Alerts are kept for 'bearerwatch alerts' and sent to nobody. No collector may be running on the state folder: a
    log that grows is followed by 'bearerwatch serve --tail'.

    Exits 1 if a line was refused or a log could not be read. With --json: one document, {"lines", "events",
    "refused", "passed_over", "logs"}.
    """
    from bearerwatch.ingest.access import open_format  # noqa: PLC0415
    from bearerwatch.ingest.log_source import service_name  # noqa: PLC0415
    from bearerwatch.server.backfill import Backfill, Taken  # noqa: PLC0415 - loads DuckDB

    read = open_format(layout, time_zone(log_zone))
    name = service_name(service or layout.partition(":")[0].strip(), "--service")
    inputs = list(_inputs(paths))
    done: list[Taken] = []
    with Backfill(
        state_folder(state),
        read,
        name,
        url=database_url(database),
        rules=rules_folder(rules),
        mmdb=tuple(mmdb_files(mmdb)),
    ) as take:
        for path in inputs:
            try:
                done.append(_one(take, path))
            except OSError as error:
                if error.filename != path:
                    raise  # of the state folder
                said = error.strerror or type(error).__name__
                done.append(Taken(name=path, error=f"it cannot be read: {said}"))
            if not as_json:
                _told(done[-1])
        take.tidy()
    totals = {key: sum(getattr(one, key) for one in done) for key in ("lines", "events", "refused", "passed_over")}
    if as_json:
        import msgspec  # noqa: PLC0415

        document({**totals, "logs": [msgspec.to_builtins(one) for one in done]})
    elif len(done) > 1:
        say(f"{len(done)} logs: {totals['lines']:,} lines, {totals['events']:,} events, {totals['refused']:,} refused")
    if any(one.refused or one.error or one.damaged for one in done):
        raise typer.Exit(1)


def _inputs(paths: list[str]) -> Iterator[str]:
    """Every log once, patterns in the order of their names.

    Raises:
        ConfigurationError: there is none, or a pattern fits nothing.
    """
    seen: set[str] = set()
    for given in paths:
        path = given if given == _STDIN else os.path.expanduser(given)  # noqa: PTH111 - a pattern is no path
        found = [path]
        if path != _STDIN and not Path(path).exists():
            found = sorted(one for one in glob.glob(path, recursive=True) if Path(one).is_file())  # noqa: PTH207
            if not found:
                raise ConfigurationError("a PATH is no file, and no pattern that fits one: mend it")
        for one in found:
            if one not in seen:
                seen.add(one)
                yield one


def _one(take: Any, path: str) -> Taken:
    """Take in one log; what keeps it from being read is told of and keeps no other from it."""
    from bearerwatch.leaks.packed import DAMAGE, LONGEST, packing  # noqa: PLC0415
    from bearerwatch.leaks.refused import Refused  # noqa: PLC0415
    from bearerwatch.server.backfill import Taken  # noqa: PLC0415

    name = "standard input" if path == _STDIN else str(Path(path).absolute())
    try:
        with _source(path) as file:
            kind = packing(file.peek(LONGEST)[:LONGEST])
            stream = cast("BinaryIO", file) if kind is None else kind.read(cast("BinaryIO", file))
            whole = kind is not None or _finished(file)
            taken: Taken = take(stream, name, whole=whole, damage=(*DAMAGE, OSError), progress=_Progress())
            return taken
    except Refused as refused:
        return Taken(name=name, error=str(refused))
    except DAMAGE:
        return Taken(name=name, error="its packed data is damaged")


def _source(path: str) -> io.BufferedReader:
    if path == _STDIN:
        return io.BufferedReader(cast("Any", sys.stdin.buffer))
    return Path(path).open("rb")


def _finished(file: io.BufferedReader) -> bool:
    """Whether nobody writes to it any more, as far as can be told."""
    try:
        status = os.fstat(file.fileno())
    except OSError:  # standard input that is no file
        return True
    return not stat.S_ISREG(status.st_mode) or time.time() - status.st_mtime >= _QUIET


class _Progress:
    """Says on standard error now and then how far it is."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()

    def __call__(self, taken: Taken) -> None:
        now = time.monotonic()
        if now - self._said >= _SAY_EVERY:
            self._said = now
            rate = taken.lines / (now - self._began)
            say(f"{taken.name}: {taken.lines:,} lines so far, {rate:,.0f} a second")


def _told(taken: Taken) -> None:
    if taken.error is not None:
        say(f"{taken.name}: {taken.error}")
        return
    parts = [f"{taken.lines:,} lines", f"{taken.events:,} events"]
    parts += [f"{taken.passed_over:,} about no request"] if taken.passed_over else []
    parts += [f"{taken.refused:,} refused"] if taken.refused else []
    parts += [f"{taken.before:,} bytes taken before"] if taken.before else []
    parts += [f"{taken.left:,} bytes of an unfinished line left for the next time"] if taken.left else []
    parts += ["its data is damaged or cut off: what comes before that was taken"] if taken.damaged else []
    say(f"{taken.name}: {', '.join(parts)}")
    for number, reason in taken.first_refused:
        say(f"  line {number}: {reason}")
    if taken.refused > len(taken.first_refused):
        say(f"  and {taken.refused - len(taken.first_refused):,} more; see quarantine in the state folder")
