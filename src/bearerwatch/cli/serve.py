"""``bearerwatch serve``: the collector."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bearerwatch._version import __version__
from bearerwatch.cli._options import (
    Config,
    Database,
    Json,
    LogFormat,
    LogZone,
    Mmdb,
    Rules,
    StateFolder,
    config_file,
    database_url,
    duration,
    mmdb_files,
    rules_folder,
    state_folder,
    time_zone,
)
from bearerwatch.cli._output import row, say
from bearerwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from bearerwatch.server import Collector

__all__ = ["DEFAULT_LISTEN", "address", "app", "serve"]

DEFAULT_LISTEN = "127.0.0.1:8787"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Example: bearerwatch serve --state /var/lib/bearerwatch --retain 30d\n\n"
    "Example: bearerwatch serve --spool /srv/a/spool --spool /srv/b/spool --config bearerwatch.toml\n\n"
    "Example: bearerwatch serve --tail nginx@edge:/var/log/nginx/access.log"
)
def serve(
    *,
    state: StateFolder = None,
    spool: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="A spool to tail; may be repeated. BEARERWATCH_SPOOL, or 'spool' in the state folder, if none.",
            show_default=False,
        ),
    ] = None,
    tail: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORMAT[@SERVICE]:PATH",
            help="An access log to follow; may be repeated. Its format's name stands for its service if none is named.",
            show_default=False,
        ),
    ] = None,
    log_format: LogFormat = None,
    log_zone: LogZone = "UTC",
    database: Database = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help=f"Where to take events over HTTP; {DEFAULT_LISTEN} if there are ingest keys, else nowhere.",
            show_default=False,
        ),
    ] = None,
    no_http: Annotated[bool, typer.Option("--no-http", help="Take nothing over HTTP.")] = False,
    retain: Annotated[str, typer.Option(help="How long events are kept: 12h, 30d, 52w or forever.")] = "30d",
    mmdb: Mmdb = None,
    rules: Rules = None,
    config: Config = None,
    tick: Annotated[str, typer.Option(help="Time between two looks at what is new.")] = "250ms",
    as_json: Json = False,
) -> None:
    """Collect events, detect attacks, and alert, until stopped.

    Ctrl-C or SIGTERM ends it once all that was read is durable; 'kill -9' loses nothing either.

    With --json: one line once it is ready, {"pid", "version", "state", "spools", "logs", "address"}.
    """
    from bearerwatch.ingest.keys import IngestKeys  # noqa: PLC0415
    from bearerwatch.ingest.log_source import LogSource, read_layouts  # noqa: PLC0415
    from bearerwatch.server import Collector, CollectorSettings  # noqa: PLC0415 - loads everything

    keys = IngestKeys.from_env()
    layouts = read_layouts(log_format or [])
    if no_http and listen is not None:
        raise ConfigurationError("--listen and --no-http contradict each other: keep one")
    host, port = "127.0.0.1", 0
    if listen is not None or (keys and not no_http):
        host, port = address(listen or DEFAULT_LISTEN)
    settings = CollectorSettings(
        state_dir=state_folder(state),
        spools=tuple(path.expanduser() for path in spool or ()),
        tails=tuple(LogSource.parse(text, layouts) for text in tail or ()),
        log_zone=time_zone(log_zone),
        database=database_url(database),
        host=host,
        port=port,
        retain=None if retain.strip().lower() == "forever" else duration(retain, "--retain"),
        mmdb=tuple(mmdb_files(mmdb)),
        rules=rules_folder(rules),
        config=config_file(config),
        tick=duration(tick, "--tick").total_seconds(),
        ingest_keys=keys,
    )

    def ready(collector: Collector) -> None:
        (_ready_json if as_json else _ready)(collector)

    Collector(settings).run(ready)


def address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``[IPv6]:PORT`` or ``:PORT`` (this machine alone).

    Raises:
        ConfigurationError: it is none of them.
    """
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or not 1 <= int(port[:6]) <= 65_535:
        raise ConfigurationError(f"--listen is HOST:PORT with a port from 1 to 65535, such as {DEFAULT_LISTEN}")
    if ":" in host and not bracketed:
        raise ConfigurationError("--listen takes an IPv6 address in brackets, such as [::1]:8787")
    return (host[1:-1] if bracketed else host) or "127.0.0.1", int(port)


def _facts(collector: Collector) -> dict[str, Any]:
    settings = collector.settings
    return {
        "pid": collector.status.pid,
        "version": __version__,
        "state": str(settings.state_dir),
        "spools": [str(path) for path in settings.spools],
        "logs": [str(log.path) for log in settings.tails],
        "address": None if collector.address is None else "{}:{}".format(*collector.address),
    }


def _ready_json(collector: Collector) -> None:
    row(_facts(collector))
    sys.stdout.flush()


def _ready(collector: Collector) -> None:
    facts = _facts(collector)
    say(f"bearerwatch {__version__} collects into {facts['state']} from {', '.join(facts['spools'] + facts['logs'])}")
    if facts["address"]:
        say(f"takes events at http://{facts['address']}/v1/events")
    say("stop it with Ctrl-C")
