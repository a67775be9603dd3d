"""``bearerwatch leaks``: tokens in files at rest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bearerwatch.cli._options import Database, Json, StateFolder, database_url, moment, state_folder
from bearerwatch.cli._output import say
from bearerwatch.cli._pipe import piped
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.leaks.reports import Report
    from bearerwatch.leaks.sources import Source

__all__ = ["app", "leaks"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Example: bearerwatch leaks /var/log/shop 'old/*.log.gz'\n\n"
    "Example: journalctl -o export | bearerwatch leaks -\n\n"
    "Example: bearerwatch leaks --in-place /var/log/shop/app.log\n\n"
    "Example: bearerwatch leaks --live --since 7d"
)
def leaks(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Files, folders and all below them, patterns; - is standard input."),
    ] = None,
    *,
    redact: Annotated[
        bool, typer.Option("--redact", help="Put fingerprints in the place of the tokens, in a new file each.")
    ] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="The same at equal length, for files that are being written or tailed.")
    ] = False,
    binary: Annotated[bool, typer.Option("--binary", help="Rewrite also what is no text.")] = False,
    as_json: Json = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="Write SARIF 2.1.0 to standard output, nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary; errors still.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="No files: the lines of code that tried to log tokens, and how often.")
    ] = False,
    since: Annotated[str, typer.Option(help="With --live, from when: 15m, 2h, 7d ago, or a moment.")] = "1d",
    service: Annotated[str | None, typer.Option(help="With --live, only of this service.", show_default=False)] = None,
    state: StateFolder = None,
    database: Database = None,
) -> None:
    """Find tokens in files, and replace them with --redact or --in-place. Or, with --live, who tries to log them.

    Prints file:line:column, kind and fingerprint of each, and of a JWT whether it has expired; never the token.
    Reads gzip, zstd, bzip2, xz and journald exports. Exits 1 if a token was found, also if it was replaced, and 2 if
    something could not be read or rewritten; the rest is looked at all the same.

    With --json: NDJSON, {"path", "line", "column", "offset", "length", "kind", "fingerprint", "expires_at",
    "expired"} a line; the last three are null where they do not apply. With --live: {"service", "file", "line",
    "logger", "times", "tokens", "forms", "token_id", "request_id", "first", "last"}.
    """
    if live:
        if paths or redact or in_place or binary or sarif:
            raise ConfigurationError(
                "--live asks the collector and looks into no file: leave out paths and what is for them"
            )
        raise typer.Exit(_live(since, service, state_folder(state), database, as_json=as_json))
    if not paths:
        raise ConfigurationError("name files or folders to look into, or - for standard input; or ask with --live")
    from bearerwatch.leaks.reports import Json as JsonReport  # noqa: PLC0415
    from bearerwatch.leaks.reports import Lines, Sarif, shown  # noqa: PLC0415
    from bearerwatch.leaks.sources import sources  # noqa: PLC0415
    from bearerwatch.leaks.sweep import Sweep  # noqa: PLC0415

    if as_json and sarif:
        raise ConfigurationError("--json and --sarif are two forms of one report: choose one")
    if binary and not (redact or in_place):
        raise ConfigurationError("--binary says what is rewritten: add --redact or --in-place, or leave it out")
    problems: list[tuple[str, str]] = []

    def problem(name: str, text: str) -> None:
        problems.append((name, text))
        say(f"bearerwatch: {shown(name)}: {text}")

    def remark(name: str, text: str) -> None:
        if not quiet:
            say(f"{shown(name)}: {text}")

    sweep = Sweep(redact=redact, in_place=in_place, binary=binary, problem=problem, remark=remark)
    found = files = 0
    with piped(), _progress(wanted=not quiet) as (listed, advance, out):
        report: Report = JsonReport(out) if as_json else Sarif(out) if sarif else Lines(out)
        for source in listed(sources(paths, problem)):
            files += 1
            for leak in sweep(source, advance):
                report(source.name, leak)
                found += 1
        report.end(problems)
    if not quiet:
        _summarise(found, files, len(problems), rewritten=redact or in_place)
    raise typer.Exit(2 if problems else 1 if found else 0)


def _live(since: str, service: str | None, folder: Path, database: str | None, *, as_json: bool) -> int:
    from bearerwatch.cli._culprits import culprits, show_culprits  # noqa: PLC0415
    from bearerwatch.store.reader import Reader  # noqa: PLC0415 - loads DuckDB

    start = moment(since, "--since", datetime.now(UTC))
    with Reader(folder, database_url(database)) as reader:
        return 1 if show_culprits(culprits(reader, start, service=service), as_json=as_json) else 0


def _summarise(found: int, files: int, problems: int, *, rewritten: bool) -> None:
    from bearerwatch.alert.notice import counted  # noqa: PLC0415

    text = f"{counted(found, 'token') if found else 'no token'} in {counted(files, 'file')}"
    if problems:
        text += f"; {counted(problems, 'problem')}, said above"
    elif found and not rewritten:
        text += "; --redact replaces them. Revoke those that have not expired"
    elif found:
        text += ". Revoke those that have not expired: others may have read them"
    say(text)


_Listed = Callable[["Iterator[Source]"], "Iterator[Source]"]


@contextmanager
def _progress(*, wanted: bool) -> Iterator[tuple[_Listed, Callable[[int], object], Callable[[str], object]]]:
    """How to list files, to say how far one is read, and to print: with a bar where standard error is a terminal."""
    if not wanted or not sys.stderr.isatty():
        yield (lambda found: found), (lambda _read: None), sys.stdout.write
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn  # noqa: PLC0415

    from bearerwatch.cli._output import console  # noqa: PLC0415

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    # Standard output is not for the bar to redirect: it would follow it to standard error.
    bar = Progress(*columns, console=console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False)
    task = bar.add_task("")
    done = 0

    def listed(found: Iterator[Source]) -> Iterator[Source]:
        nonlocal done
        every = list(found)
        bar.update(task, total=sum(source.size for source in every))
        for source in every:
            yield source
            done += source.size
            bar.update(task, completed=done)

    def out(text: str) -> None:
        if sys.stdout.isatty():  # the same terminal: above the bar, not through it
            bar.console.out(text, end="", highlight=False)
        else:
            sys.stdout.write(text)

    with bar:
        yield listed, (lambda read: bar.update(task, completed=done + read)), out
