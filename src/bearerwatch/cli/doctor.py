"""``bearerwatch doctor``: what is misconfigured, and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bearerwatch.cli._options import (
    Config,
    Database,
    Json,
    Mmdb,
    Rules,
    StateFolder,
    config_file,
    database_url,
    mmdb_files,
    rules_folder,
    state_folder,
)
from bearerwatch.cli._output import console, document

if TYPE_CHECKING:
    from bearerwatch.doctor import Check

__all__ = ["app", "doctor"]

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="Example: bearerwatch doctor --state /var/lib/bearerwatch")
def doctor(
    *,
    state: StateFolder = None,
    database: Database = None,
    spool: Annotated[
        list[Path] | None, typer.Option(help="A spool the collector tails; may be repeated.", show_default=False)
    ] = None,
    mmdb: Mmdb = None,
    rules: Rules = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say what is misconfigured, and how to mend it.

    Run it as the collector's user, with the collector's environment. Exits 1 if something does not work, 0 if all
    does, warnings or not.

    With --json: one document {"ok", "checks": [{"name", "said", "findings": [{"id", "message", "hint"}]}]}.
    """
    from bearerwatch.doctor import Site, examine  # noqa: PLC0415 - loads the collector

    checks = examine(
        Site(
            state=state_folder(state),
            database=database_url(database),
            spools=tuple(spool or ()),
            mmdb=tuple(mmdb_files(mmdb)),
            rules=rules_folder(rules),
            config=config_file(config),
        )
    )
    failed = any(finding.is_error for check in checks for finding in check.findings)
    if as_json:
        import msgspec  # noqa: PLC0415

        document({"ok": not failed, "checks": msgspec.to_builtins(checks)})
    else:
        _print(checks)
    raise typer.Exit(1 if failed else 0)


def _print(checks: list[Check]) -> None:
    from rich.text import Text  # noqa: PLC0415

    screen = console()
    errors = warnings = 0
    for check in checks:
        wrong = any(finding.is_error for finding in check.findings)
        mark, style = ("✗", "bold red") if wrong else ("!", "yellow") if check.findings else ("✓", "green")
        screen.print(Text.assemble((f"{mark} {check.name:<16}", style), check.said))
        for finding in check.findings:
            errors += finding.is_error
            warnings += not finding.is_error
            style = "bold red" if finding.is_error else "yellow"
            screen.print(Text.assemble("    ", (finding.id.removeprefix("bearerwatch."), style), f" {finding.message}"))
            screen.print(Text.assemble("         ", ("→ ", "bold"), finding.hint))
    if not errors and not warnings:
        screen.print("All is well.", style="green")
        return
    screen.print(f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}.", style="bold")
