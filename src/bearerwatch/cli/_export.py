"""``bearerwatch events export``: events in the formats of others, to files and receivers."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from bearerwatch import _units
from bearerwatch.cli._options import (
    Database,
    OnlyCaller,
    OnlyOutcomes,
    OnlyRequest,
    OnlyService,
    OnlyToken,
    StateFolder,
    Until,
    caller,
    database_url,
    duration,
    outcomes,
    span,
    state_folder,
)
from bearerwatch.cli._output import say
from bearerwatch.cli._pipe import piped
from bearerwatch.cli._tokens import token_ids
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.exports import Target
    from bearerwatch.exports.checkpoint import Checkpoint
    from bearerwatch.exports.run import Counts
    from bearerwatch.store.stream import Batches

__all__ = ["export"]

_FORMATS = "bearerwatch.formats"
_PARQUET = "parquet"
_HEADERS_ENV = "BEARERWATCH_EXPORT_HEADERS"
_STDOUT = Path("-")


def export(
    *,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="ocsf, ecs, otlp, syslog, ndjson (our own schema) or parquet; told by --out or --to if not given.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Write here; .gz and .zst compress. - is standard output.")
    ] = _STDOUT,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Send instead: https://host/v1/logs, or syslog+udp, syslog+tcp or syslog+tls://host:port.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="From when: 15m, 2h, 7d ago, or 2026-01-31T12:00:00Z; 1h if not given, all with --checkpoint.",
            show_default=False,
        ),
    ] = None,
    until: Until = None,
    outcome: OnlyOutcomes = None,
    token: OnlyToken = None,
    ip: OnlyCaller = None,
    request_id: OnlyRequest = None,
    service: OnlyService = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Remember how far it came: the next run exports only newer ones.", show_default=False
        ),
    ] = None,
    headers_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=f"HTTP headers, one Name: value a line [env: {_HEADERS_ENV}].",
            show_default=False,
        ),
    ] = None,
    retry_for: Annotated[str, typer.Option(metavar="TIME", help="How long to try one batch.")] = "2m",
    state: StateFolder = None,
    database: Database = None,
) -> None:
    """Write or send events in a format of others, oldest first.

    With --checkpoint, in the order they arrived, each once.
    """
    from bearerwatch.store.reader import Reader  # noqa: PLC0415 - loads DuckDB

    if to is not None and out != _STDOUT:
        raise ConfigurationError("--out and --to are two ways: give one of them")
    chosen = _format(form, out, to)
    only = outcomes(outcome)
    patience = duration(retry_for, "--retry-for").total_seconds()
    folder = state_folder(state)
    start, end = span("1h" if since is None and checkpoint is None else since, until, datetime.now(UTC))
    filters: dict[str, Any] = {
        "outcome": sorted(set(only)) if only else None,
        "tokens": None if token is None else token_ids(token, folder),
        "client_ip": caller(ip),
        "request_id": request_id,
        "service": service,
    }
    with ExitStack() as stack:
        stack.enter_context(piped())
        reader = stack.enter_context(Reader(folder, database_url(database)))
        kept = None
        if checkpoint is not None:
            from bearerwatch.exports.checkpoint import Checkpoint  # noqa: PLC0415

            kept = stack.enter_context(closing(Checkpoint(checkpoint.expanduser(), _described(chosen, to, filters))))
        target = None
        if chosen != _PARQUET:  # first, so that what is wrong with it is said before anything is read
            target = _target(chosen, out, to, headers_file, patience, replace=kept is None)
            stack.enter_context(closing(target))
        try:
            batches = reader.batches(
                since=start,
                until=end,
                after=None if kept is None else kept.mark,
                by_arrival=kept is not None,
                **filters,
            )
        except (LookupError, ValueError) as error:
            raise ConfigurationError(f"--token: {error}") from None
        if batches is None or (kept is not None and not batches.total):
            say("no event fits" if kept is None else "no new event")
            return
        if target is None:
            counts = _parquet(batches, out, kept)
        else:
            from bearerwatch.exports.run import run  # noqa: PLC0415

            counts = run(batches, target, checkpoint=kept, report=say, every=5.0 if sys.stderr.isatty() else 60.0)
    if out != _STDOUT or to is not None:
        say(f"{counts.sent - counts.refused} events exported as {chosen}")
    if counts.refused:
        say(f"{counts.refused} events were refused by the receiver, for good")
        raise typer.Exit(1)


def _format(form: str | None, out: Path, to: str | None) -> str:
    known = [*_units.names(_FORMATS), _PARQUET]
    scheme = "" if to is None else to.partition(":")[0].lower()
    if form is None:
        if scheme.startswith("syslog"):
            form = "syslog"
        elif to is not None:
            if not urlsplit(to).path.endswith("/v1/logs"):
                raise ConfigurationError("--format is needed: the address does not tell whether it takes OTLP")
            form = "otlp"
        else:
            form = _PARQUET if out.suffix == f".{_PARQUET}" else "ndjson"
    if form not in known:
        raise ConfigurationError(f"--format is one of {', '.join(known)}")
    if to is not None:
        if scheme not in ("http", "https") and not scheme.startswith("syslog+"):
            raise ConfigurationError("--to is a URL: https://…, or syslog+tls://host:port")
        if scheme.startswith("syslog") is not (form == "syslog") or form == _PARQUET:
            raise ConfigurationError("syslog goes to syslog+udp, syslog+tcp or syslog+tls, other formats to https")
    elif form == _PARQUET and (out == _STDOUT or out.suffix in (".gz", ".zst")):
        raise ConfigurationError("Parquet is compressed in itself and written with seeking: name a file, --out FILE")
    return form


def _described(form: str, to: str | None, filters: dict[str, Any]) -> str:
    """What an export is, in words: a checkpoint is of one alone."""
    where = "file" if to is None else to.partition("?")[0]
    words = {name: ",".join(value) if isinstance(value, list) else value for name, value in filters.items()}
    return " ".join([form, where, *(f"{name}={word}" for name, word in words.items() if word)])


def _target(
    form: str, out: Path, to: str | None, headers_file: Path | None, patience: float, *, replace: bool
) -> Target:
    from bearerwatch.formats import encoder  # noqa: PLC0415

    if to is None:
        from bearerwatch.exports.files import FileTarget, StdoutTarget  # noqa: PLC0415

        encode = encoder(form)
        return StdoutTarget(encode) if out == _STDOUT else FileTarget(out.expanduser(), encode, replace=replace)
    if form == "syslog":
        from bearerwatch.exports.syslog import SyslogTarget  # noqa: PLC0415
        from bearerwatch.sinks._destination import destination  # noqa: PLC0415

        try:
            where = destination(to)
        except ValueError as error:
            raise ConfigurationError(f"--to: {error}") from None
        return SyslogTarget(where, patience=patience, report=say)
    from bearerwatch.exports.http import HttpTarget, check_url  # noqa: PLC0415 - loads an HTTP client
    from bearerwatch.formats.otlp import request  # noqa: PLC0415

    headers = _headers(headers_file)
    encode = encoder(form)
    return HttpTarget(
        check_url(to, headers),
        headers=headers,
        body=request if form == "otlp" else lambda events: b"".join([encode(event) + b"\n" for event in events]),
        content_type="application/json" if form == "otlp" else "application/x-ndjson",
        patience=patience,
        report=say,
    )


def _headers(file: Path | None) -> dict[str, str]:
    from bearerwatch.exports.http import read_headers  # noqa: PLC0415

    if file is None:
        return read_headers(os.environ.get(_HEADERS_ENV, ""), _HEADERS_ENV)
    try:
        with file.expanduser().open(encoding="utf-8") as opened:
            return read_headers(opened.read(1 << 16), str(file))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"--headers-file {file} cannot be read: {why}") from None


def _parquet(batches: Batches, out: Path, kept: Checkpoint | None) -> Counts:
    import duckdb  # noqa: PLC0415

    from bearerwatch.exports import ExportError  # noqa: PLC0415
    from bearerwatch.exports.files import WholeFile  # noqa: PLC0415
    from bearerwatch.exports.run import Counts  # noqa: PLC0415

    with closing(WholeFile(out.expanduser(), replace=kept is None)) as file:
        try:
            rows, mark = batches.to_parquet(file.draft)
            file.finish()
        except (OSError, duckdb.IOException) as error:
            raise ExportError(f"--out {out} cannot be written: see to its disk ({type(error).__name__})") from None
    if kept is not None and mark is not None:
        kept.reached(mark)
    return Counts(rows, 0)
